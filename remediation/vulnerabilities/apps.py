"""The vulnerabilities app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VulnerabilitiesConfig(AppConfig):
    """What is weak on the tenants' devices, and who sees to it until when."""

    name = "remediation.vulnerabilities"
    label = "vulnerabilities"
    verbose_name = _("Vulnerability management")
