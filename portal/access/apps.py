"""The access app."""

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _

NOT_OURS = (
    "account.EmailAddress",
    "auth.Group",
    "mfa.Authenticator",
    "socialaccount.SocialAccount",
    "socialaccount.SocialApp",
    "socialaccount.SocialToken",
)


class AccessConfig(AppConfig):
    """People, service accounts and their roles."""

    name = "portal.access"
    label = "access"
    verbose_name = _("People and keys")


class PortalAdminConfig(admin_apps.AdminConfig):
    """Django's admin, with our own site as its default one, and without the pages that libraries bring along."""

    default = False
    default_site = "portal.access.admin_site.PortalSite"

    def ready(self) -> None:
        """Load every app's pages, then take away those that are not ours: they know nothing of capabilities."""
        super().ready()
        for name in NOT_OURS:
            admin.site.unregister(apps.get_model(name))
