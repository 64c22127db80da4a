"""How remediation actions look in the API, and what is asked for them. Shape only: the rules are the services'."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from investigations.models import Device
from portal.api.fields import NOT_YOURS, PersonSerializer, ReasonSerializer, RowField
from portal.tenancy.models import Tenant
from remediation.actions import services
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.states import State
from remediation.actions.waiting import describe_wait
from remediation.catalogue import CHOICES

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "tenant_name",
    "type",
    "type_label",
    "state",
    "source",
    "investigation",
    "investigation_title",
    "device",
    "device_name",
    "target",
    "parameters",
    "reason",
    "requested_by",
    "required_approvals",
    "undoes",
    "is_undone",
    "attempt",
    "approve_before",
    "not_before",
    "execute_before",
    "sent_at",
    "accepted_at",
    "unknown_since",
    "remote_id",
    "detail",
    "error_code",
    "created_at",
    "changed_at",
    "ended_at",
)


class ActionSerializer(serializers.ModelSerializer):
    """A remediation action. `state` changes by the verbs alone; `requested_by` is null for automatic ones."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)
    type_label = serializers.CharField(source="get_type_display", read_only=True)
    investigation_title = serializers.CharField(source="investigation.title", read_only=True, default=None)
    device_name = serializers.CharField(source="device.name", read_only=True, default=None)
    parameters = serializers.DictField(read_only=True)
    requested_by = PersonSerializer(read_only=True, allow_null=True)
    is_undone = serializers.BooleanField(read_only=True, help_text="Whether an undo of it has succeeded.")

    class Meta:
        model = RemediationAction
        fields = _FIELDS
        read_only_fields = fields


class DecisionSerializer(serializers.ModelSerializer):
    """One person's answer."""

    user = PersonSerializer(read_only=True)

    class Meta:
        model = Decision
        fields = ("user", "answer", "reason", "decided_at")
        read_only_fields = fields


class ActionDetailSerializer(ActionSerializer):
    """An action with its decisions, its evidence and what undoes it."""

    waits_for = serializers.SerializerMethodField(
        help_text="What holds an approved action back, in words: a freeze, the hour's limit, a protected device."
    )
    needed_approvals = serializers.SerializerMethodField(help_text="How many approvals it needs by today's rules.")
    given_approvals = serializers.SerializerMethodField(help_text="How many approvals count today.")
    decisions = DecisionSerializer(many=True, read_only=True)
    evidence = serializers.SerializerMethodField(help_text="The evidence it answers, by id.")
    undone_by = serializers.SerializerMethodField(help_text="The action that undoes it, under way or done, by id.")

    class Meta(ActionSerializer.Meta):
        fields = (*_FIELDS, "waits_for", "needed_approvals", "given_approvals", "decisions", "evidence", "undone_by")
        read_only_fields = fields

    def get_waits_for(self, action: RemediationAction) -> str:
        """Return what holds it back, "" where nothing does."""
        return describe_wait(action)

    def get_needed_approvals(self, action: RemediationAction) -> int:
        """Return how many approvals it needs today, 0 where nobody is asked."""
        return count_needed(action)

    def get_given_approvals(self, action: RemediationAction) -> int:
        """Return how many approvals count today."""
        return count_approvals(action)

    def get_evidence(self, action: RemediationAction) -> list[UUID]:
        """Return the ids of the evidence it answers."""
        return sorted(link.evidence_id for link in action.evidence_links.all())

    def get_undone_by(self, action: RemediationAction) -> UUID | None:
        """Return the id of the undo that is under way or done; one that failed no longer counts."""
        undo = action.undone_by.filter(state__in=services.STILL_COUNTS).first()
        return undo.pk if undo else None


class RequestActionSerializer(serializers.Serializer):
    """An action asked for by hand. GET /action-types/ says which parameters each type takes."""

    tenant = RowField(queryset=Tenant.objects.all())
    type = serializers.ChoiceField(CHOICES)
    device = RowField(
        queryset=Device.objects.all(),
        required=False,
        allow_null=True,
        default=None,
        help_text="For actions on devices; none for actions on mail.",
    )
    parameters = serializers.DictField(required=False, default=dict)
    reason = serializers.CharField(max_length=1000, help_text="Why; approvers read it, and it goes on record.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a device of another tenant in the words an unknown one gets."""
        if attrs["device"] is not None and attrs["device"].tenant_id != attrs["tenant"].pk:
            raise serializers.ValidationError({"device": [NOT_YOURS]})
        return attrs


class ResolveActionSerializer(ReasonSerializer):
    """What became of an action that needs attention, as a person found it."""

    outcome = serializers.ChoiceField(
        [
            (State.SUCCEEDED.value, _("It was done.")),
            (State.FAILED.value, _("It was not done, and is not to be.")),
            (State.APPROVED.value, _("It was not done; send it again.")),
        ]
    )
