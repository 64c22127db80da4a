"""/mail-searches/: the explorer. A search becomes a query of Quell's own; its results are read under /hunts/."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.idempotency import replayable
from portal.api.viewsets import ScopedViewSet
from remediation.hunting.api.answering import BatchSerializer, answer_batch
from remediation.hunting.models import MailSearch
from remediation.hunting.services import LONGEST_CRITERION, MOST_TENANTS, search_mail
from remediation.hunting.timespans import between


def _criterion(help_text: str) -> serializers.CharField:
    return serializers.CharField(required=False, default="", allow_blank=True, max_length=LONGEST_CRITERION,
                                 help_text=help_text)  # fmt: skip


class SearchMailSerializer(serializers.Serializer):
    """What to look for; at least one of the four texts. Whatever is in them, they are compared as plain text."""

    tenants = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_TENANTS)
    sender = _criterion("An address, or a domain.")
    subject = _criterion("A part of the subject.")
    recipient = _criterion("An address.")
    url = _criterion("A part of an address in the message.")
    received_after = serializers.DateTimeField(required=False, allow_null=True, default=None)
    received_before = serializers.DateTimeField(required=False, allow_null=True, default=None)


class MailSearchViewSet(ScopedViewSet):
    """Search mail by sender, subject, recipient, URL and time; the last 30 days where no time is given."""

    queryset = MailSearch.objects.none()
    serializer_class = SearchMailSerializer

    @extend_schema(request=SearchMailSerializer, responses={201: BatchSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Search in each of these tenants; read the results under /hunts/ by the batch."""
        body = SearchMailSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        criteria = {name: asked[name] for name in ("sender", "subject", "recipient", "url")}
        timespan = between(asked["received_after"], asked["received_before"])
        return answer_batch(search_mail(criteria, timespan, asked["tenants"], actor=self.actor))
