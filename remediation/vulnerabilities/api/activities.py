"""/remediation-activities/: ask for remediation, follow it, note, complete and export it."""

from typing import Any, cast

from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import (
    BooleanFilter,
    CharFilter,
    ChoiceFilter,
    FilterSet,
    MultipleChoiceFilter,
    UUIDFilter,
)
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.csv_export import CSV_ANSWER, csv_response
from portal.api.fields import ExactSerializer, RowField, rows_in_scope
from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from remediation.vulnerabilities.activities.completing import change_notes, complete
from remediation.vulnerabilities.activities.exporting import ACTIVITY_COLUMNS, DEVICE_COLUMNS
from remediation.vulnerabilities.activities.reading import activities_for_lists
from remediation.vulnerabilities.activities.requesting import LONGEST_NOTES, RemediationRequest, request_remediation
from remediation.vulnerabilities.models import ActivityDevice, Recommendation, RemediationActivity
from remediation.vulnerabilities.querysets import ActivityQuerySet, today
from remediation.vulnerabilities.states import (
    ActivityState,
    Mitigation,
    Origin,
    Priority,
    RemediationOption,
    Standing,
    TaskStatus,
)

_FILE = "remediation-activities"
DUE = [("overdue", "Overdue"), ("soon", "Due within three days")]

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "tenant_name",
    "title",
    "recommendation",
    "recommendation_id",
    "related_component",
    "option",
    "mitigation",
    "priority",
    "due_on",
    "is_overdue",
    "device_groups",
    "notes",
    "origin",
    "campaign",
    "state",
    "requested_by",
    "requested_at",
    "completed_by",
    "completed_at",
    "completion_note",
    "progress",
    "exposed_again_at",
    "exposed_again_count",
    "devices_sent",
    "devices_without_entra_id",
    "ticket",
)


class ProgressSerializer(serializers.Serializer):
    """How many devices stand how; they add up to those it began with. `as_of` is when the devices were last read."""

    devices_at_start = serializers.IntegerField()
    fixed = serializers.IntegerField(source="devices_fixed", help_text="Seen since the request and no longer exposed.")
    exposed = serializers.IntegerField(source="devices_exposed")
    gone = serializers.IntegerField(source="devices_gone", help_text="No longer listed, and not seen either.")
    percent = serializers.IntegerField(source="percent_done", allow_null=True, help_text="No longer exposed, of 100.")
    as_of = serializers.DateTimeField(source="progress_at", allow_null=True)


class TicketSerializer(serializers.Serializer):
    """The newest security task in Intune. `admin_note` is what the IT admin wrote."""

    id = serializers.UUIDField(source="ticket_id")
    status = serializers.ChoiceField(TaskStatus.choices, source="ticket_status")
    detail = serializers.CharField(source="ticket_detail", allow_blank=True)
    admin_note = serializers.CharField(source="ticket_note", allow_blank=True)


class ActivitySerializer(serializers.ModelSerializer):
    """A remediation activity. `completed_by` is a person's e-mail, *System confirmation* or *N/A* (unknown).

    With attention required there is neither due date nor progress nor ticket. What was made in Defender has
    Microsoft's counts and is changed there.
    """

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)
    recommendation_id = serializers.CharField(
        source="recommendation.recommendation_id", default=None, allow_null=True, help_text="Microsoft's id."
    )
    is_overdue = serializers.SerializerMethodField()
    device_groups = serializers.ListField(
        source="group_names", child=serializers.CharField(), help_text="By their names then; empty for all."
    )
    requested_by = serializers.CharField(source="requested_by_label")
    completed_by = serializers.CharField(source="completed_by_label", allow_blank=True)
    progress = serializers.SerializerMethodField(help_text="Null with attention required.")
    ticket = serializers.SerializerMethodField(help_text="Null where none was opened.")

    class Meta:
        model = RemediationActivity
        fields = _FIELDS
        read_only_fields = fields

    def get_is_overdue(self, activity: RemediationActivity) -> bool:
        """Return whether it is active and its due day has passed (UTC)."""
        is_late = activity.due_on is not None and activity.due_on < today()
        return is_late and activity.state == ActivityState.ACTIVE

    @extend_schema_field(ProgressSerializer(allow_null=True))
    def get_progress(self, activity: RemediationActivity) -> dict[str, Any] | None:
        """Return the counts, None where nothing is measured."""
        return ProgressSerializer(activity).data if activity.is_measured else None

    @extend_schema_field(TicketSerializer(allow_null=True))
    def get_ticket(self, activity: RemediationActivity) -> dict[str, Any] | None:
        """Return the newest ticket."""
        return TicketSerializer(activity).data if activity.ticket_id else None  # type: ignore[attr-defined]


class RequestSerializer(ExactSerializer):
    """What to ask the IT admins for; nothing is changed on any device."""

    option = serializers.ChoiceField(RemediationOption.choices)
    priority = serializers.ChoiceField(Priority.choices)
    due_on = serializers.DateField(
        required=False, allow_null=True, default=None, help_text="Needed, except with attention required: left out."
    )
    mitigation = serializers.ChoiceField(Mitigation.choices, default=Mitigation.NONE)
    notes = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_NOTES)
    open_ticket = serializers.BooleanField(required=False, default=False, help_text="Open a security task in Intune.")

    def asked(self) -> RemediationRequest:
        """Return the request, once it is valid."""
        values = self.validated_data
        return RemediationRequest(
            option=RemediationOption(values["option"]),
            priority=Priority(values["priority"]),
            due_on=values["due_on"],
            notes=values["notes"],
            mitigation=Mitigation(values["mitigation"]),
            opens_ticket=values["open_ticket"],
        )


class RequestRemediationSerializer(RequestSerializer):
    """A request in the tenant whose recommendation it names."""

    recommendation = RowField(queryset=Recommendation.objects.all())
    device_groups = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=1000, help_text="Empty: all."
    )


class NotesSerializer(ExactSerializer):
    """Notes in place of the former ones."""

    notes = serializers.CharField(allow_blank=True, max_length=LONGEST_NOTES)


class CompleteSerializer(ExactSerializer):
    """Why it is complete."""

    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_NOTES)


class ActivityDeviceSerializer(serializers.ModelSerializer):
    """A device that was exposed when the activity was requested, and how it stands since `changed_at`."""

    name = serializers.CharField(source="device.name", read_only=True)
    machine_id = serializers.CharField(source="device.machine_id", read_only=True)
    os_platform = serializers.CharField(source="device.os_platform", read_only=True)
    group_name = serializers.CharField(source="device.group.name", read_only=True)
    last_seen_at = serializers.DateTimeField(source="device.last_seen_at", read_only=True, allow_null=True)

    class Meta:
        model = ActivityDevice
        fields = (
            "id",
            "device",
            "name",
            "machine_id",
            "os_platform",
            "group_name",
            "last_seen_at",
            "standing",
            "changed_at",
            "is_exposed_again",
            "sent_to_intune",
        )
        read_only_fields = fields


class ActivityFilterSet(TenantFilterSet):
    """Microsoft's filters (remediation type, mitigation, status) and those of whoever follows many tenants."""

    option = MultipleChoiceFilter(choices=RemediationOption.choices, label="One or more remediation types.")
    mitigation = MultipleChoiceFilter(choices=Mitigation.choices)
    state = ChoiceFilter(choices=ActivityState.choices)
    priority = MultipleChoiceFilter(choices=Priority.choices)
    due = ChoiceFilter(choices=DUE, method="filter_due", label="`overdue`, or `soon`: within three days.")
    ticket_status = MultipleChoiceFilter(choices=TaskStatus.choices, label="By the status of the newest ticket.")
    requested_by = UUIDFilter(field_name="requested_by_id", label="Asked for by this person, by their id.")
    requested = MomentRangeFilter(field_name="requested_at", label="Between two moments (ISO 8601).")
    origin = ChoiceFilter(choices=Origin.choices)
    campaign = UUIDFilter(label="All that one request asked for.")
    recommendation = UUIDFilter(field_name="recommendation_id", label="Of one recommendation, by its id here.")
    exposed_again = BooleanFilter(
        field_name="exposed_again_at", lookup_expr="isnull", exclude=True, label="Completed, and exposed again."
    )
    search = CharFilter(method="filter_search", label="In title, related component, requester and notes.")

    class Meta:
        model = RemediationActivity
        fields = ("tenant", "option", "mitigation", "state", "priority", "campaign", "origin")

    def filter_due(
        self, queryset: ActivityQuerySet[RemediationActivity], name: str, value: str
    ) -> ActivityQuerySet[RemediationActivity]:
        """Return the activities that are late, or soon to be."""
        return queryset.overdue() if value == "overdue" else queryset.due_soon()

    def filter_search(
        self, queryset: QuerySet[RemediationActivity], name: str, value: str
    ) -> QuerySet[RemediationActivity]:
        """Return the activities that bear the text."""
        named = Q(title__icontains=value) | Q(related_component__icontains=value)
        return queryset.filter(named | Q(requested_by_label__icontains=value) | Q(notes__icontains=value))


class ActivityDeviceFilterSet(FilterSet):
    """By how the device stands."""

    standing = ChoiceFilter(choices=Standing.choices)


@extend_schema_view(
    list=extend_schema(description="Remediation activities of all tenants you may see, newest first."),
    retrieve=extend_schema(description="One remediation activity."),
)
class ActivityViewSet(ReadingViewSet):
    """Ask for remediation and follow it. Devices decide when it is done; a person may say so before."""

    queryset = activities_for_lists()
    serializer_class = ActivitySerializer
    filterset_class = ActivityFilterSet

    @extend_schema(request=RequestRemediationSerializer, responses={201: ActivitySerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Ask for remediation on one recommendation: an activity for the devices exposed now. Changes no device."""
        body = RequestRemediationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        made = request_remediation(
            values["recommendation"].pk, body.asked(), group_ids=values["device_groups"], actor=self.actor
        )
        return self._answer(made, status.HTTP_201_CREATED)

    @extend_schema(request=CompleteSerializer, responses=ActivitySerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def complete(self, request: Request, pk: str) -> Response:
        """Mark it completed by you; never with an API key."""
        found = self.get_object()
        body = CompleteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self._answer(complete(found.pk, note=body.validated_data["note"], actor=self.actor))

    @extend_schema(request=NotesSerializer, responses=ActivitySerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def notes(self, request: Request, pk: str) -> Response:
        """Replace the notes while it is active; the former ones stay on record."""
        found = self.get_object()
        body = NotesSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self._answer(change_notes(found.pk, body.validated_data["notes"], actor=self.actor))

    @extend_schema(filters=True, responses=CSV_ANSWER)
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """The list as CSV, with the same filters."""
        return csv_response(self.filter_queryset(self.get_queryset()).order_by("-id"), ACTIVITY_COLUMNS, name=_FILE)

    @extend_schema(responses=ActivityDeviceSerializer(many=True))
    @action(detail=True, filterset_class=ActivityDeviceFilterSet)
    def devices(self, request: Request, pk: str) -> Response:
        """The devices of one activity; none where it was made in Defender, which gives counts alone."""
        rows = self.filter_queryset(self._devices(pk).select_related("device__group"))
        return self.get_paginated_response(ActivityDeviceSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(filters=False, responses=CSV_ANSWER)
    @action(detail=True, url_path="devices/export", pagination_class=None)
    def export_devices(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The devices of one activity as CSV."""
        return csv_response(self._devices(pk).order_by("device__name", "id"), DEVICE_COLUMNS, name=f"{_FILE}-devices")

    def _devices(self, activity_id: str) -> QuerySet[ActivityDevice]:
        activity = get_object_or_404(self.get_queryset(), pk=activity_id)
        return rows_in_scope(ActivityDevice.objects.filter(activity=activity))

    def _answer(self, activity: RemediationActivity, status_code: int = status.HTTP_200_OK) -> Response:
        found = cast(RemediationActivity, self.get_queryset().get(pk=activity.pk))
        return Response(ActivitySerializer(found).data, status=status_code)
