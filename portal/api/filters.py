"""Filters of lists. A foreign or unknown id gives an empty list; a filter that does not exist is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError as BadValue
from django.db.models import QuerySet
from django.forms import Form
from django.utils.translation import gettext as _
from django_filters.fields import IsoDateTimeField, IsoDateTimeRangeField, RangeField
from django_filters.rest_framework import (
    DjangoFilterBackend,
    FilterSet,
    IsoDateTimeFromToRangeFilter,
    UUIDFilter,
)
from django_filters.widgets import SuffixedMultiWidget
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

PAGING = frozenset({"cursor", "limit"})
LISTINGS = frozenset({"list", "export"})
"""The actions whose filters say which rows are given; `export` gives them as a file."""


class _Moment(IsoDateTimeField):
    """A moment in UTC: PostgreSQL refuses offsets of 16 hours and more, which ISO 8601 may say."""

    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError as error:
            raise BadValue(self.error_messages["invalid"], code="invalid") from error


class _MomentRange(IsoDateTimeRangeField):
    def __init__(self, *args: Any, **options: Any) -> None:
        RangeField.__init__(self, (_Moment(), _Moment()), *args, **options)


class MomentRangeFilter(IsoDateTimeFromToRangeFilter):
    """Between two moments (ISO 8601), whatever their offset from UTC."""

    field_class = _MomentRange


class TenantFilterSet(FilterSet):
    """The filter that every list of tenants' rows has."""

    tenant = UUIDFilter(field_name="tenant_id", label="Rows of one tenant, by its id.")


class KnownFilters(DjangoFilterBackend):
    """django-filter's backend, which also refuses unknown parameters: a misspelt one would let everything through."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the rows that pass. Raises ValidationError that names each unknown or malformed parameter."""
        filterset = self.get_filterset(request, queryset, view)
        if filterset is not None and getattr(view, "action", "") in LISTINGS:
            unknown = set(request.query_params) - PAGING - set(_names(filterset.form))
            if unknown:
                raise ValidationError({name: [_("There is no such filter.")] for name in sorted(unknown)})
        passed: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return passed


def _names(form: Form) -> Iterator[str]:
    for name, field in form.fields.items():
        if isinstance(field.widget, SuffixedMultiWidget):
            yield from (f"{name}_{suffix}" for suffix in field.widget.suffixes)
        else:
            yield name
