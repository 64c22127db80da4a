"""How remediation actions look in the API, and what is asked for them. Shape only: the rules are the services'."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from investigations.models import Device
from portal.api.fields import NOT_YOURS, PersonSerializer, ReasonSerializer, RowField
from portal.tenancy.models import Tenant
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.by_hand import find_hand_work, nearest_parameters, portal_url, waits_for_hands
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.results import Stage
from remediation.actions.states import State
from remediation.actions.undoing import STILL_COUNTS
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
    "cancel_asked_at",
    "cancel_reason",
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


class ByHandSerializer(serializers.Serializer):
    """What a person does in the Defender portal because Microsoft has no API for it."""

    portal_url = serializers.CharField(help_text='The customer\'s own Defender portal; "" where its cloud has none.')
    is_waiting = serializers.BooleanField(
        help_text="Whether it waits for that person now: `accepted` then means by people, and nothing was sent."
    )
    why_by_hand = serializers.CharField(help_text="Why it cannot be done through Microsoft's API.")
    nearest = serializers.CharField(help_text='The action type that comes nearest, "" for none.')
    nearest_parameters = serializers.DictField(help_text="What to ask for it with, as far as it is known.")


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
    findings = serializers.DictField(
        read_only=True,
        allow_null=True,
        help_text="What it read at Microsoft: a file's profile, or the setting it changes as it was before.",
    )
    by_hand = serializers.SerializerMethodField(
        help_text="Why a person has to do it in the Defender portal, and where; null where Microsoft's API does it."
    )

    class Meta(ActionSerializer.Meta):
        fields = (
            *_FIELDS,
            "waits_for",
            "needed_approvals",
            "given_approvals",
            "decisions",
            "evidence",
            "undone_by",
            "findings",
            "by_hand",
        )
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

    @extend_schema_field(ByHandSerializer(allow_null=True))
    def get_by_hand(self, action: RemediationAction) -> dict[str, Any] | None:
        """Return why and where it is done by hand, None where it is not."""
        work = find_hand_work(action)
        if work is None:
            return None
        return {
            "portal_url": portal_url(action, work),
            "is_waiting": waits_for_hands(action),
            "why_by_hand": str(work.why),
            "nearest": work.nearest,
            "nearest_parameters": nearest_parameters(action, work),
        }

    def get_undone_by(self, action: RemediationAction) -> UUID | None:
        """Return the id of the undo that is under way or done; one that failed no longer counts."""
        undo = action.undone_by.filter(state__in=STILL_COUNTS).first()
        return undo.pk if undo else None


class ResultLinkSerializer(serializers.Serializer):
    """A link to what an action brought back, or that Microsoft is being asked for it."""

    stage = serializers.ChoiceField([Stage.ASKED.value, Stage.READY.value])
    url = serializers.CharField(help_text='Where to fetch it without signing in, soon and once; "" until it is ready.')


class RequestActionSerializer(serializers.Serializer):
    """An action asked for by hand. GET /action-types/ says which parameters each type takes."""

    tenant = RowField(queryset=Tenant.objects.all())
    type = serializers.ChoiceField(CHOICES)
    device = RowField(
        queryset=Device.objects.all(),
        required=False,
        allow_null=True,
        default=None,
        help_text="For actions on devices; none for all others.",
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
