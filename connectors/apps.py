"""The connectors app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConnectorsConfig(AppConfig):
    """Connections to the customers' services."""

    name = "connectors"
    verbose_name = _("Connections")
