"""/guarded-changes/: changes to the safeguards, which one person asks for and another makes."""

from collections.abc import Callable
from typing import Any

from django_filters.rest_framework import ChoiceFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import PersonSerializer, ReasonSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from remediation.safeguards import changes
from remediation.safeguards.changes import KINDS
from remediation.safeguards.models import GuardedChange

KIND_CHOICES = [(name, kind.label) for name, kind in KINDS.items()]


class GuardedChangeSerializer(serializers.ModelSerializer):
    """A change that takes two people. `effect` says what it does, against what is so now."""

    kind = serializers.ChoiceField(KIND_CHOICES, read_only=True)
    details = serializers.DictField(read_only=True)
    requested_by = PersonSerializer(read_only=True)
    decided_by = PersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = GuardedChange
        fields: tuple[str, ...] = (
            "id",
            "tenant",
            "kind",
            "details",
            "reason",
            "state",
            "requested_by",
            "requested_at",
            "decided_by",
            "decided_at",
            "decision_reason",
        )
        read_only_fields = fields


class ChangeSerializer(GuardedChangeSerializer):
    """A change, with what it does in words."""

    effect = serializers.SerializerMethodField(help_text="What it does, told against what is so now.")

    class Meta(GuardedChangeSerializer.Meta):
        fields = (*GuardedChangeSerializer.Meta.fields, "effect")
        read_only_fields = fields

    def get_effect(self, change: GuardedChange) -> str:
        """Say what it does."""
        return KINDS[change.kind].describe(change.tenant_id, change.details)


class AskForChangeSerializer(serializers.Serializer):
    """A change to be.

    `details` by kind: set_approval_rule {"action_type", "approvers"}, set_hourly_cap {"action_type", "cap"},
    lift_freeze {"freeze"}, unprotect_device {"device"}.
    """

    tenant = RowField(queryset=Tenant.objects.all())
    kind = serializers.ChoiceField(KIND_CHOICES)
    details = serializers.DictField()
    reason = serializers.CharField(max_length=1000, help_text="Why; the second person reads it.")


class GuardedChangeFilterSet(TenantFilterSet):
    """By tenant, state and kind."""

    state = ChoiceFilter(choices=GuardedChange.State.choices)
    kind = ChoiceFilter(choices=KIND_CHOICES)

    class Meta:
        model = GuardedChange
        fields = ("tenant", "state", "kind")


@extend_schema_view(
    list=extend_schema(description="Changes to safeguards, newest first; `state=waiting` are those to be decided."),
    retrieve=extend_schema(description="One change, with its effect in words."),
)
class GuardedChangeViewSet(ReadingViewSet):
    """Asking and confirming take two people, each with a second factor just shown; API keys can do neither."""

    queryset = GuardedChange.objects.select_related("requested_by", "decided_by")
    serializer_class = GuardedChangeSerializer
    detail_serializer_class = ChangeSerializer
    filterset_class = GuardedChangeFilterSet

    @extend_schema(request=AskForChangeSerializer, responses={201: ChangeSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Ask for a change; it waits at most seven days for somebody else with the same right."""
        body = AskForChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        change = changes.ask_for_change(
            asked["tenant"].pk, asked["kind"], asked["details"], actor=self.actor, reason=asked["reason"]
        )
        return self._answer(change, status=201)

    @extend_schema(request=ReasonSerializer, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def confirm(self, request: Request, pk: str) -> Response:
        """Make a change that somebody else asked for."""
        return self._carry_out(changes.confirm_change)

    @extend_schema(request=ReasonSerializer, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reject(self, request: Request, pk: str) -> Response:
        """Turn down a change that somebody else asked for."""
        return self._carry_out(changes.reject_change)

    @extend_schema(request=ReasonSerializer, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take back a change you asked for."""
        return self._carry_out(changes.withdraw_change)

    def _carry_out(self, verb: Callable[..., GuardedChange]) -> Response:
        found = self.get_object()
        body = ReasonSerializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return self._answer(verb(found.pk, actor=self.actor, reason=body.validated_data["reason"]))

    def _answer(self, changed: GuardedChange, status: int = 200) -> Response:
        shown: Any = ChangeSerializer(self.get_queryset().get(pk=changed.pk))
        return Response(shown.data, status=status)
