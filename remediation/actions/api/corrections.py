"""POST /corrections/: a false positive or a missed threat, with all that follows from it, in one call."""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from investigations.models import Alert, Evidence
from portal.api.fields import NOT_YOURS, ReasonSerializer, RowField
from portal.api.idempotency import replayable
from portal.api.permissions import SignedIn, actor_of
from portal.tenancy.models import Tenant
from remediation.actions.corrections import (
    Correction,
    Done,
    Mistake,
    PartName,
    Subject,
    Undo,
    carry_out,
    left_to_people,
    subject_of_action,
    subject_of_alert,
    subject_of_evidence,
)
from remediation.actions.models import RemediationAction
from remediation.actions.taking_back import Result
from remediation.catalogue import CATALOGUE

_INDICATOR_TYPES = CATALOGUE["allow_indicator"].parameters[0].choices
_SUBJECTS: dict[str, Callable[[Any], Subject]] = {
    "alert": subject_of_alert,
    "evidence": subject_of_evidence,
    "action": subject_of_action,
}


class IndicatorSerializer(serializers.Serializer):
    """What is let pass after a false positive, or blocked after a missed threat, on all devices of the tenant."""

    type = serializers.ChoiceField(_INDICATOR_TYPES)
    value = serializers.CharField(max_length=1000)
    days = serializers.IntegerField(
        min_value=1, max_value=365, required=False, allow_null=True, default=None, help_text="Null: without an end."
    )


class CorrectionSerializer(ReasonSerializer):
    """A verdict that was wrong. Name one of `alert`, `evidence` and `action`."""

    tenant = RowField(queryset=Tenant.objects.all())
    kind = serializers.ChoiceField(Mistake.choices)
    alert = RowField(queryset=Alert.objects.all(), required=False)
    evidence = RowField(queryset=Evidence.objects.select_related("alert", "tenant"), required=False)
    action = RowField(queryset=RemediationAction.objects.select_related("device", "tenant"), required=False)
    classification = serializers.CharField(
        max_length=100, help_text="Microsoft's word for what the alert was, in any spelling of Microsoft's pages."
    )
    determination = serializers.CharField(max_length=100, help_text="Likewise, of those that go with it.")
    undo = serializers.ChoiceField(Undo.choices, required=False, default=Undo.NONE)
    indicator = IndicatorSerializer(required=False, allow_null=True, default=None)
    submit = serializers.BooleanField(required=False, default=False, help_text="Hand it in to Microsoft.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take one subject, of this tenant; another tenant's is refused in the words an unknown one gets."""
        named = [name for name in _SUBJECTS if name in attrs]
        if len(named) != 1:
            raise serializers.ValidationError({"alert": [_("Name one of alert, evidence and action.")]})
        if attrs[named[0]].tenant_id != attrs["tenant"].pk:
            raise serializers.ValidationError({named[0]: [NOT_YOURS]})
        attrs["subject"] = _SUBJECTS[named[0]](attrs[named[0]])
        return attrs


class DonePartSerializer(serializers.Serializer):
    """What came of one part. `action` is what was ordered, `undoes` the action it takes back."""

    part = serializers.ChoiceField(PartName.choices, source="planned.name")
    what = serializers.CharField(source="planned.what")
    target = serializers.CharField(source="planned.target")
    result = serializers.ChoiceField(Result.choices)
    action = serializers.UUIDField(source="action.pk", default=None, allow_null=True)
    undoes = serializers.UUIDField(source="planned.undoes.pk", default=None, allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was refused.")


class HandWorkSerializer(serializers.Serializer):
    """What a person still has to do, and where."""

    what = serializers.CharField()
    url = serializers.CharField(allow_blank=True)


class CorrectedSerializer(serializers.Serializer):
    """What was ordered, part by part."""

    tenant = serializers.UUIDField()
    parts = DonePartSerializer(many=True)
    by_hand = HandWorkSerializer(many=True)


class CorrectionsView(APIView):
    """False positives and missed threats."""

    permission_classes = [SignedIn]

    @extend_schema(operation_id="corrections_create", request=CorrectionSerializer, responses=CorrectedSerializer)
    @replayable
    def post(self, request: Request) -> Response:
        """Classify the alert, undo what it caused, allow or block an indicator and submit it to Microsoft.

        Each part is an action with a life of its own, and needs the right it would need by itself: a part that is
        refused says why, and the others go on. The same again orders nothing that is under way or done.
        """
        body = CorrectionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        correction = _correction(asked["subject"], asked)
        done: list[Done] = carry_out(correction, actor=actor_of(request), reason=asked["reason"])
        answer = {"tenant": asked["tenant"].pk, "parts": done, "by_hand": left_to_people(correction)}
        return Response(CorrectedSerializer(answer).data)


def _correction(subject: Subject, asked: dict[str, Any]) -> Correction:
    indicator = None
    if asked["indicator"] is not None:
        named = asked["indicator"]
        indicator = {"indicator_type": named["type"], "value": named["value"], "days": named["days"]}
    return Correction(
        mistake=Mistake(asked["kind"]),
        subject=subject,
        classification=asked["classification"],
        determination=asked["determination"],
        undo=Undo(asked["undo"]),
        indicator=indicator,
        is_submitted=asked["submit"],
    )
