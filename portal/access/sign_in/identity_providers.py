"""Keeps identity providers: who may change one, what may be written in it, and how a tenant's is found by name."""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.models import ProviderMembership, Reach
from portal.access.roles import Capability, Role
from portal.access.sign_in.fetching import refuse_unsafe_address
from portal.access.sign_in.models import IdentityProvider
from portal.audit.recording import record
from portal.secrets.envelope import reseal, seal, unseal
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.naming import tenant_id_of
from portal.tenancy.scope import acting_for

SEALED_AS: Final = "identity provider client secret"
"""What the secret is bound to, beside its tenant."""

MICROSOFT: Final = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
PROVIDER_NAME: Final = "provider"
"""The short name under which provider staff find their own sign-in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an identity provider is to be. An empty secret keeps the one there is."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    entra_tenant_id: UUID | None
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Organisation:
    """A tenant's own sign-in, opened for one request."""

    tenant_id: UUID
    slug: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    entra_tenant_id: UUID | None


def require_manager(actor: Actor, tenant_id: UUID) -> None:
    """Raise Forbidden unless the actor may change this tenant's sign-in; the provider's own needs a provider admin."""
    if tenant_id != PROVIDER_TENANT_ID:
        actor.require(Capability.MANAGE_CONNECTIONS, tenant_id)
    elif not ProviderMembership.objects.filter(
        user_id=actor.id, role=Role.PROVIDER_ADMIN, reach=Reach.ALL
    ).exists() or not actor.may_anywhere(Capability.MANAGE_TENANTS):
        raise Forbidden(_("Only somebody who administers the provider changes how its staff sign in."))


def save_identity_provider(tenant_id: UUID, wanted: Wanted, *, actor: Actor) -> IdentityProvider:
    """Make or change a tenant's identity provider, on record; needs a fresh second factor.

    A changed issuer makes every link of a person to an account there void. Raises Forbidden, SecondFactorNeeded,
    BadRequest for an address that is not allowed, Conflict for a new one without a secret.
    """
    require_manager(actor, tenant_id)
    actor.require_second_factor()
    _refuse_unpinned(wanted)
    refuse_unsafe_address(wanted.issuer)
    with acting_for(tenant_id):
        row = IdentityProvider.objects.select_for_update().filter(tenant_id=tenant_id).first()
        before = _values(row) if row else None
        if row is None and not wanted.client_secret:
            raise Conflict(_("A new identity provider needs its client secret."))
        row = row or IdentityProvider(tenant_id=tenant_id)
        row.issuer, row.client_id = wanted.issuer.rstrip("/"), wanted.client_id
        row.entra_tenant_id, row.is_enabled = wanted.entra_tenant_id, wanted.is_enabled
        if wanted.client_secret:
            row.sealed_client_secret = seal(tenant_id, SEALED_AS, wanted.client_secret)
        row.save()
        after = _values(row) | ({"client_secret": "replaced"} if wanted.client_secret else {})
        _record(row, "changed" if before else "added", actor, before, after)
    return row


def delete_identity_provider(row: IdentityProvider, *, actor: Actor) -> None:
    """Take a tenant's identity provider away, on record; needs a fresh second factor."""
    require_manager(actor, row.tenant_id)
    actor.require_second_factor()
    with acting_for(row.tenant_id):
        _record(row, "deleted", actor, _values(row), None)
        row.delete()


def find_organisation(slug: str) -> Organisation | None:
    """Return a tenant's own sign-in by the tenant's short name; None for an unknown name as for one without.

    Opens the tenant's scope by itself: it is asked for before anybody is signed in.
    """
    tenant_id = PROVIDER_TENANT_ID if slug == PROVIDER_NAME else tenant_id_of(slug)
    if tenant_id is None:
        return None
    with acting_for(tenant_id):
        row = IdentityProvider.objects.filter(is_enabled=True).first()
        if row is None:
            return None
        secret = unseal(tenant_id, SEALED_AS, bytes(row.sealed_client_secret))
    return Organisation(tenant_id, slug, row.issuer, row.client_id, secret, row.entra_tenant_id)


def reseal_client_secret(tenant_id: UUID) -> int:
    """Seal the tenant's client secret anew under its newest data key; return how many that were. For rotate_keys."""
    with acting_for(tenant_id):
        row = IdentityProvider.objects.select_for_update().first()
        if row is None:
            return 0
        row.sealed_client_secret = reseal(tenant_id, SEALED_AS, bytes(row.sealed_client_secret))
        row.save(update_fields=["sealed_client_secret"])
    return 1


def _refuse_unpinned(wanted: Wanted) -> None:
    """Microsoft's issuers for many directories at once would vouch for anybody's accounts."""
    parts = urlsplit(wanted.issuer)
    if parts.query or parts.fragment or parts.username:
        raise BadRequest(_("An issuer is an address without user name, query and fragment."))
    if parts.hostname not in (
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
    ):
        return
    directory = parts.path.strip("/").partition("/")[0]
    if wanted.entra_tenant_id is None or directory.lower() != str(wanted.entra_tenant_id):
        raise BadRequest(
            _("Microsoft's issuer must name one directory, and its id must be given as Microsoft Entra tenant id.")
        )


def _values(row: IdentityProvider) -> dict[str, Any]:
    return {
        "issuer": row.issuer,
        "client_id": row.client_id,
        "entra_tenant_id": str(row.entra_tenant_id or ""),
        "is_enabled": row.is_enabled,
    }


def _record(row: IdentityProvider, what: str, actor: Actor, before: Any, after: Any) -> None:
    record(
        row.tenant_id,
        f"identity_provider.{what}",
        object_type="identity provider",
        object_id=row.pk,
        actor=actor.stamp,
        data={"before": before, "after": after},
    )
