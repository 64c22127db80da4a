"""/investigations/: what belongs together. Stopping one is `remediation.actions.api`'s, since it cancels actions."""

from django.db.models import QuerySet
from django_filters.rest_framework import MultipleChoiceFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from investigations import services
from investigations.models import Device, Investigation, InvestigationDevice
from investigations.states import InvestigationState
from portal.api.fields import PersonSerializer, ReasonSerializer, RowField
from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "title",
    "state",
    "device",
    "device_name",
    "started_by",
    "started_at",
    "changed_at",
    "ended_at",
)


class InvestigationSerializer(serializers.ModelSerializer):
    """An investigation. `device` is the one it began with, `started_by` is null where an alert started it."""

    device_name = serializers.CharField(source="device.name", read_only=True, default=None)
    started_by = PersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Investigation
        fields = _FIELDS
        read_only_fields = fields


class ReachedDeviceSerializer(serializers.ModelSerializer):
    """A device the investigation reaches; `is_widened` for those it spread to."""

    name = serializers.CharField(source="device.name", read_only=True)

    class Meta:
        model = InvestigationDevice
        fields = ("device", "name", "is_widened")
        read_only_fields = fields


class InvestigationDetailSerializer(InvestigationSerializer):
    """An investigation with every device it reaches."""

    devices = ReachedDeviceSerializer(source="reached", many=True, read_only=True)

    class Meta(InvestigationSerializer.Meta):
        fields = (*_FIELDS, "devices")
        read_only_fields = fields


class StartInvestigationSerializer(ReasonSerializer):
    """An investigation by hand."""

    device = RowField(queryset=Device.objects.all())


class InvestigationFilterSet(TenantFilterSet):
    """By state, by device, and by when it started."""

    state = MultipleChoiceFilter(choices=InvestigationState.choices, distinct=False, label="One or more states.")
    device = UUIDFilter(field_name="reached__device_id", label="Investigations that reach this device, by its id.")
    started = MomentRangeFilter(field_name="started_at", label="Between two moments (ISO 8601).")

    class Meta:
        model = Investigation
        fields = ("tenant", "state", "device", "started")


@extend_schema_view(
    list=extend_schema(description="Investigations of all tenants you may see, last started first."),
    retrieve=extend_schema(description="One investigation, with the devices it reaches."),
)
class InvestigationViewSet(ReadingViewSet):
    """Alerts start investigations; people may too. Their state follows from evidence and actions alone."""

    queryset = Investigation.objects.select_related("device", "started_by")
    serializer_class = InvestigationSerializer
    detail_serializer_class = InvestigationDetailSerializer
    filterset_class = InvestigationFilterSet

    def get_queryset(self) -> QuerySet[Investigation]:
        """Return the rows in scope, with their devices where one is shown whole."""
        queryset = super().get_queryset()
        return queryset if self.action == "list" else queryset.prefetch_related("reached__device")

    @extend_schema(request=StartInvestigationSerializer, responses={201: InvestigationDetailSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Start an investigation of a device by hand; new alerts on it join. 409 while one is under way already."""
        body = StartInvestigationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        device, reason = body.validated_data["device"], body.validated_data["reason"]
        started = services.start_investigation(device, actor=self.actor, reason=reason)
        return Response(self._whole(started), status=status.HTTP_201_CREATED)

    def _whole(self, investigation: Investigation) -> dict:
        """Return the investigation as it now stands in the database."""
        return dict(InvestigationDetailSerializer(self.get_queryset().get(pk=investigation.pk)).data)
