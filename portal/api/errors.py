"""One shape for every error: application/problem+json (RFC 9457), with `errors[]` naming each field."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from portal.access.exceptions import Refusal

TITLES = {
    400: "Bad request",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Not possible now",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    429: "Too many requests",
}


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn a refusal or a framework error into a problem answer; anything else is a bug and becomes a plain 500."""
    if isinstance(error, Refusal):
        return _problem(error.status, str(error), [])
    if isinstance(error, Http404):
        error = exceptions.NotFound(_("No such thing, or not one of yours."))
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    answer = exception_handler(error, context)
    if answer is None:
        return None
    problem = _problem(answer.status_code, *_read_detail(answer.data))
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in answer.headers:
            problem[name] = answer.headers[name]
    return problem


def _problem(status: int, detail: str, errors: list[dict[str, str]]) -> Response:
    body = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "errors": errors,
    }
    return Response(body, status=status, content_type="application/problem+json")


def _read_detail(data: Any) -> tuple[str, list[dict[str, str]]]:
    if isinstance(data, dict) and set(data) == {"detail"}:
        return str(data["detail"]), []
    errors = list(_flatten(data, ""))
    return _("Some of what was sent cannot be used; see errors."), errors


def _flatten(data: Any, place: str) -> list[dict[str, str]]:
    if isinstance(data, dict):
        return [line for key, value in data.items() for line in _flatten(value, f"{place}.{key}" if place else str(key))]
    if isinstance(data, list):
        lines: list[dict[str, str]] = []
        for position, value in enumerate(data):
            inner = f"{place}[{position}]" if isinstance(value, dict | list) else place
            lines += _flatten(value, inner)
        return lines
    return [{"field": place, "message": str(data)}]
