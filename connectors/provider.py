"""The provider's own certificate, from the file that MICROSOFT_CERTIFICATE_FILE names. It never enters the database."""

from pathlib import Path

from django.conf import settings

from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.secret_text import SecretText


def provider_certificate() -> SecretText | None:
    """Return the provider's key and certificate (PEM), read anew each time, or None where no file is named.

    Raises SecretUnreadable for a file that is not there or that others may read.
    """
    if not settings.MICROSOFT_CERTIFICATE_FILE:
        return None
    path = Path(settings.MICROSOFT_CERTIFICATE_FILE)
    try:
        if path.stat().st_mode & 0o177:
            raise SecretUnreadable(f"MICROSOFT_CERTIFICATE_FILE {path} may be read by others; run: chmod 600 {path}")
        return SecretText(path.read_text(encoding="ascii", errors="replace"))
    except OSError as error:
        raise SecretUnreadable(f"MICROSOFT_CERTIFICATE_FILE {path} cannot be read: {error.strerror}.") from error
