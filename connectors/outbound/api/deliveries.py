"""/deliveries/: the ledger of what was sent to IT admins, and sending a message once more."""

from django_filters.rest_framework import ChoiceFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from connectors.outbound import services
from connectors.outbound.models import Delivery
from connectors.outbound.states import DELIVERY_EVENTS, DeliveryState
from portal.api.fields import PersonSerializer
from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet


class DeliverySerializer(serializers.ModelSerializer):
    """One message to one channel. `unknown` means that it may have arrived; `not_before` is when it is tried next."""

    facts = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2),
        read_only=True,
        help_text="Pairs of a label and a value.",
    )
    sent_to = serializers.CharField(read_only=True, help_text="The host, or the e-mail addresses.")
    asked_by = PersonSerializer(
        read_only=True, allow_null=True, help_text="Who tested or replayed; null for Quell's own."
    )

    class Meta:
        model = Delivery
        fields = (
            "id", "tenant", "channel", "channel_name", "kind", "sent_to", "event", "subject", "facts", "object_type",
            "object_id", "state", "attempts", "not_before", "was_in_doubt", "http_status", "error", "asked_by",
            "replay_of", "created_at", "tried_at", "delivered_at",
        )  # fmt: skip
        read_only_fields = fields


class DeliveryFilterSet(TenantFilterSet):
    """By tenant, channel, event, state, what it is about, and when."""

    channel = UUIDFilter(field_name="channel_id", label="Of one channel, by its id.")
    event = ChoiceFilter(choices=DELIVERY_EVENTS)
    state = ChoiceFilter(choices=DeliveryState.choices)
    object_id = UUIDFilter(label="About one thing, by its id.")
    created = MomentRangeFilter(field_name="created_at", label="Between two moments (ISO 8601).")

    class Meta:
        model = Delivery
        fields = ("tenant", "channel", "event", "state", "object_id", "created")


@extend_schema_view(
    list=extend_schema(description="Deliveries of all tenants you may see, newest first, kept as long as its rule."),
    retrieve=extend_schema(description="One delivery."),
)
class DeliveryViewSet(ReadingViewSet):
    """What was sent to IT admins, what became of it, and sending it once more."""

    queryset = Delivery.objects.select_related("asked_by")
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilterSet

    @extend_schema(request=None, responses={201: DeliverySerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def replay(self, request: Request, pk: str) -> Response:
        """Send an ended delivery once more, as a new one with an id of its own that names this one in `replay_of`."""
        delivery: Delivery = self.get_object()
        again = services.replay(delivery.pk, actor=self.actor)
        return Response(DeliverySerializer(again).data, status=status.HTTP_201_CREATED)
