"""The remediation actions app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ActionsConfig(AppConfig):
    """Remediation actions and the Action center."""

    name = "remediation.actions"
    label = "actions"
    verbose_name = _("Action center")
