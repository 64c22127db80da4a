"""The API app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApiConfig(AppConfig):
    """What every API resource stands on."""

    name = "portal.api"
    label = "api"
    verbose_name = _("API")
