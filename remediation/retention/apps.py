"""The retention app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from remediation.retention.checks import check_retention


class RetentionConfig(AppConfig):
    """What is kept how long, what must not leave, and what has left."""

    name = "remediation.retention"
    label = "retention"
    verbose_name = _("Retention")

    def ready(self) -> None:
        """Register the checks."""
        register(check_retention)
