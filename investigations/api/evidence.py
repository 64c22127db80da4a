"""/evidence/: what alerts name, Microsoft's verdict on it, and what Quell decided and why."""

from django_filters.rest_framework import ChoiceFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from investigations.models import Evidence
from investigations.states import EvidenceKind, EvidenceOutcome, Verdict
from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "alert",
    "investigation",
    "device",
    "device_name",
    "kind",
    "odata_type",
    "label",
    "verdict",
    "remediation_status",
    "sha1",
    "sha256",
    "file_path",
    "network_message_id",
    "network_message_ids",
    "recipient",
    "mailbox",
    "url",
    "outcome",
    "reason",
    "decided_at",
    "created_at_source",
    "created_at",
)


class EvidenceSerializer(serializers.ModelSerializer):
    """One entity of an alert. `outcome` is what was decided about it, `reason` why, in words."""

    device_name = serializers.CharField(source="device.name", read_only=True, default=None)

    class Meta:
        model = Evidence
        fields = _FIELDS
        read_only_fields = fields


class EvidenceDetailSerializer(EvidenceSerializer):
    """Evidence with all that Microsoft sent."""

    raw = serializers.JSONField(read_only=True, help_text="The evidence as Microsoft Graph sent it.")

    class Meta(EvidenceSerializer.Meta):
        fields = (*_FIELDS, "raw")
        read_only_fields = fields


class EvidenceFilterSet(TenantFilterSet):
    """By where it was found, what it is, and what became of it."""

    investigation = UUIDFilter(field_name="investigation_id", label="Evidence of one investigation, by its id.")
    alert = UUIDFilter(field_name="alert_id", label="Evidence of one alert, by its id.")
    device = UUIDFilter(field_name="device_id", label="Evidence found on one device, by its id.")
    kind = ChoiceFilter(choices=EvidenceKind.choices)
    verdict = ChoiceFilter(choices=Verdict.choices)
    outcome = ChoiceFilter(choices=EvidenceOutcome.choices)

    class Meta:
        model = Evidence
        fields = ("tenant", "investigation", "alert", "device", "kind", "verdict", "outcome")


@extend_schema_view(
    list=extend_schema(description="Evidence of all tenants you may see, last added first."),
    retrieve=extend_schema(description="One piece of evidence, with `raw` as it was received."),
)
class EvidenceViewSet(ReadingViewSet):
    """Evidence is Microsoft's word; the API only reads it."""

    queryset = Evidence.objects.select_related("device").defer("raw")
    serializer_class = EvidenceSerializer
    detail_serializer_class = EvidenceDetailSerializer
    filterset_class = EvidenceFilterSet
