"""The access app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccessConfig(AppConfig):
    """People, service accounts and their roles."""

    name = "portal.access"
    label = "access"
    verbose_name = _("People and keys")
