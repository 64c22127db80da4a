"""The hunting app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HuntingConfig(AppConfig):
    """Questions to Microsoft, and what their answers lead to."""

    name = "remediation.hunting"
    label = "hunting"
    verbose_name = _("Hunting")
