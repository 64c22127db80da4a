"""The access app."""

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class AccessConfig(AppConfig):
    """People, service accounts and their roles."""

    name = "portal.access"
    label = "access"
    verbose_name = _("People and keys")


class PortalAdminConfig(admin_apps.AdminConfig):
    """Django's admin, with our own site as its default one, and without Django's groups, which give no rights here."""

    default = False
    default_site = "portal.access.admin_site.PortalSite"

    def ready(self) -> None:
        """Load every app's pages, then take away the one that means nothing."""
        super().ready()
        admin.site.unregister(apps.get_model("auth", "Group"))
