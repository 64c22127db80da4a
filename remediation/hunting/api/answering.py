"""What a question to many tenants is answered with: a batch, and what became of it in each tenant."""

from typing import Final

from rest_framework import serializers, status
from rest_framework.response import Response

from portal.access.exceptions import BadRequest, Forbidden
from remediation.hunting.services import Batch, TenantAnswer
from remediation.hunting.states import HuntState

_OUTCOMES: Final = [
    (HuntState.QUEUED.value, "Queued"),
    (HuntState.FAILED.value, "Failed"),
    ("refused", "Refused"),
    ("not_found", "Not found"),
]


class TenantAnswerSerializer(serializers.Serializer):
    """What became of the question in one tenant: its hunt, or why there is none."""

    tenant = serializers.UUIDField()
    outcome = serializers.ChoiceField(_OUTCOMES)
    hunt = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it failed or was refused.")


class BatchSerializer(serializers.Serializer):
    """All that one request asked for: GET /hunts/?batch= tells how far it is."""

    batch = serializers.UUIDField()
    results = TenantAnswerSerializer(many=True)


def answer_batch(batch: Batch) -> Response:
    """Answer with what became of the question in each tenant.

    Raises BadRequest where none of the tenants is there, Forbidden where the question may be asked in none of them.
    """
    if not any(answer.hunt for answer in batch.answers):
        found = [answer for answer in batch.answers if answer.is_found]
        raise Forbidden(found[0].refusal) if found else BadRequest(batch.answers[0].refusal)
    told = [
        {
            "tenant": answer.tenant_id,
            "outcome": _outcome(answer),
            "hunt": answer.hunt.pk if answer.hunt else None,
            "reason": answer.hunt.error if answer.hunt else answer.refusal,
        }
        for answer in batch.answers
    ]
    return Response(BatchSerializer({"batch": batch.id, "results": told}).data, status=status.HTTP_201_CREATED)


def _outcome(answer: TenantAnswer) -> str:
    if answer.hunt is not None:
        return str(answer.hunt.state)
    return "refused" if answer.is_found else "not_found"
