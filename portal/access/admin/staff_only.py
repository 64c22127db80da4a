"""Pages for those who administer the provider over all tenants."""

from typing import Any

from django.db import models
from django.http import HttpRequest

from portal.access.actors import Actor
from portal.access.roles import Capability
from portal.access.scoped_admin import ScopedAdmin


class ProviderStaffOnly(ScopedAdmin):
    """The provider's own rows; a provider admin of one group is not enough."""

    view_capability = Capability.MANAGE_TENANTS

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return all rows, or none."""
        rows = super().get_queryset(request)
        return rows if administers_provider(request) else rows.none()

    def _may(self, request: HttpRequest, capability: Capability | None, row: Any) -> bool:
        return capability is not None and administers_provider(request)


def administers_provider(request: HttpRequest) -> bool:
    """Return whether the person is a provider admin over all tenants; nobody is none."""
    actor: Actor | None = request.actor  # type: ignore[attr-defined]  # the door's middleware put it there
    return actor is not None and actor.administers_provider
