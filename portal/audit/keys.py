"""The Ed25519 key that signs seals: a PEM file (PKCS #8) that its owner alone may read."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings


class UnusableKey(RuntimeError):
    """There is no sealing key, or none that may be used; the text says what to do."""


def read_key() -> Ed25519PrivateKey:
    """Return the key in AUDIT_SEALING_KEY_FILE; in development it is made on first use. Raises UnusableKey."""
    path = Path(settings.AUDIT_SEALING_KEY_FILE)
    if settings.IS_DEVELOPMENT and not path.exists():
        with suppress(FileExistsError):
            make_key(path)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UnusableKey(f"Others may read {path}: chmod it to 0600, and make a new key if somebody did.")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UnusableKey(
            f"The sealing key {path} cannot be read: {error.strerror}. Make one with `manage.py audit new-key`."
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(f"{path} holds no unencrypted private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{path} holds a key that is not Ed25519. Make one with `manage.py audit new-key`.")
    return key


def make_key(path: Path) -> Ed25519PrivateKey:
    """Write a new key to a file that does not exist yet. Raises FileExistsError and other OSErrors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as draft:  # for its owner alone
        draft.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        draft.flush()
        os.link(draft.name, path)  # whole or not at all, and never over another one
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    """Return the public key as 64 hexadecimal digits, the form in which the verifier takes it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
