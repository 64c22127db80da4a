"""API keys: made once, shown once, kept as a hash."""

import hashlib
import hmac
import secrets
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from portal.access.models import ApiKey, User

MARK = "quell"
"""Every key begins with it, so that secret scanners can recognise one."""

LONGEST_LIFE = timedelta(days=90)


def issue_key(account: User, *, name: str, lifetime: timedelta) -> tuple[ApiKey, str]:
    """Make a key for a service account and return it with its secret text, which nobody can show again.

    Raises BadRequest for a person's account or a lifetime over 90 days.
    """
    if not account.is_service_account:
        raise BadRequest(_("API keys belong to service accounts, not to people."))
    if not timedelta(0) < lifetime <= LONGEST_LIFE:
        raise BadRequest(_("An API key lives at most 90 days."))
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        user=account, name=name, prefix=prefix, digest=_digest(secret), expires_at=timezone.now() + lifetime
    )
    return key, f"{MARK}_{prefix}_{secret}"


def find_account(text: str) -> User | None:
    """Return the active service account a key belongs to, or None for a key that is wrong, expired or revoked."""
    mark, _first, rest = text.partition("_")
    prefix, _second, secret = rest.partition("_")
    if mark != MARK or not secret:
        return None
    key = ApiKey.objects.select_related("user").filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.digest, _digest(secret)):
        return None
    if key.revoked_at or key.expires_at <= timezone.now() or not key.user.is_active:
        return None
    return key.user


def _digest(secret: str) -> str:
    """A key has 256 random bits, so one SHA-256 is enough; slow hashes are for passwords people choose."""
    return hashlib.sha256(secret.encode()).hexdigest()
