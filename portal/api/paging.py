"""Keyset paging: every list is ordered by what grows with time, so a page costs the same however deep it lies."""

from typing import Any

from django.core.exceptions import ValidationError as BadValue
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class KeysetPagination(CursorPagination):
    """Newest first, 50 a page, at most 200 by `?limit=`; `next` and `previous` are links to follow as they are."""

    ordering: str | tuple[str, ...] = "-id"
    page_size_query_param = "limit"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        """Return one page. Raises ValidationError for a cursor that was not given out here."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (BadValue, NotFound) as error:
            raise ValidationError({"cursor": [_("Follow `next` and `previous` as they are.")]}) from error


class HistoryPagination(KeysetPagination):
    """Newest first by time, for rows whose ids are not ordered by it."""

    ordering = ("-at", "-seq")
