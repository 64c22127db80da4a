"""What provider admins do with tenants: take one on, change it, switch it off and on again."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import admit_new_tenant


def create_tenant(*, slug: str, name: str, entra_tenant_id: UUID, actor: Actor) -> Tenant:
    """Take on a customer, with what `settings.NEW_TENANT_STEPS` make for each new one.

    Raises Forbidden, BadRequest for what no tenant can be called, Conflict for a short name or Entra tenant in use.
    """
    actor.require_provider()
    actor.require_second_factor()
    tenant = Tenant(id=uuid7(), slug=slug, name=name.strip(), entra_tenant_id=entra_tenant_id)
    _check(tenant)
    admit_new_tenant(tenant.pk)
    try:
        with transaction.atomic():
            tenant.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("There is a tenant with this short name or Entra tenant id already.")) from error
    for step in settings.NEW_TENANT_STEPS:
        import_string(step)(tenant.pk)
    _note("tenant.created", actor, tenant, None, _describe(tenant))
    return tenant


def change_tenant(tenant_id: UUID, *, name: str, device_isolation_is_automatic: bool, actor: Actor) -> Tenant:
    """Change what people call a tenant and whether its malicious devices are isolated without asking."""
    actor.require_provider()
    actor.require_second_factor()
    tenant = _lock(tenant_id)
    before = _describe(tenant)
    tenant.name = name.strip()
    tenant.device_isolation_is_automatic = device_isolation_is_automatic
    _check(tenant)
    tenant.save(update_fields=["name", "device_isolation_is_automatic"])
    _note("tenant.changed", actor, tenant, before, _describe(tenant))
    return tenant


def deactivate_tenant(tenant_id: UUID, *, actor: Actor) -> Tenant:
    """Switch a tenant off: nobody but provider admins sees it, nothing is read or sent for it; nothing is deleted."""
    return _switch(tenant_id, "tenant.deactivated", actor, is_active=False)


def reactivate_tenant(tenant_id: UUID, *, actor: Actor) -> Tenant:
    """Switch a tenant on again, for the same people with the same roles."""
    return _switch(tenant_id, "tenant.reactivated", actor, is_active=True)


def _switch(tenant_id: UUID, verb: str, actor: Actor, *, is_active: bool) -> Tenant:
    actor.require_provider()
    actor.require_second_factor()
    tenant = _lock(tenant_id)
    if tenant.is_active == is_active:
        raise Conflict(
            _("%(tenant)s is active already.") % {"tenant": tenant}
            if is_active
            else _("%(tenant)s is switched off already.") % {"tenant": tenant}
        )
    before = _describe(tenant)
    tenant.is_active = is_active
    tenant.save(update_fields=["is_active"])
    _note(verb, actor, tenant, before, _describe(tenant))
    return tenant


def _lock(tenant_id: UUID) -> Tenant:
    return Tenant.objects.exclude(pk=PROVIDER_TENANT_ID).select_for_update().get(pk=tenant_id)


def _check(tenant: Tenant) -> None:
    try:
        tenant.clean_fields()
    except ValidationError as error:
        raise BadRequest(" ".join(error.messages)) from error


def _describe(tenant: Tenant) -> dict[str, Any]:
    return {
        "slug": tenant.slug,
        "name": tenant.name,
        "entra_tenant_id": str(tenant.entra_tenant_id),
        "device_isolation_is_automatic": tenant.device_isolation_is_automatic,
        "is_active": tenant.is_active,
    }


def _note(verb: str, actor: Actor, tenant: Tenant, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    record(
        tenant.pk,
        verb,
        object_type="tenant",
        object_id=tenant.pk,
        actor=actor.stamp,
        data={"target": tenant.name, "before": before, "after": after},
    )
