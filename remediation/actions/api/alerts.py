"""POST /alerts/: Graph alerts in, evidence decided and actions proposed, every refused record named."""

from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from investigations.api.alerts import AlertViewSet
from investigations.reading import records_of
from portal.access.roles import Capability
from portal.api.errors import UnusableBody
from portal.api.fields import NOT_YOURS
from portal.api.idempotency import replayable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import has_scope
from remediation.actions.exceptions import TooMany
from remediation.actions.intake import ingest

MOST_RECORDS: Final = 10_000

_DOCUMENT: Final = {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
_BODY: Final = {
    "description": "Graph `alerts_v2` as one object, a list or `{value: […]}`: alone with `?tenant=`, or as `alerts`.",
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "tenant": {"type": "string", "description": "The tenant's id or short name."},
                "alerts": _DOCUMENT,
            },
            "required": ["tenant", "alerts"],
        },
        *_DOCUMENT["oneOf"],
    ],
}


class RefusedSerializer(serializers.Serializer):
    """A record, or a piece of one, that could not be used or is of a type we do not know."""

    position = serializers.CharField(help_text="Such as `value[2] evidence[0]`.")
    reason = serializers.CharField()


class ReportSerializer(serializers.Serializer):
    """What was taken in. Counts of alerts, evidence and investigations are by new, changed, unchanged."""

    tenant = serializers.UUIDField()
    alerts = serializers.DictField(child=serializers.IntegerField())
    evidence = serializers.DictField(child=serializers.IntegerField())
    investigations = serializers.DictField(child=serializers.IntegerField())
    actions = serializers.DictField(child=serializers.IntegerField(), help_text="New actions, by state.")
    refused = RefusedSerializer(many=True)
    unrecognised = RefusedSerializer(many=True, help_text="Kept, though of an unknown type.")


class AlertIntakeViewSet(AlertViewSet):
    """Alerts, read and taken in."""

    @extend_schema(
        parameters=[OpenApiParameter("tenant", str, description="The tenant's id or short name.")],
        request={"application/json": _BODY},
        responses={200: ReportSerializer},
    )
    @replayable
    def create(self, request: Request) -> Response:
        """Take in alerts of one tenant. What can be used is; `refused` names the rest; the same again changes nothing.

        400 when nothing could be used, 413 over 10 MB or 10,000 records.
        """
        name, document = _addressed(request)
        tenant = _find_tenant(name)
        self.actor.require(Capability.WORK_ON_INVESTIGATIONS, tenant.pk)
        if _count(document) > MOST_RECORDS:
            raise TooMany(_("Send at most %(most)d records at a time.") % {"most": MOST_RECORDS})
        report = ingest(tenant, records_of(document), actor=self.actor.stamp)
        if not report.usable:
            raise UnusableBody(
                _("None of these alerts can be used; see errors."),
                [{"field": refusal["position"], "message": refusal["reason"]} for refusal in report.refused],
            )
        return Response(ReportSerializer({"tenant": tenant.pk, **report.as_dict()}).data)


def _addressed(request: Request) -> tuple[object, Any]:
    """Return which tenant is meant, and the document."""
    if "tenant" in request.query_params:
        return request.query_params["tenant"], request.data
    if isinstance(request.data, dict) and {"tenant", "alerts"} <= set(request.data):
        return request.data["tenant"], request.data["alerts"]
    words = _("Say whose alerts these are: ?tenant=NAME, or a body with “tenant” and “alerts”.")
    raise serializers.ValidationError({"tenant": [words]})


def _find_tenant(name: object) -> Tenant:
    if has_scope() and isinstance(name, str) and name.isprintable():
        try:
            found = Tenant.objects.filter(pk=UUID(name))
        except ValueError:
            found = Tenant.objects.filter(slug=name)
        if tenant := found.first():
            return tenant
    raise serializers.ValidationError({"tenant": [NOT_YOURS]})


def _count(document: object) -> int:
    if isinstance(document, dict):
        document = document.get("value")
    return len(document) if isinstance(document, list) else 1
