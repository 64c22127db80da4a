"""Filters of history that one types, because what they look for is not a short list: events, people, kinds, days."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


class TypedFilter(admin.ListFilter):
    """A filter with fields of its own instead of links. `fields` are parameter, label and type of each input."""

    template = "admin/typed_filter.html"
    fields: ClassVar[tuple[tuple[str, str | Promise, str], ...]] = ()

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[models.Model],
        model_admin: "admin.ModelAdmin[Any]",
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name, _label, _kind in self.fields:
            typed = params.pop(name, [""])[-1].strip()
            if typed:
                self.used_parameters[name] = typed
        self.others = [pair for pair in request.GET.items() if pair[0] not in {*self.expected_parameters(), "p", "e"}]

    def expected_parameters(self) -> list[str | None]:
        """Return the parameters this filter reads."""
        return [name for name, _label, _kind in self.fields]

    def has_output(self) -> bool:
        """One can always type."""
        return True

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """Return the inputs with what was typed."""
        for name, label, kind in self.fields:
            yield {"name": name, "label": label, "kind": kind, "value": self.used_parameters.get(name, "")}

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Narrow the list by what was typed; the parameter is the look-up."""
        return queryset.filter(**self.used_parameters)


class EventFilter(TypedFilter):
    """By what happened: `action.` finds all that actions went through."""

    title = gettext_lazy("event")
    fields = (("verb__startswith", gettext_lazy("Event begins with"), "text"),)


class WhoFilter(TypedFilter):
    """By who did it."""

    title = gettext_lazy("actor")
    fields = (("actor_label__icontains", gettext_lazy("Name or e-mail contains"), "text"),)


class KindFilter(TypedFilter):
    """By the kind of object it happened to."""

    title = gettext_lazy("kind of object")
    fields = (("object_type__istartswith", gettext_lazy("Kind begins with"), "text"),)


class DayFilter(TypedFilter):
    """By days in UTC, both included."""

    title = gettext_lazy("time")
    fields = (
        ("from", gettext_lazy("From this day (UTC)"), "date"),
        ("to", gettext_lazy("To this day (UTC)"), "date"),
    )

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Narrow the list. Raises IncorrectLookupParameters for what is no day."""
        try:
            days = {
                name: datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
                for name, text in self.used_parameters.items()
            }
            end = days["to"] + timedelta(days=1) if "to" in days else None
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error
        if "from" in days:
            queryset = queryset.filter(at__gte=days["from"])
        return queryset.filter(at__lt=end) if end else queryset
