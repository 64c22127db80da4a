"""The master key: `wrap` and `unwrap` are the two functions that a key management service would replace.

AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D). Sealed bytes are: version (1 byte), id of the master key (4),
nonce (12), ciphertext with its tag. The context, and all that stands before the nonce, is associated data.

The first key seals, every key opens. MASTER_KEY_FILE is read again when it changes, so no process needs a restart.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from portal.secrets.exceptions import MasterKeyUnusable, SecretUnreadable

VERSION: Final = b"\x01"
ID_BYTES: Final = 4
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
HEAD_BYTES: Final = len(VERSION) + ID_BYTES


def wrap(plain: bytes, context: bytes) -> bytes:
    """Seal `plain` under the first master key, bound to `context`: a name of the row and field it is for, no secret.

    Raises MasterKeyUnusable.
    """
    key = _keys()[0]
    head = VERSION + _id_of(key)
    nonce = os.urandom(NONCE_BYTES)
    return head + nonce + AESGCM(key).encrypt(nonce, plain, head + context)


def unwrap(sealed: bytes, context: bytes) -> bytes:
    """Open what `wrap` sealed for this very context, under any of the master keys.

    Raises SecretUnreadable for changed bytes, another context or a master key that is gone, and MasterKeyUnusable.
    """
    sealed = bytes(sealed)
    key = next((key for key in _keys() if VERSION + _id_of(key) == sealed[:HEAD_BYTES]), None)
    if key is None:
        raise SecretUnreadable(
            f"{_name(context)} was sealed under the master key {key_id_of(sealed)}, which is not here; add it again."
        )
    nonce, ciphertext = sealed[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES], sealed[HEAD_BYTES + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, sealed[:HEAD_BYTES] + context)
    except (InvalidTag, ValueError):
        raise SecretUnreadable(
            f"{_name(context)} does not open: it was changed, or sealed for another place."
        ) from None


def rewrap(sealed: bytes, context: bytes) -> bytes:
    """Return the same secret under the first master key; the very same bytes when it is under it already.

    Raises what `unwrap` raises.
    """
    if key_id_of(sealed) == first_key_id():
        return bytes(sealed)
    return wrap(unwrap(sealed, context), context)


def key_id_of(sealed: bytes) -> str:
    """Return the id of the master key that sealed these bytes, in hexadecimal; it tells nothing about the key."""
    return bytes(sealed)[len(VERSION) : HEAD_BYTES].hex()


def first_key_id() -> str:
    """Return the id of the master key that seals. Raises MasterKeyUnusable."""
    return _id_of(_keys()[0]).hex()


def key_ids() -> list[str]:
    """Return the ids of all master keys, the sealing one first. Raises MasterKeyUnusable."""
    return [_id_of(key).hex() for key in _keys()]


def new_key_line() -> str:
    """Return a fresh random master key as a line for MASTER_KEY_FILE."""
    return b64encode(os.urandom(KEY_BYTES)).decode()


def _id_of(key: bytes) -> bytes:
    return sha256(key).digest()[:ID_BYTES]


def _name(context: bytes) -> str:
    return f"The secret “{context.decode(errors='replace')}”"


def _keys() -> tuple[bytes, ...]:
    """Return the master keys: those of the file where one is named, else those of the environment."""
    if not settings.MASTER_KEY_FILE:
        return _parse(settings.MASTER_KEYS, "MASTER_KEYS")
    path = Path(settings.MASTER_KEY_FILE)
    if settings.IS_DEVELOPMENT and not path.exists():
        _make(path)
    try:
        found = path.stat()
        if found.st_mode & 0o177:
            raise MasterKeyUnusable(f"MASTER_KEY_FILE {path} may be read by others; run: chmod 600 {path}")
        return _read(path, found.st_ino, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise MasterKeyUnusable(f"MASTER_KEY_FILE {path} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=1)
def _read(path: Path, _inode: int, _changed_ns: int, _size: int) -> tuple[bytes, ...]:
    """Read the file; what tells one state of it from the next is part of the cache's key."""
    return _parse(path.read_text(encoding="ascii", errors="replace"), f"MASTER_KEY_FILE {path}")


def _parse(text: str, where: str) -> tuple[bytes, ...]:
    lines = text.replace(",", " ").split()
    if not lines:
        raise MasterKeyUnusable(
            f"{where} holds no master key. Make one with `openssl rand -base64 32`, keep a copy where the backups are "
            "not, and name its file in MASTER_KEY_FILE."
        )
    return tuple(_key(line, f"Line {number} of {where}") for number, line in enumerate(lines, start=1))


def _key(line: str, where: str) -> bytes:
    try:
        key = b64decode(line, validate=True)
    except NotBase64:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyUnusable(f"{where} is not 32 bytes in base64, as `openssl rand -base64 32` prints them.")
    return key


def _make(path: Path) -> None:
    """Make development's key file, complete or not at all; the first of several processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(mode="w", dir=path.parent, prefix="master-keys-") as draft:
        draft.write(new_key_line() + "\n")
        draft.flush()
        try:
            os.link(draft.name, path)
        except FileExistsError:
            return
