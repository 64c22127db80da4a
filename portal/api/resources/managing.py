"""What the resources of people, tenants and keys have in common: sessions only, and nothing for those without a say."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from portal.access.roles import Capability
from portal.api.fields import RowField
from portal.api.permissions import SessionOnly
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant


def tenants_field(**options: Any) -> serializers.ManyRelatedField:
    """Return a field for ids of tenants the caller sees."""
    rows = Tenant.objects.exclude(pk=PROVIDER_TENANT_ID)
    return RowField(queryset=rows, many=True, allow_empty=False, **options)  # type: ignore[return-value]  # by `many`


class ManagingViewSet(ReadingViewSet):
    """Rows that people with a session manage. Each resource says by `managed` which rows those are for the caller."""

    permission_classes = [SessionOnly]

    def managed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that the caller manages: none, until a resource says which."""
        return rows.none()

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows the caller manages; the schema generator, which is nobody, gets them unread."""
        rows = super().get_queryset()
        return rows if getattr(self, "swagger_fake_view", False) else self.managed(rows)


class ProviderViewSet(ManagingViewSet):
    """Rows of the provider's own: provider admins over all tenants manage them, nobody else learns of any."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse others to change anything, before what they sent is looked at."""
        super().initial(request, *args, **kwargs)
        if request.method not in SAFE_METHODS:
            self.actor.require_provider()

    def managed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return all rows, or none."""
        return rows if self.actor.administers_provider else rows.none()


class MembersViewSet(ManagingViewSet):
    """Rows of tenants: whoever manages a tenant's members manages them."""

    def managed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the tenants whose members the caller manages."""
        return rows.filter(tenant__in=self.actor.tenants_where(Capability.MANAGE_MEMBERS))
