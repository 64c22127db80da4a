"""The audit app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from portal.audit.checks import check_sealing


class AuditConfig(AppConfig):
    """The history of everything."""

    name = "portal.audit"
    label = "audit"
    verbose_name = _("Audit")

    def ready(self) -> None:
        """Register the check of sealing."""
        register(check_sealing)
