"""What goes wrong with secrets. No message holds a secret, a key or sealed bytes."""

from django.core.exceptions import ImproperlyConfigured


class MasterKeyUnusable(ImproperlyConfigured):
    """There is no master key, or it cannot be used as it is; the message says what to do."""


class SecretUnreadable(RuntimeError):
    """Sealed bytes do not open: they were changed, were sealed for another place, or their key is gone."""
