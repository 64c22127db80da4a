"""API keys: made once, shown once, kept as a hash, and looked at on every request that carries one."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.access.addresses import Address
from portal.access.exceptions import BadRequest
from portal.access.models import ApiKey, User
from portal.access.roles import Role
from portal.audit.recording import ActorStamp
from portal.audit.refusals import note_refusal
from portal.tenancy.models import PROVIDER_TENANT_ID

MARK = "quell"
"""Every key begins with it, so that secret scanners can recognise one."""

LONGEST_LIFE = timedelta(days=90)
MOST_NETWORKS = 100

NOTED_EVERY = timedelta(minutes=1)
"""How often at most the use of a key is written down, and how often its refusal goes on record."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key is held to, besides what its account may: a role, some tenants, some networks (CIDR).

    None sets no limit of its own; neither does naming no network.
    """

    role: Role | None = None
    tenant_ids: Sequence[UUID] | None = None
    networks: Sequence[str] = ()


UNLIMITED = KeyLimits()


def issue_key(
    account: User,
    *,
    name: str,
    lifetime: timedelta,
    limits: KeyLimits = UNLIMITED,
    created_by_id: UUID | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for a service account and return it with its secret text, which nobody can show again.

    Raises BadRequest for a person's account, a lifetime over 90 days, no tenants, or what is no network.
    """
    if not account.is_service_account:
        raise BadRequest(_("API keys belong to service accounts, not to people."))
    if not timedelta(0) < lifetime <= LONGEST_LIFE:
        raise BadRequest(_("An API key lives at most 90 days."))
    if limits.tenant_ids is not None and not limits.tenant_ids:
        raise BadRequest(_("Name at least one tenant, or do not limit the key to tenants."))
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        user=account,
        name=name,
        prefix=prefix,
        digest=_digest(secret),
        role=limits.role,
        tenant_ids=None if limits.tenant_ids is None else sorted(set(limits.tenant_ids)),
        networks=read_networks(limits.networks),
        created_by_id=created_by_id,
        expires_at=timezone.now() + lifetime,
    )
    return key, f"{MARK}_{prefix}_{secret}"


def read_networks(texts: Sequence[str]) -> list[str]:
    """Return networks in one spelling, an address as a network of one. Raises BadRequest that names a wrong one."""
    if len(texts) > MOST_NETWORKS:
        raise BadRequest(_("A key takes at most %(count)d networks.") % {"count": MOST_NETWORKS})
    networks = []
    for text in texts:
        try:
            networks.append(str(ip_network(text.strip())))
        except ValueError as error:
            raise BadRequest(
                _("“%(text)s” is not a network: write it like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7.")
                % {"text": text}
            ) from error
    return list(dict.fromkeys(networks))


def find_key(text: str, address: Address | None) -> ApiKey | None:
    """Return the key a request carries and note its use, or None for one that is wrong.

    None also for the right text of a key that has expired, was revoked, belongs to an account that is switched off, or
    comes from outside its networks: whoever sends it is told no more than a stranger, and it goes on record.
    """
    mark, _first, rest = text.partition("_")
    prefix, _second, secret = rest.partition("_")
    if mark != MARK or not secret or not prefix.isalnum():
        return None
    key = ApiKey.objects.select_related("user").filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.digest, _digest(secret)):
        return None
    reason = _why_refused(key, address)
    if reason:
        _note_refusal(key, reason, address)
        return None
    _note_use(key, address)
    return key


def _why_refused(key: ApiKey, address: Address | None) -> str:
    if key.revoked_at is not None:
        return "it was revoked"
    if key.expires_at <= timezone.now():
        return "it has expired"
    if not key.user.is_active:
        return "its account is switched off"
    if key.networks and not any(address is not None and address in ip_network(network) for network in key.networks):
        return "it came from outside its networks"
    return ""


def _note_use(key: ApiKey, address: Address | None) -> None:
    """Write it down at most once a minute, however many requests come at once; before the request's own transaction."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - NOTED_EVERY:
        _not_since("last_used_at", key, now - NOTED_EVERY).update(last_used_at=now, last_used_address=_text(address))


def _note_refusal(key: ApiKey, reason: str, address: Address | None) -> None:
    """Tell the history of the account's tenant or the provider's, once a minute at most: nobody can flood it."""
    now = timezone.now()
    if not _not_since("last_refused_at", key, now - NOTED_EVERY).update(last_refused_at=now):
        return
    note_refusal(
        key.user.belongs_to_id or PROVIDER_TENANT_ID,
        "api_key.refused",
        object_type="API key",
        object_id=key.pk,
        actor=ActorStamp(key.user_id, key.user.email),
        data={"target": str(key), "reason": reason, "address": _text(address)},
    )


def _not_since(column: str, key: ApiKey, moment: datetime) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(Q(**{column: None}) | Q(**{f"{column}__lt": moment}), pk=key.pk)


def _text(address: Address | None) -> str | None:
    """An IPv6 address may name a network card of ours (%eth0), which is nobody else's business."""
    return None if address is None else str(address).partition("%")[0]


def _digest(secret: str) -> str:
    """A key has 256 random bits, so one SHA-256 is enough; slow hashes are for passwords people choose."""
    return hashlib.sha256(secret.encode()).hexdigest()
