"""Roles given and taken: in a tenant by its admins, over groups or all tenants by provider admins.

Nobody changes their own role, and nobody gives one that is above their own. A tenant admin who adds somebody gets the
same answer whether or not there was an account with that e-mail, of whatever kind and state.
"""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portal.access import invitations
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.people import read_email, refuse_last_provider_admin
from portal.access.roles import Capability, Role
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, TenantGroup

TENANT_ROLES = tuple(role for role in Role if role is not Role.PROVIDER_ADMIN)
"""The roles a tenant can give."""


def give_role(*, tenant_id: UUID, email: str, role: Role, actor: Actor) -> TenantMembership:
    """Give somebody a role in one tenant. Who has no account gets one, and an e-mail that says how to sign in.

    Raises Forbidden, BadRequest, Conflict for a role they have already and for one's own.
    """
    _require_right_to_give(actor, role, tenant_id)
    user, _is_new = invitations.find_or_invite(read_email(email))
    _refuse_oneself(user.pk, actor)
    try:
        with transaction.atomic():
            given = TenantMembership.objects.create(tenant_id=tenant_id, user=user, role=role)
    except IntegrityError as error:
        raise Conflict(_("%(person)s has this role in this tenant already.") % {"person": email}) from error
    _note(tenant_id, "membership.given", actor, given, None, _describe(given))
    return given


def take_role(membership_id: UUID, *, actor: Actor) -> None:
    """Take back a role in a tenant; from the person's next request on they have it no longer."""
    membership = TenantMembership.objects.select_related("user").select_for_update(of=("self",)).get(pk=membership_id)
    _require_right_to_give(actor, Role(membership.role), membership.tenant_id)
    _refuse_oneself(membership.user_id, actor)
    _note(membership.tenant_id, "membership.taken", actor, membership, _describe(membership), None)
    membership.delete()


def give_provider_role(
    *, email: str, role: Role, reach: Reach, group: TenantGroup | None, actor: Actor
) -> ProviderMembership:
    """Give somebody who has an account a role over a tenant group or over all tenants.

    Raises Forbidden, BadRequest for an unknown or switched-off account or a reach that does not fit, Conflict for a
    role they have already, one's own, and a service account that belongs to a tenant.
    """
    _require_provider(actor)
    if (reach is Reach.GROUP) != (group is not None):
        raise BadRequest(_("Name a tenant group for the reach “one tenant group”, and none for “all tenants”."))
    user = User.objects.filter(email__iexact=read_email(email), is_active=True).first()
    if user is None:
        raise BadRequest(_("There is no active account with this e-mail; add the person first."))
    if user.belongs_to_id is not None:
        raise Conflict(_("This service account belongs to a tenant and has roles there alone."))
    _refuse_oneself(user.pk, actor)
    try:
        with transaction.atomic():
            given = ProviderMembership.objects.create(user=user, role=role, reach=reach, group=group)
    except IntegrityError as error:
        raise Conflict(_("%(person)s has this role already.") % {"person": user}) from error
    _note(PROVIDER_TENANT_ID, "provider_membership.given", actor, given, None, _describe(given))
    return given


def take_provider_role(membership_id: UUID, *, actor: Actor) -> None:
    """Take back a provider role. Raises Conflict for one's own and for the last provider admin's."""
    _require_provider(actor)
    membership = ProviderMembership.objects.select_related("user", "group").get(pk=membership_id)
    if membership.role == Role.PROVIDER_ADMIN and membership.reach == Reach.ALL:
        refuse_last_provider_admin(membership.user_id)
    _refuse_oneself(membership.user_id, actor)
    _note(PROVIDER_TENANT_ID, "provider_membership.taken", actor, membership, _describe(membership), None)
    membership.delete()


def roles_to_give(actor: Actor, tenant_id: UUID) -> list[Role]:
    """Return the roles the actor may give in a tenant, lowest first."""
    if not actor.may(Capability.MANAGE_MEMBERS, tenant_id):
        return []
    may_all = actor.may(Capability.MANAGE_TENANTS, tenant_id)
    return [role for role in TENANT_ROLES if may_all or role is not Role.BREAK_GLASS]


def _require_right_to_give(actor: Actor, role: Role, tenant_id: UUID) -> None:
    actor.require(Capability.MANAGE_MEMBERS, tenant_id)
    if role is Role.PROVIDER_ADMIN:
        raise BadRequest(_("Provider admin is not a role in a tenant."))
    if role is Role.BREAK_GLASS:
        actor.require(Capability.MANAGE_TENANTS, tenant_id)
    actor.require_second_factor()


def _require_provider(actor: Actor) -> None:
    actor.require_provider()
    actor.require_second_factor()


def _refuse_oneself(user_id: UUID, actor: Actor) -> None:
    if user_id == actor.id:
        raise Conflict(_("You cannot change your own roles; ask another admin."))


def _describe(membership: TenantMembership | ProviderMembership) -> dict[str, Any]:
    described: dict[str, Any] = {"user": membership.user.email, "role": membership.role}
    if isinstance(membership, ProviderMembership):
        described |= {"reach": membership.reach, "group": membership.group.name if membership.group else None}
    return described


def _note(
    tenant_id: UUID,
    verb: str,
    actor: Actor,
    membership: TenantMembership | ProviderMembership,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    record(
        tenant_id,
        verb,
        object_type="membership",
        object_id=membership.pk,
        actor=actor.stamp,
        data={"target": membership.user.email, "before": before, "after": after},
    )
