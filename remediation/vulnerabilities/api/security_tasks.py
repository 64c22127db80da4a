"""/security-tasks/: the security tasks in Intune, how they stand, and what people do to them from here."""

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import BooleanFilter, ChoiceFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import ExactSerializer
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from remediation.vulnerabilities.intune.deciding import LONGEST_NOTE, decide_task, send_again
from remediation.vulnerabilities.models import SecurityTask, SecurityTaskDevice
from remediation.vulnerabilities.states import TaskKind, TaskStatus

_FIELDS: tuple[str, ...] = (
    "id", "tenant", "tenant_name", "activity", "remote_id", "kind", "status", "detail", "wanted_status",
    "display_name", "description", "priority", "creator", "creator_notes", "assigned_to", "admin_note", "due_at",
    "managed_device_count", "created_at_source", "created_at", "seen_at",
)  # fmt: skip


class SecurityTaskSerializer(serializers.ModelSerializer):
    """A security task. `activity` is the remediation activity that asked for it, null for one made elsewhere."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)
    kind = serializers.ChoiceField(TaskKind.choices, read_only=True)
    status = serializers.ChoiceField(TaskStatus.choices, read_only=True)
    remote_id = serializers.CharField(read_only=True, help_text="Intune's id; empty until Intune has it.")
    wanted_status = serializers.ChoiceField(
        TaskStatus.choices, read_only=True, allow_blank=True, help_text="What Intune is being asked to move it to."
    )
    detail = serializers.CharField(read_only=True, help_text="Why it is as it is, in words.")

    class Meta:
        model = SecurityTask
        fields = _FIELDS
        read_only_fields = fields


class SecurityTaskDetailSerializer(SecurityTaskSerializer):
    """A security task with Intune's own row."""

    raw = serializers.DictField(read_only=True, help_text="As received from Intune.")

    class Meta(SecurityTaskSerializer.Meta):
        fields = (*_FIELDS, "raw")
        read_only_fields = fields


class SecurityTaskDeviceSerializer(serializers.ModelSerializer):
    """A device that a task names, as far as Intune says."""

    class Meta:
        model = SecurityTaskDevice
        fields = ("entra_device_id", "intune_id", "name", "last_sync_at")
        read_only_fields = fields


class NoteSerializer(ExactSerializer):
    """A note for the IT admins, which Intune keeps with the task."""

    note = serializers.CharField(max_length=LONGEST_NOTE, allow_blank=True, required=False, default="")


class RejectionSerializer(ExactSerializer):
    """Why a task is rejected; who asked for it reads that."""

    note = serializers.CharField(max_length=LONGEST_NOTE)


class SecurityTaskFilterSet(TenantFilterSet):
    """By tenant, kind, status, activity, and whether Quell opened it."""

    kind = ChoiceFilter(choices=TaskKind.choices)
    status = ChoiceFilter(choices=TaskStatus.choices)
    activity = UUIDFilter(field_name="activity_id", label="Tickets of one remediation activity, by its id.")
    is_ours = BooleanFilter(
        field_name="activity_id", lookup_expr="isnull", exclude=True, label="Opened by Quell for an activity."
    )

    class Meta:
        model = SecurityTask
        fields = ("tenant", "kind", "status", "activity", "is_ours")


@extend_schema_view(
    list=extend_schema(description="Security tasks of all tenants you may see, newest first."),
    retrieve=extend_schema(description="One security task."),
)
class SecurityTaskViewSet(ReadingViewSet):
    """Security tasks in Intune. Moving one asks Intune; `wanted_status` is empty again once it has answered."""

    queryset = SecurityTask.objects.select_related("tenant")
    serializer_class = SecurityTaskSerializer
    detail_serializer_class = SecurityTaskDetailSerializer
    filterset_class = SecurityTaskFilterSet

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows in scope, without what was received where many are shown."""
        queryset: QuerySet[SecurityTask] = super().get_queryset()
        return queryset.defer("raw") if self.action == "list" else queryset

    @extend_schema(responses=SecurityTaskDeviceSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def devices(self, request: Request, pk: str) -> Response:
        """Return the devices a task names, as Intune last told."""
        task: SecurityTask = self.get_object()
        rows = SecurityTaskDevice.objects.filter(task_id=task.pk)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(SecurityTaskDeviceSerializer(page, many=True).data)

    @extend_schema(request=NoteSerializer, responses={202: SecurityTaskSerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def accept(self, request: Request, pk: str) -> Response:
        """Accept a pending task. Only people may, and only where the tenant allows it."""
        return self._decide(NoteSerializer, TaskStatus.ACTIVE)

    @extend_schema(request=RejectionSerializer, responses={202: SecurityTaskSerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def reject(self, request: Request, pk: str) -> Response:
        """Reject a pending task and say why. Only people may, and only where the tenant allows it."""
        return self._decide(RejectionSerializer, TaskStatus.REJECTED)

    @extend_schema(request=NoteSerializer, responses={202: SecurityTaskSerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def complete(self, request: Request, pk: str) -> Response:
        """Complete an accepted task. Only people may, and only where the tenant allows it."""
        return self._decide(NoteSerializer, TaskStatus.COMPLETED)

    @extend_schema(request=None, responses={202: SecurityTaskSerializer})
    @action(detail=True, methods=["post"], url_path="send-again", url_name="send-again")
    @replayable
    def again(self, request: Request, pk: str) -> Response:
        """Send a ticket again that was not made in Intune. Only people may, while its activity is active."""
        task: SecurityTask = self.get_object()
        sent = send_again(task.pk, actor=self.actor)
        return Response(SecurityTaskSerializer(sent).data, status=status.HTTP_202_ACCEPTED)

    def _decide(self, serializer: type[serializers.Serializer], wanted: TaskStatus) -> Response:
        task: SecurityTask = self.get_object()
        body = serializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        decided = decide_task(task.pk, wanted, words=body.validated_data["note"], actor=self.actor)
        return Response(SecurityTaskSerializer(decided).data, status=status.HTTP_202_ACCEPTED)
