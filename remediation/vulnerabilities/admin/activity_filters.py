"""The filters of the list of remediation activities, those Microsoft's page has and a few more."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from portal.access.audit_filters import TypedFilter
from portal.access.scoped_admin import WordFilter
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import (
    ActivityState,
    Mitigation,
    Priority,
    RemediationOption,
    TaskStatus,
)

URGENCY = Case(
    When(priority=Priority.HIGH, then=Value(0)),
    When(priority=Priority.MEDIUM, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
"""Priorities in their order, the highest first."""


class OptionFilter(WordFilter):
    """By what is asked for."""

    title = gettext_lazy("remediation type")
    parameter_name = "option"
    words = RemediationOption.choices


class MitigationFilter(WordFilter):
    """By what is asked for until then."""

    title = gettext_lazy("mitigation")
    parameter_name = "mitigation"
    words = Mitigation.choices


class StateFilter(WordFilter):
    """By whether it is followed still, and of those that are not, by whether devices are exposed again."""

    title = gettext_lazy("status")
    parameter_name = "state"
    words = (*ActivityState.choices, ("exposed_again", gettext_lazy("Completed, exposed again")))

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list."""
        if self.value() == "exposed_again":
            return queryset.filter(exposed_again_at__isnull=False)
        return super().queryset(request, queryset)


class PriorityFilter(WordFilter):
    """By how urgent it is."""

    title = gettext_lazy("priority")
    parameter_name = "priority"
    words = Priority.choices


class DueFilter(admin.SimpleListFilter):
    """By when it is due; only open activities can be."""

    title = gettext_lazy("due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return what can be chosen."""
        return [("overdue", gettext_lazy("Overdue")), ("soon", gettext_lazy("Due soon, within three days"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow the list."""
        if self.value() == "overdue":
            return queryset.overdue()
        if self.value() == "soon":
            return queryset.due_soon()
        return queryset


class TicketFilter(admin.SimpleListFilter):
    """By how far the ticket in Intune is."""

    title = gettext_lazy("ticket status")
    parameter_name = "ticket"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return what can be chosen."""
        return [("none", gettext_lazy("No ticket")), *TaskStatus.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Narrow the list."""
        if self.value() == "none":
            return queryset.filter(wants_ticket=False)
        if self.value():
            found = RemediationActivity.objects.filter(tasks__status=self.value())
            return queryset.filter(pk__in=found.values("pk"))
        return queryset


class RequestedByFilter(TypedFilter):
    """By who asked for it."""

    title = gettext_lazy("requested by")
    fields = (("requested_by_label__icontains", gettext_lazy("Name or e-mail contains"), "text"),)
