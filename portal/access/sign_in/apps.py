"""The sign-in app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SignInConfig(AppConfig):
    """What Quell decides about signing in; django-allauth does the rest."""

    name = "portal.access.sign_in"
    label = "sign_in"
    verbose_name = _("Sign-in")
