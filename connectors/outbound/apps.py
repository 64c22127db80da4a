"""The outbound app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OutboundConfig(AppConfig):
    """How each tenant's IT admins are told."""

    name = "connectors.outbound"
    label = "outbound"
    verbose_name = _("Notifications")
