"""/notification-channels/: how each tenant's IT admins are told. No address and no secret is shown again."""

from typing import Any

from django.conf import settings
from django_filters.rest_framework import ChoiceFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from connectors.outbound import services
from connectors.outbound.addresses import LONGEST_URL
from connectors.outbound.api.deliveries import DeliverySerializer
from connectors.outbound.models import Channel
from connectors.outbound.states import ChannelKind, Event
from portal.api.fields import ExactSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import ShownOnce, replayable
from portal.api.permissions import SessionOnly
from portal.api.viewsets import ReadingViewSet
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant

_URL = "Where it posts to: https, without user name or password. Only its host is shown again. Not for e-mail."


class ChannelSerializer(serializers.ModelSerializer):
    """A channel. Of its address one learns the host, of its signing secret since when there is one."""

    events = serializers.ListField(child=serializers.ChoiceField(Event.choices))
    host = serializers.CharField(read_only=True, help_text="Of the address it posts to; empty for e-mail.")

    class Meta:
        model = Channel
        fields = (
            "id", "tenant", "kind", *services.CHANGEABLE, "host", "signing_secret_set_at", "last_delivered_at",
            "failing_since", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ChangeChannelSerializer(ExactSerializer):
    """What to change; what is left out stays. Addresses take a second factor just shown, so no API key sets them."""

    name = serializers.CharField(max_length=200)
    is_on = serializers.BooleanField(default=True)
    events = serializers.ListField(child=serializers.ChoiceField(Event.choices), min_length=1)
    language = serializers.ChoiceField(settings.LANGUAGES, default=settings.LANGUAGE_CODE)
    emails = serializers.ListField(
        child=serializers.EmailField(max_length=254),
        default=list,
        max_length=services.MOST_EMAILS,
        help_text="For e-mail alone: who gets it.",
    )
    url = serializers.CharField(
        max_length=LONGEST_URL, default="", allow_blank=True, write_only=True, trim_whitespace=True, help_text=_URL
    )


class NewChannelSerializer(ChangeChannelSerializer):
    """A channel to be."""

    tenant = RowField(queryset=Tenant.objects.filter(is_active=True))
    kind = serializers.ChoiceField(ChannelKind.choices)


class SigningSecretSerializer(serializers.Serializer):
    """A channel with what a receiver checks signatures by."""

    tenant = serializers.UUIDField()
    channel = ChannelSerializer()
    signing_secret = serializers.CharField(
        allow_null=True, help_text="`whsec_…`, told once; null in a replay, and for what is no signed webhook."
    )


class ChannelFilterSet(TenantFilterSet):
    """By tenant, kind and whether it is on."""

    kind = ChoiceFilter(choices=ChannelKind.choices)

    class Meta:
        model = Channel
        fields = ("tenant", "kind", "is_on")


@extend_schema_view(
    list=extend_schema(description="Channels of all tenants you may see."),
    retrieve=extend_schema(description="One channel."),
)
class ChannelViewSet(ReadingViewSet):
    """Who of a tenant is told by e-mail, Teams, Slack or signed webhook, and of what."""

    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    filterset_class = ChannelFilterSet

    @extend_schema(request=NewChannelSerializer, responses={201: SigningSecretSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Add a channel. A signed webhook gets its signing secret, told this once. It takes a second factor."""
        body = NewChannelSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        url = SecretText(given.pop("url"))
        channel = Channel(**given)
        secret = services.create_channel(channel, url=url, actor=self.actor)
        return _shown_once(channel, secret, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeChannelSerializer, responses=ChannelSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a channel. Where it is switched off, what waits for it is given up; it can be replayed later."""
        channel: Channel = self.get_object()
        body = ChangeChannelSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changes = dict(body.validated_data)
        url = SecretText(changes.pop("url", ""))
        changed = services.change_channel(channel.pk, changes, url=url, actor=self.actor)
        return Response(ChannelSerializer(changed).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a channel, which no API key does. What was sent by it stays in the ledger."""
        channel: Channel = self.get_object()
        services.delete_channel(channel.pk, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={201: DeliverySerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def test(self, request: Request, pk: str) -> Response:
        """Send a test message; the delivery that is answered tells what became of it."""
        channel: Channel = self.get_object()
        delivery = services.request_test(channel.pk, actor=self.actor)
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={201: SigningSecretSerializer})
    @action(detail=True, methods=["post"], url_path="renew-signing-secret", permission_classes=[SessionOnly])
    @replayable
    def renew_signing_secret(self, request: Request, pk: str) -> Response:
        """Give a signed webhook a new secret, told this once; the old one signs nothing from now on. No API key may."""
        channel: Channel = self.get_object()
        secret = services.renew_signing_secret(channel.pk, actor=self.actor)
        channel.refresh_from_db()
        return _shown_once(channel, secret, status.HTTP_201_CREATED)


def _shown_once(channel: Channel, secret: SecretText, status_code: int) -> Response:
    told: dict[str, Any] = {
        "tenant": str(channel.tenant_id),
        "channel": ChannelSerializer(channel).data,
        "signing_secret": secret.reveal() or None,
    }
    return ShownOnce(told, secrets=["signing_secret"], status=status_code)
