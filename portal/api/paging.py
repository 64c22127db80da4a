"""Keyset paging: every list is ordered by its time-ordered id, so a page costs the same however deep it lies."""

from rest_framework.pagination import CursorPagination


class KeysetPagination(CursorPagination):
    """Newest first, 50 a page, at most 200 by `?limit=`; `next` and `previous` are links to follow as they are."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200
