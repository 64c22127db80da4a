"""The investigations app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InvestigationsConfig(AppConfig):
    """Devices, alerts, investigations and evidence."""

    name = "investigations"
    verbose_name = _("Investigations")
