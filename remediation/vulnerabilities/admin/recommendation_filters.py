"""The filters of the list of security recommendations."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from portal.access.audit_filters import TypedFilter
from portal.access.scoped_admin import WordFilter
from remediation.vulnerabilities.recommendations.customers import about, cve_trouble
from remediation.vulnerabilities.states import RecommendationStatus


class _HidingFilter(admin.SimpleListFilter):
    """A filter that leaves something out until one chooses to see it; the first choice says so."""

    default: Any = ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Call the first choice by what it shows."""
        first, *others = super().choices(changelist)
        yield {**first, "display": self.default}
        yield from others


class StatusFilter(_HidingFilter):
    """By what exceptions leave of it; what is in full exception is hidden until one asks for it."""

    title = gettext_lazy("status")
    parameter_name = "status"
    default = gettext_lazy("Active and partial exception")

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return what can be chosen."""
        return [*RecommendationStatus.choices, ("all", gettext_lazy("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list."""
        if self.value() is None:
            return queryset.exclude(status=RecommendationStatus.FULL_EXCEPTION)
        return queryset if self.value() == "all" else queryset.filter(status=self.value())


class ListedFilter(_HidingFilter):
    """By whether Microsoft lists it still."""

    title = gettext_lazy("listed")
    parameter_name = "listed"
    default = gettext_lazy("Listed by Microsoft")

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return what can be chosen."""
        return [("no", gettext_lazy("No longer listed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list."""
        return queryset.filter(disappeared_at__isnull=self.value() != "no")


class ExploitFilter(admin.SimpleListFilter):
    """By what is known of attacks."""

    title = gettext_lazy("threats")
    parameter_name = "threat"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return what can be chosen."""
        return [
            ("is_known_exploited", gettext_lazy("Known exploited")),
            ("is_used_by_ransomware", gettext_lazy("Used by ransomware")),
            ("has_public_exploit", gettext_lazy("Public exploit")),
            ("has_active_alert", gettext_lazy("Active alert")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list."""
        name = self.value()
        return queryset.filter(**{name: True}) if name in dict(self.lookup_choices) and name else queryset


class RemediationTypeFilter(WordFilter):
    """By Microsoft's word for what to do (facts 6.8)."""

    title = gettext_lazy("remediation type")
    parameter_name = "remediation_type"
    words = (
        ("Update", gettext_lazy("Update")),
        ("Upgrade", gettext_lazy("Upgrade")),
        ("Uninstall", gettext_lazy("Uninstall")),
        ("ConfigurationChange", gettext_lazy("Configuration change")),
    )


class CategoryFilter(WordFilter):
    """By Microsoft's category (facts 6.8)."""

    title = gettext_lazy("category")
    parameter_name = "category"
    words = (
        ("Application", gettext_lazy("Application")),
        ("OS", gettext_lazy("Operating system")),
        ("Network", gettext_lazy("Network")),
        ("Accounts", gettext_lazy("Accounts")),
        ("SecurityControls", gettext_lazy("Security controls")),
    )


class NamedFilter(TypedFilter):
    """By a CVE, product or vendor."""

    title = gettext_lazy("CVE or product")
    fields = (
        ("cve", gettext_lazy("CVE"), "text"),
        ("product", gettext_lazy("Product contains"), "text"),
        ("vendor", gettext_lazy("Vendor contains"), "text"),
    )

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list; say so where what was typed is no CVE."""
        if trouble := cve_trouble(str(self.used_parameters.get("cve", ""))):
            messages.error(request, trouble)
            return queryset.none()
        return queryset.filter(about(**{name: str(value) for name, value in self.used_parameters.items()}))
