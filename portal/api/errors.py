"""One shape for every error: application/problem+json (RFC 9457), with `errors[]` naming each field."""

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.defaults import server_error
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from portal.access.exceptions import BadRequest, Refusal, SecondFactorNeeded
from portal.api.parsing import BodyTooLarge

MEDIA_TYPE = "application/problem+json"

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
    500: "Our mistake",
}


class UnusableBody(BadRequest):
    """Nothing in a body could be used. `errors` names each place and why."""

    def __init__(self, detail: str, errors: list[dict[str, str]]) -> None:
        super().__init__(detail)
        self.errors = errors


class FieldErrorSerializer(serializers.Serializer):
    """One thing that is wrong with what was sent."""

    field = serializers.CharField(help_text="The field, parameter or place.")
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """Why a request was turned down (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment]  # a serializer's own `errors` is another thing


class ProblemResponse(Response):
    """A problem, in JSON whatever the request would have liked to be answered in."""

    @property
    def rendered_content(self) -> bytes:  # type: ignore[override]  # as DRF's own does
        """Return the body."""
        self["Content-Type"] = MEDIA_TYPE
        return JSONRenderer().render(self.data)


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn a refusal or a framework error into a problem answer; anything else is a bug and becomes a plain 500."""
    if isinstance(error, Refusal | SecondFactorNeeded):
        return _problem(error.status, str(error), getattr(error, "errors", []), error.type)
    if isinstance(error, Http404):
        error = exceptions.NotFound(_("No such thing, or not one of yours."))
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        error = BodyTooLarge()
    answer = exception_handler(error, context)
    if answer is None:
        return None
    problem = _problem(answer.status_code, *_read_detail(answer.data))
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in answer.headers:
            problem[name] = answer.headers[name]
    return problem


def answer_crash(request: HttpRequest) -> HttpResponse:
    """Answer 500: as a problem under /api/, else as the plain page. What went wrong is in the log alone."""
    if not request.path.startswith("/api/"):
        return server_error(request)
    detail = _("Something went wrong on our side. Nothing was changed; it is in the log.")
    return JsonResponse(_body(500, detail, []), status=500, content_type=MEDIA_TYPE)


class NoSuchRoute(APIView):
    """Every path under /api/ that leads nowhere."""

    authentication_classes = []
    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer every method with 404."""
        raise exceptions.NotFound(_("There is nothing at this path. Paths of the API end with a slash."))


def _problem(status: int, detail: str, errors: list[dict[str, str]], kind: str = "about:blank") -> Response:
    return ProblemResponse(_body(status, detail, errors, kind), status=status)


def _body(status: int, detail: str, errors: list[dict[str, str]], kind: str = "about:blank") -> dict[str, Any]:
    return {
        "type": kind,
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": _sendable(detail),
        "errors": [{name: _sendable(text) for name, text in line.items()} for line in errors],
    }


def _sendable(text: str) -> str:
    """Messages quote what was sent, and JSON may send half a character (a lone surrogate), which UTF-8 cannot say."""
    return text.encode(errors="replace").decode()


def _read_detail(data: Any) -> tuple[str, list[dict[str, str]]]:
    if isinstance(data, dict) and set(data) == {"detail"} and isinstance(data["detail"], str):
        return str(data["detail"]), []
    errors = list(_flatten(data, ""))
    return _("Some of what was sent cannot be used; see errors."), errors


def _flatten(data: Any, place: str) -> list[dict[str, str]]:
    if isinstance(data, dict):
        named = [(f"{place}.{key}" if place else str(key), value) for key, value in data.items()]
        return [line for inner, value in named for line in _flatten(value, inner)]
    if isinstance(data, list):
        lines: list[dict[str, str]] = []
        for position, value in enumerate(data):
            inner = f"{place}[{position}]" if isinstance(value, dict | list) else place
            lines += _flatten(value, inner)
        return lines
    return [{"field": place, "message": str(data)}]
