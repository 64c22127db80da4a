"""The secrets app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from portal.secrets.checks import check_master_keys


class SecretsConfig(AppConfig):
    """How secrets are kept."""

    name = "portal.secrets"
    label = "secrets"
    verbose_name = _("Secrets")

    def ready(self) -> None:
        """Register the check of the master key."""
        register(check_master_keys)
