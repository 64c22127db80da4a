"""Reading request bodies: JSON of bounded size and depth, and CSV where an operation takes it."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser, JSONParser

from portal.api.csv_import import decode_csv


class BodyTooLarge(APIException):
    """413: the body is larger than the portal reads."""

    status_code = 413
    default_code = "too_large"
    default_detail = gettext_lazy("The request is too large: send at most 10 MB and 10,000 records at a time.")


class BoundedJSONParser(JSONParser):
    """DRF's JSON parser, which reads any amount, held to DATA_UPLOAD_MAX_MEMORY_SIZE bytes and to sane nesting."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the parsed body. Raises BodyTooLarge and ParseError."""
        _require_bounded(parser_context)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(_("The JSON is nested too deeply.")) from error


class CsvParser(BaseParser):
    """A file of CSV as the body itself, in UTF-8."""

    media_type = "text/csv"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the text. Raises BodyTooLarge, and BadRequest for what is no UTF-8."""
        _require_bounded(parser_context)
        return decode_csv(stream.read())


def _require_bounded(parser_context: Mapping[str, Any] | None) -> None:
    request = (parser_context or {})["request"]
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise BodyTooLarge
