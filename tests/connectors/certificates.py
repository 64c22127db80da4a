"""Certificates for tests, each with its private key, as an operator would make them with openssl."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Quell")])


NOW = datetime.now(UTC)
KEYS: dict[str, RSAPrivateKey] = {}


def make_key(name: str = "one", bits: int = 2048) -> RSAPrivateKey:
    """Return the key of this name, the same one every time."""
    return KEYS.setdefault(name, KEYS.get(name) or generate_private_key(65537, bits))


def make_certificate(name: str = "one", days: int = 300, bits: int = 2048) -> str:
    """Return a certificate over the key of this name, good for so many days from now (PEM)."""
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).serial_number(1)
    builder = builder.public_key(make_key(name, bits).public_key())
    builder = builder.not_valid_before(NOW - timedelta(days=400)).not_valid_after(NOW + timedelta(days=days, minutes=5))
    return builder.sign(make_key(name, bits), SHA256()).public_bytes(Encoding.PEM).decode()


def make_pem(name: str = "one", days: int = 300, bits: int = 2048) -> str:
    """Return the private key and its certificate in one PEM text."""
    key = make_key(name, bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return key + make_certificate(name, days, bits)
