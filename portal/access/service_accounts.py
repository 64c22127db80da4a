"""Service accounts and their API keys: provider admins manage all, a tenant's admins those of the tenant."""

from datetime import timedelta
from secrets import token_hex
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.keys import KeyLimits, issue_key
from portal.access.memberships import give_role
from portal.access.models import ApiKey, ServiceAccount, User
from portal.access.people import describe, lock, note, switch
from portal.access.roles import Capability, Role
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant

DOMAIN = "service.invalid"
"""Accounts get addresses that nobody can own or guess (RFC 2606), so a taken one tells nothing."""

MOST_HOURS_BESIDE = 168
"""How long at most a key lives on beside the one that follows it."""


def accounts_of(actor: Actor) -> QuerySet[User]:
    """Return the service accounts the actor manages."""
    own = Q(belongs_to__in=actor.tenants_where(Capability.MANAGE_MEMBERS))
    if actor.administers_provider:
        own |= Q(belongs_to__isnull=True) | Q(belongs_to__in=actor.tenants_where(Capability.MANAGE_TENANTS))
    return ServiceAccount.objects.filter(own, is_service_account=True)


def keys_of(actor: Actor) -> QuerySet[ApiKey]:
    """Return the API keys of the service accounts the actor manages."""
    return ApiKey.objects.filter(user__in=accounts_of(actor).order_by().values("pk"))


def create_account(*, tenant: Tenant | None, name: str, role: Role | None, actor: Actor) -> User:
    """Make a service account: a tenant's, with a role there, or the provider's own, which gets roles as people do.

    Raises Forbidden, BadRequest for a tenant's account without a role or the provider's with one.
    """
    if (tenant is None) != (role is None):
        raise BadRequest(_("A tenant's service account needs a role; the provider's gets its roles as memberships."))
    if not slugify(name):
        raise BadRequest(_("Give the service account a name."))
    _require(actor, tenant.pk if tenant else None)
    email = f"{slugify(name)[:40]}-{token_hex(3)}@{tenant.slug[:60] if tenant else 'provider'}.{DOMAIN}"
    account = User.objects.create_user(email, name=name.strip(), is_service_account=True, belongs_to=tenant)
    note("service_account.created", actor, account, None, describe(account), _history_of(account))
    if tenant is not None and role is not None:
        give_role(tenant_id=tenant.pk, email=email, role=role, actor=actor)
    return account


def deactivate_account(account_id: UUID, *, actor: Actor) -> User:
    """Switch a service account off; all its keys are refused from the next request on."""
    account = _lock_managed(account_id, actor)
    return switch(account, "service_account.deactivated", actor, _history_of(account), is_active=False)


def reactivate_account(account_id: UUID, *, actor: Actor) -> User:
    """Switch a service account on again; keys that were not revoked and have not expired work again."""
    account = _lock_managed(account_id, actor)
    return switch(account, "service_account.reactivated", actor, _history_of(account), is_active=True)


def make_key(
    account_id: UUID, *, name: str, lifetime: timedelta, limits: KeyLimits, actor: Actor
) -> tuple[ApiKey, str]:
    """Make a key for a service account and return it with its text, which nobody can show again.

    Raises Forbidden, BadRequest as issue_key does and for tenants the actor does not see, Conflict for an account that
    is switched off.
    """
    account = _lock_managed(account_id, actor)
    if not account.is_active:
        raise Conflict(_("This service account is switched off."))
    if not name.strip():
        raise BadRequest(_("Give the key a name."))
    _refuse_foreign_tenants(account, limits, actor)
    key, text = issue_key(account, name=name.strip(), lifetime=lifetime, limits=limits, created_by_id=actor.id)
    _note(key, "api_key.made", actor, None, _describe(key))
    return key, text


def rotate_key(key_id: UUID, *, hours_beside: int, lifetime: timedelta, actor: Actor) -> tuple[ApiKey, str]:
    """Make a key like this one and let this one end in so many hours, or when it would have; 0 is at once.

    Raises Forbidden, BadRequest for over a week, Conflict for a key that no longer works.
    """
    if not 0 <= hours_beside <= MOST_HOURS_BESIDE:
        raise BadRequest(_("The old key may live on for 0 to %(most)d hours.") % {"most": MOST_HOURS_BESIDE})
    old = _lock_working(key_id, actor)
    before = _describe(old)
    limits = KeyLimits(Role(old.role) if old.role else None, old.tenant_ids, old.networks)
    new, text = make_key(old.user_id, name=old.name, lifetime=lifetime, limits=limits, actor=actor)
    old.expires_at = min(old.expires_at, timezone.now() + timedelta(hours=hours_beside))
    old.save(update_fields=["expires_at"])
    _note(old, "api_key.rotated", actor, before, _describe(old) | {"followed_by": str(new)})
    return new, text


def revoke_key(key_id: UUID, *, actor: Actor) -> ApiKey:
    """End a key at once. Raises Forbidden, Conflict for one that no longer works."""
    key = _lock_working(key_id, actor)
    before = _describe(key)
    key.revoked_at, key.revoked_by_id = timezone.now(), actor.id
    key.save(update_fields=["revoked_at", "revoked_by"])
    _note(key, "api_key.revoked", actor, before, _describe(key))
    return key


def _require(actor: Actor, tenant_id: UUID | None) -> None:
    if tenant_id is None:
        actor.require_provider()
    elif not actor.administers_provider:
        actor.require(Capability.MANAGE_MEMBERS, tenant_id)
    actor.require_second_factor()


def _lock_managed(account_id: UUID, actor: Actor) -> User:
    account = lock(account_id)
    if not account.is_service_account:
        raise Forbidden(_("This is a person's account, not a service account."))
    _require(actor, account.belongs_to_id)
    return account


def _lock_working(key_id: UUID, actor: Actor) -> ApiKey:
    key = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=key_id)
    _require(actor, key.user.belongs_to_id)
    if key.revoked_at is not None or key.expires_at <= timezone.now():
        raise Conflict(_("The key %(key)s does not work any more.") % {"key": key})
    return key


def _refuse_foreign_tenants(account: User, limits: KeyLimits, actor: Actor) -> None:
    reached = {account.belongs_to_id} if account.belongs_to_id else set(actor.tenants_where(Capability.MANAGE_TENANTS))
    if limits.tenant_ids is not None and not reached >= set(limits.tenant_ids):
        raise BadRequest(_("The key can only be limited to tenants of its account."))


def _history_of(account: User) -> UUID:
    return account.belongs_to_id or PROVIDER_TENANT_ID


def _describe(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role,
        "tenants": None if key.tenant_ids is None else [str(tenant_id) for tenant_id in key.tenant_ids],
        "networks": key.networks,
        "expires_at": key.expires_at.isoformat(timespec="seconds"),
        "is_revoked": key.revoked_at is not None,
    }


def _note(key: ApiKey, verb: str, actor: Actor, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    record(
        _history_of(key.user),
        verb,
        object_type="API key",
        object_id=key.pk,
        actor=actor.stamp,
        data={"target": str(key), "account": key.user.email, "before": before, "after": after},
    )
