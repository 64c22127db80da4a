"""What provider admins do with tenant groups. A change of who is in a group is a change of its staff's rights."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.models import ProviderMembership
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup, TenantGroupMember


def create_group(*, name: str, tenant_ids: Collection[UUID] = (), actor: Actor) -> TenantGroup:
    """Make a group of tenants that staff can be given together. Raises Forbidden, BadRequest for a name in use."""
    _require(actor)
    group = TenantGroup.objects.create(name=_free_name(name, None))
    _put_in(group, tenant_ids)
    _note("tenant_group.created", actor, group, None, _describe(group))
    return group


def change_group(
    group_id: UUID, *, name: str | None = None, tenant_ids: Collection[UUID] | None = None, actor: Actor
) -> TenantGroup:
    """Rename a group, or make exactly these tenants its members; None leaves as it is."""
    _require(actor)
    group = _lock(group_id)
    before = _describe(group)
    if name is not None:
        group.name = _free_name(name, group)
        group.save(update_fields=["name"])
    if tenant_ids is not None:
        TenantGroupMember.objects.filter(group=group).exclude(tenant_id__in=tenant_ids).delete()
        _put_in(group, tenant_ids)
    _note("tenant_group.changed", actor, group, before, _describe(group))
    return group


def add_tenants(group_id: UUID, tenant_ids: Collection[UUID], *, actor: Actor) -> TenantGroup:
    """Put tenants into a group; those in it stay."""
    return change_group(group_id, tenant_ids=_members(group_id) | set(tenant_ids), actor=actor)


def remove_tenants(group_id: UUID, tenant_ids: Collection[UUID], *, actor: Actor) -> TenantGroup:
    """Take tenants out of a group; its staff lose what they could do there at once."""
    return change_group(group_id, tenant_ids=_members(group_id) - set(tenant_ids), actor=actor)


def delete_group(group_id: UUID, *, actor: Actor) -> None:
    """Delete a group that gives nobody a role. Raises Conflict for one that does."""
    _require(actor)
    group = _lock(group_id)
    staff = ProviderMembership.objects.filter(group=group).count()
    if staff:
        raise Conflict(
            _("%(count)d provider memberships reach over the group “%(group)s”; take those back first.")
            % {"count": staff, "group": group}
        )
    _note("tenant_group.deleted", actor, group, _describe(group), None)
    group.delete()


def _require(actor: Actor) -> None:
    actor.require_provider()
    actor.require_second_factor()


def _lock(group_id: UUID) -> TenantGroup:
    return TenantGroup.objects.select_for_update().get(pk=group_id)


def _members(group_id: UUID) -> set[UUID]:
    """Read under the group's lock, so that two changes at once do not undo each other."""
    return set(TenantGroupMember.objects.filter(group=_lock(group_id)).values_list("tenant_id", flat=True))


def _put_in(group: TenantGroup, tenant_ids: Collection[UUID]) -> None:
    TenantGroupMember.objects.bulk_create(
        [TenantGroupMember(group=group, tenant_id=tenant_id) for tenant_id in sorted(set(tenant_ids))],
        ignore_conflicts=True,
    )


def _free_name(name: str, group: TenantGroup | None) -> str:
    wanted = name.strip()
    if not wanted:
        raise BadRequest(_("Give the tenant group a name."))
    if TenantGroup.objects.filter(name=wanted).exclude(pk__in=[group.pk] if group else []).exists():
        raise BadRequest(_("There is a tenant group of this name already."))
    return wanted


def _describe(group: TenantGroup) -> dict[str, Any]:
    inside = Tenant.objects.filter(pk__in=TenantGroupMember.objects.filter(group=group).values("tenant"))
    return {"name": group.name, "tenants": sorted(inside.values_list("slug", flat=True))}


def _note(
    verb: str, actor: Actor, group: TenantGroup, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    record(
        PROVIDER_TENANT_ID,
        verb,
        object_type="tenant group",
        object_id=group.pk,
        actor=actor.stamp,
        data={"target": group.name, "before": before, "after": after},
    )
