"""What the import of a register of exceptions answers: a result for each line of the file."""

from collections.abc import Sequence
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request

from remediation.vulnerabilities.exceptions.importing import LineResult
from remediation.vulnerabilities.states import Justification

CSV_BODY: Final = {"text/csv": OpenApiTypes.STR}
"""What the OpenAPI schema says of a body that is CSV."""

LINE_OUTCOMES: Final = [("requested", "Requested"), ("refused", "Refused")]


class PreviewedLineSerializer(serializers.Serializer):
    """What would come of one line. What it would ask for is null where it would be refused."""

    line = serializers.IntegerField(help_text="Its number in the file; the headers are line 1.")
    outcome = serializers.ChoiceField(LINE_OUTCOMES)
    reason = serializers.CharField(allow_blank=True, help_text="Why it is refused.")
    tenant_name = serializers.CharField(help_text="As the file says where it is refused.")
    subject = serializers.CharField(help_text="The recommendation or CVE.")
    tenant = serializers.UUIDField(source="exception.tenant_id", default=None, allow_null=True)
    is_global = serializers.BooleanField(source="exception.is_global", default=None, allow_null=True)
    group_names = serializers.ListField(
        source="exception.group_names", child=serializers.CharField(), default=None, allow_null=True
    )
    justification = serializers.ChoiceField(
        Justification.choices, source="exception.justification", default=None, allow_null=True
    )
    expires_on = serializers.DateField(source="exception.expires_on", default=None, allow_null=True)


class ImportedLineSerializer(PreviewedLineSerializer):
    """What came of one line; `exception` is the id of what was asked for, null where it was refused."""

    exception = serializers.UUIDField(source="exception.pk", default=None, allow_null=True)


class PreviewedRegisterSerializer(serializers.Serializer):
    """What an import would do, in numbers and line by line."""

    requested = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = PreviewedLineSerializer(many=True)


class ImportedRegisterSerializer(PreviewedRegisterSerializer):
    """What an import did, in numbers and line by line."""

    results = ImportedLineSerializer(many=True)


def text_of(request: Request) -> str:
    """Return the file that was sent; an empty one is no text to the framework."""
    return request.data if isinstance(request.data, str) else ""


def told(results: Sequence[LineResult]) -> dict[str, Any]:
    """Return the results as the serializers take them."""
    requested = sum(result.exception is not None for result in results)
    return {"requested": requested, "refused": len(results) - requested, "results": results}
