"""A list of the admin as a file: where it is to be had, and the rows as the list is filtered."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse

from portal.api.csv_export import Column, csv_response


def csv_address(pages: ModelAdmin, request: HttpRequest) -> str:
    """Return where the list is given as CSV, as it is filtered now; the page's view is named `…_csv`."""
    address, query = _address(pages, "csv"), request.GET.urlencode()
    return f"{address}?{query}" if query else address


def csv_of_list(
    pages: ModelAdmin, request: HttpRequest, columns: Sequence[Column], *, name: str
) -> HttpResponse | StreamingHttpResponse:
    """Give the list as it is filtered, as CSV; what the list itself does not understand leads back to it.

    Raises PermissionDenied for who may not see the list.
    """
    if not pages.has_view_permission(request):
        raise PermissionDenied
    try:
        found: Any = pages.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        return HttpResponseRedirect(f"{_address(pages, 'changelist')}?e=1")
    return csv_response(found.select_related(None), columns, name=name)


def _address(pages: ModelAdmin, view: str) -> str:
    return reverse(f"admin:{pages.opts.app_label}_{pages.opts.model_name}_{view}")
