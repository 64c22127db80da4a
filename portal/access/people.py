"""What provider admins do with people: give them an account, switch it off and on. Accounts are never deleted."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portal.access import invitations
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID


def create_person(*, email: str, name: str, actor: Actor) -> User:
    """Make an account without any role; the person is told by e-mail how to set their password.

    Raises Forbidden, BadRequest for what is no address, Conflict for one that has an account.
    """
    _require(actor)
    user, is_new = invitations.find_or_invite(read_email(email), name=name.strip())
    if not is_new:
        raise Conflict(_("There is an account with this e-mail already."))
    note("user.created", actor, user, None, describe(user))
    return user


def rename_person(user_id: UUID, *, name: str, actor: Actor) -> User:
    """Change what an account is called."""
    actor.require_provider()
    user = lock(user_id)
    before = describe(user)
    user.name = name.strip()
    user.save(update_fields=["name"])
    note("user.changed", actor, user, before, describe(user))
    return user


def deactivate_person(user_id: UUID, *, actor: Actor) -> User:
    """Switch an account off: its sessions and keys end with the next request, approvals it gave no longer count.

    Raises Conflict for one's own account and for the last provider admin's.
    """
    _require(actor)
    refuse_last_provider_admin(user_id)
    user = lock(user_id)
    if user.pk == actor.id:
        raise Conflict(_("You cannot switch off your own account; ask another provider admin."))
    return switch(user, "user.deactivated", actor, PROVIDER_TENANT_ID, is_active=False)


def reactivate_person(user_id: UUID, *, actor: Actor) -> User:
    """Switch an account on again, with the roles it has."""
    _require(actor)
    return switch(lock(user_id), "user.reactivated", actor, PROVIDER_TENANT_ID, is_active=True)


def invite_again(user_id: UUID, *, actor: Actor) -> User:
    """Send a person a new link to set their password. Raises Conflict for somebody who can sign in already."""
    _require(actor)
    user = lock(user_id)
    if not invitations.is_waiting(user):
        raise Conflict(_("%(person)s can sign in already, or is switched off.") % {"person": user})
    invitations.invite(user)
    note("user.invited", actor, user, None, None)
    return user


def refuse_last_provider_admin(user_id: UUID) -> None:
    """Raise Conflict when nobody but this person administers the provider over all tenants.

    Holds their memberships until the transaction ends, so that two admins cannot take back each other's at once.
    """
    admins = provider_admins()
    list(admins.select_for_update().order_by("id"))
    own = admins.filter(user_id=user_id)
    others = admins.filter(user__is_active=True, user__is_service_account=False).exclude(user_id=user_id)
    if own.exists() and not others.exists():
        raise Conflict(_("This is the last provider admin; make somebody else one first."))


def provider_admins() -> QuerySet[ProviderMembership]:
    """Return the memberships that administer the provider itself."""
    return ProviderMembership.objects.filter(role=Role.PROVIDER_ADMIN, reach=Reach.ALL)


def read_email(text: str) -> str:
    """Return an address fit to be an account's, in small letters: its case would tell which accounts there are.

    Raises BadRequest, also for letters beyond ASCII, which PostgreSQL may take for others (CVE-2019-19844).
    """
    email = text.strip().lower()
    if not email.isascii():
        raise BadRequest(_("Write “%(text)s” in ASCII, an international domain as xn--….") % {"text": text})
    try:
        validate_email(email)
    except ValidationError as error:
        raise BadRequest(_("“%(text)s” is not an e-mail address.") % {"text": text}) from error
    if len(email) > 254:
        raise BadRequest(_("This e-mail address is too long."))
    return email


def switch(user: User, verb: str, actor: Actor, tenant_id: UUID, *, is_active: bool) -> User:
    """Switch a locked account on or off and record it in a tenant's history. Raises Conflict when it is so already."""
    if user.is_active == is_active:
        raise Conflict(_("This account is switched on already.") if is_active else _("This account is switched off."))
    before = describe(user)
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    note(verb, actor, user, before, describe(user), tenant_id)
    return user


def lock(user_id: UUID) -> User:
    """Return the account's row, locked until the transaction ends. Raises User.DoesNotExist."""
    return User.objects.select_for_update().get(pk=user_id)


def describe(user: User) -> dict[str, Any]:
    """Return what history keeps of an account."""
    return {"email": user.email, "name": user.name, "is_active": user.is_active}


def note(
    verb: str,
    actor: Actor,
    user: User,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    tenant_id: UUID = PROVIDER_TENANT_ID,
) -> None:
    """Record what happened to an account, in the provider's history or that of the tenant it belongs to."""
    record(
        tenant_id,
        verb,
        object_type="service account" if user.is_service_account else "user",
        object_id=user.pk,
        actor=actor.stamp,
        data={"target": user.email, "before": before, "after": after},
    )


def _require(actor: Actor) -> None:
    actor.require_provider()
    actor.require_second_factor()
