"""The safeguards app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SafeguardsConfig(AppConfig):
    """What holds actions back, and who may change that."""

    name = "remediation.safeguards"
    label = "safeguards"
    verbose_name = _("Safeguards")
