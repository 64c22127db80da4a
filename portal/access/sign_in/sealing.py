"""Second-factor seeds are kept encrypted: whoever reads the table cannot make codes."""

import base64
from typing import Final

from allauth.mfa.models import Authenticator
from django.db import transaction

from portal.secrets.master import rewrap, unwrap, wrap

CONTEXT: Final = b"second factor"
"""One for all people: the library that asks for the sealing does not say whose seed it is."""

SEALED_FIELDS: Final = ("secret", "seed")
"""Under these names an authenticator's data holds a TOTP secret and the seed of recovery codes."""


def encrypt(text: str) -> str:
    """Return the text sealed by the master key, as base64."""
    return base64.b64encode(wrap(text.encode(), CONTEXT)).decode("ascii")


def decrypt(sealed: str) -> str:
    """Return what was sealed."""
    return unwrap(base64.b64decode(sealed), CONTEXT).decode()


def seal_again() -> int:
    """Seal under the first master key what was under another, one row at a time; return how many rows. For rotate_keys.

    Raises SecretUnreadable.
    """
    keys = list(Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).values_list("pk", flat=True))
    return sum(_seal_again(key) for key in keys)


@transaction.atomic
def _seal_again(key: int) -> bool:
    row = Authenticator.objects.select_for_update().filter(pk=key).first()
    if row is None:
        return False
    before = {name: row.data[name] for name in SEALED_FIELDS if name in row.data}
    after = {name: _under_first_key(sealed) for name, sealed in before.items()}
    if before == after:
        return False
    row.data |= after
    row.save(update_fields=["data"])
    return True


def _under_first_key(sealed: str) -> str:
    return base64.b64encode(rewrap(base64.b64decode(sealed), CONTEXT)).decode("ascii")
