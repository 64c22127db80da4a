"""The Django app that brings `manage.py demo` and `manage.py story`."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The demo; it has no tables."""

    name = "portal.demo"
    label = "demo"
