"""The API app."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class ApiConfig(AppConfig):
    """What every API resource stands on."""

    name = "portal.api"
    label = "api"
    verbose_name = _("API")

    def ready(self) -> None:
        """Register the check of the routes, which can be imported only now: it needs models."""
        from portal.api.default_deny import check_routes

        register(check_routes)
