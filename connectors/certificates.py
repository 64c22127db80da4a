"""The certificate an app registration signs in with: PEM text with its private key, RSA as Entra's PS256 needs it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.utils.translation import gettext as _

LEAST_BITS: Final = 2048
MOST_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key. `expires_at` is UTC; `thumbprint` SHA-256, 64 capital hex digits as Entra shows it."""

    private_key: str = field(repr=False)
    public_certificate: str
    expires_at: datetime
    thumbprint: str


def read_certificate(pem: str) -> Certificate:
    """Read a PEM text that holds one private key and its certificate, the certificate first of a chain.

    Raises ValueError, whose words are safe to show, for everything that Entra would not take.
    """
    if len(pem) > MOST_CHARACTERS:
        raise ValueError(_("The certificate is too long; give one private key and its certificate, as PEM."))
    certificate = _certificate_in(pem)
    key = _key_in(pem)
    if key.key_size < LEAST_BITS:
        raise ValueError(_("The private key is too short; make one of at least %(bits)s bits.") % {"bits": LEAST_BITS})
    if certificate.public_key() != key.public_key():
        raise ValueError(_("The private key does not belong to the certificate; give the two that belong together."))
    return Certificate(
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        public_certificate=certificate.public_bytes(Encoding.PEM).decode(),
        expires_at=certificate.not_valid_after_utc,
        thumbprint=certificate.fingerprint(SHA256()).hex().upper(),
    )


def _certificate_in(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_("There is no certificate in it; it begins with -----BEGIN CERTIFICATE-----.")) from None


def _key_in(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError(_("The private key is locked with a password; give it without one.")) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_("There is no private key in it; it begins with -----BEGIN PRIVATE KEY-----.")) from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(_("The private key is not RSA; Microsoft takes no other to sign in."))
    return key
