"""The tenancy app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenancyConfig(AppConfig):
    """Tenants and the walls between them."""

    name = "portal.tenancy"
    label = "tenancy"
    verbose_name = _("Tenants")
