"""/audit-events/: what happened, by whom, to what, and the hashes that hold it in its place."""

from django_filters.rest_framework import CharFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers

from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.paging import HistoryPagination
from portal.api.viewsets import ReadingViewSet
from portal.audit.models import AuditEvent


@extend_schema_field({"type": "string", "pattern": "^[0-9a-f]*$"})
class HexField(serializers.Field):
    """Bytes as hexadecimal digits; read-only."""

    def to_representation(self, value: bytes) -> str:
        """Return the digits."""
        return bytes(value).hex()


class AuditEventSerializer(serializers.ModelSerializer):
    """One line of a tenant's history. `seq` counts up by one per tenant; `actor_id` is null for automation.

    `data` holds `before` and `after` where something was changed. `hash` is the SHA-256 of the line and of
    `previous_hash`; both are null in lines older than the chain.
    """

    previous_hash = HexField(read_only=True, allow_null=True)
    hash = HexField(read_only=True, allow_null=True)

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "tenant",
            "seq",
            "at",
            "verb",
            "object_type",
            "object_id",
            "actor_id",
            "actor_label",
            "data",
            "previous_hash",
            "hash",
        )
        read_only_fields = fields


class AuditEventFilterSet(TenantFilterSet):
    """By object or its kind, by event, by who did it, and by time."""

    object_id = UUIDFilter(label="What happened to this action, investigation, group …, by its id.")
    object_type = CharFilter(label="What happened to objects of this kind, such as `remediation action`.")
    verb = CharFilter(label="The event, such as `action.approved`.")
    actor_id = UUIDFilter(label="What this person or service account did.")
    at = MomentRangeFilter(label="Between two moments (ISO 8601).")

    class Meta:
        model = AuditEvent
        fields = ("tenant", "object_id", "object_type", "verb", "actor_id", "at")


@extend_schema_view(
    list=extend_schema(description="History, newest first, over all tenants you may see."),
    retrieve=extend_schema(description="One event."),
)
class AuditEventViewSet(ReadingViewSet):
    """History is read; nothing writes it but what it tells of."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    filterset_class = AuditEventFilterSet
    pagination_class = HistoryPagination
