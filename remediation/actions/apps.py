"""The remediation actions app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from remediation.actions.checks import check_times


class ActionsConfig(AppConfig):
    """Remediation actions and the Action center."""

    name = "remediation.actions"
    label = "actions"
    verbose_name = _("Action center")

    def ready(self) -> None:
        """Register the checks of the times."""
        register(check_times)
