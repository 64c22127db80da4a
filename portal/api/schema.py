"""How the OpenAPI schema says what holds for every operation: the errors it may answer and the Idempotency-Key."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from portal.api.errors import MEDIA_TYPE, TITLES, ProblemSerializer

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="A text of your own, at most 255 characters. The same request sent again under it is carried out once "
    "and answered the same; another request under it is refused with 422.",
)


class PortalSchema(AutoSchema):
    """drf-spectacular's schema, with the problem answers of each operation."""

    def get_override_parameters(self) -> list[Any]:
        """Add Idempotency-Key to the operations that honour it."""
        return [IDEMPOTENCY_KEY] if self._is_replayable() else []

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for status in self._problems():
            problem = OpenApiResponse(ProblemSerializer, description=TITLES[status])
            bodies.setdefault(str(status), self._get_response_for_code(problem, str(status), [MEDIA_TYPE], direction))
        return bodies

    def _problems(self) -> list[int]:
        changes_something = self.method not in ("GET", "HEAD", "OPTIONS")
        statuses = {401}
        if changes_something:
            statuses |= {400, 403, 409, 413, 415}
        if getattr(self.view, "action", "") == "list":
            statuses |= {400}
        if "{id}" in self.path:
            statuses |= {404}
        if self._is_replayable():
            statuses |= {422}
        return sorted(statuses)

    def _is_replayable(self) -> bool:
        name = getattr(self.view, "action", None) or self.method.lower()
        return getattr(getattr(self.view, name, None), "is_replayable", False)
