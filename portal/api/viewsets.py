"""What every resource begins with: signed in, held to the scope, found by id."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from portal.access.actors import Actor
from portal.api.fields import rows_in_scope
from portal.api.permissions import SignedIn, actor_of


class ScopedViewSet(GenericViewSet):
    """Rows of the tenants the caller may see; somebody without memberships has no scope, and so no rows."""

    permission_classes = [SignedIn]
    lookup_value_converter = "uuid"

    @property
    def actor(self) -> Actor:
        """Who asks."""
        return actor_of(self.request)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows in scope."""
        return rows_in_scope(super().get_queryset())


class ReadingViewSet(ListModelMixin, RetrieveModelMixin, ScopedViewSet):
    """A resource with a list and a page for each row. `detail_serializer_class` is for the latter, where it differs."""

    detail_serializer_class: type | None = None

    def get_serializer_class(self) -> type:
        """Return the serializer of the list, or the fuller one of a single row."""
        if self.action == "retrieve" and self.detail_serializer_class is not None:
            return self.detail_serializer_class
        return super().get_serializer_class()
