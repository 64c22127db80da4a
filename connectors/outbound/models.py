"""Channel: a way to tell a tenant's IT admins. Delivery: the ledger, one row per message, and the queue at once."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connectors.outbound.states import DELIVERY_EVENTS, ChannelKind, DeliveryState, Event
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel


def languages() -> list[tuple[str, str | Promise]]:
    """Return the languages a channel's text can be in."""
    return list(settings.LANGUAGES)


def wanted_events() -> list[tuple[str, str | Promise]]:
    """Return what a channel can be told of; a function, so that a new event is no change of the table."""
    return list(Event.choices)


def told_events() -> list[tuple[str, str | Promise]]:
    """Return what a delivery can be of; a function, so that a new event is no change of the table."""
    return list(DELIVERY_EVENTS)


class ChannelManager(TenantManager["Channel"]):
    """Channels in scope; their sealed secrets stay in the database until somebody asks for one by name."""

    def get_queryset(self) -> models.QuerySet["Channel"]:
        """Return the channels without their sealed secrets."""
        return super().get_queryset().defer("url_sealed", "signing_secret_sealed")


class Channel(TenantModel):
    """One way to tell a tenant's IT admins.

    The address of a Slack or Teams channel is a secret in itself, so every URL is sealed and only its `host` is shown.
    `failing_since` is when the first of the tries failed that no success followed.
    """

    kind = models.CharField(_("kind"), max_length=10, choices=ChannelKind.choices)
    name = models.CharField(_("name"), max_length=200)
    is_on = models.BooleanField(_("on"), default=True, db_default=True)
    events = ArrayField(models.CharField(max_length=40, choices=wanted_events), verbose_name=_("events"), default=list)
    language = models.CharField(_("language"), max_length=10, choices=languages, default="en")
    emails = ArrayField(models.EmailField(), verbose_name=_("e-mail addresses"), default=list, blank=True)
    host = models.CharField(_("host"), max_length=300, blank=True, editable=False)
    url_sealed = models.BinaryField(_("address"), null=True, editable=False)
    signing_secret_sealed = models.BinaryField(_("signing secret"), null=True, editable=False)
    signing_secret_set_at = models.DateTimeField(_("signing secret set"), null=True, editable=False)
    last_delivered_at = models.DateTimeField(_("last delivered"), null=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects: ClassVar[ChannelManager] = ChannelManager()

    class Meta:
        verbose_name = _("notification channel")
        verbose_name_plural = _("notification channels")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="one_channel_of_a_name"),
            models.CheckConstraint(condition=models.Q(kind__in=ChannelKind.values), name="channel_kind_is_known"),
            models.CheckConstraint(
                condition=models.Q(kind=ChannelKind.WEBHOOK, signing_secret_sealed__isnull=False)
                | ~models.Q(kind=ChannelKind.WEBHOOK),
                name="webhook_is_signed",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def sends_to(self) -> str:
        """Where its messages go, as it may be shown: the host of its address, or the e-mail addresses."""
        return self.host or ", ".join(self.emails)

    @property
    def url_place(self) -> str:
        """What the address is bound to, besides the tenant: this very column of this very row."""
        return f"outbound.channel.{self.pk}.url"

    @property
    def signing_secret_place(self) -> str:
        """What the signing secret is bound to, besides the tenant: this very column of this very row."""
        return f"outbound.channel.{self.pk}.signing_secret"


class Delivery(TenantModel):
    """One message to one channel: written before it is sent, in the transaction of what it tells of.

    `key` makes it once per channel. `fence` counts the times it was claimed; `attempts` the tries. `was_in_doubt`:
    one of them may have arrived. `channel_name` and `sent_to` (host or addresses) stay when the channel goes.
    `replay_of` is what a person sent again by this one. Times are UTC and PostgreSQL's.
    """

    channel = TenantForeignKey(
        Channel, on_delete=models.SET_NULL, null=True, db_index=False, related_name="+", verbose_name=_("channel")
    )
    channel_name = models.CharField(_("channel's name"), max_length=200)
    kind = models.CharField(_("kind"), max_length=10, choices=ChannelKind.choices)
    sent_to = models.TextField(_("sent to"), blank=True)
    event = models.CharField(_("event"), max_length=40, choices=told_events)
    key = models.CharField(_("key"), max_length=200)
    subject = models.CharField(_("subject"), max_length=300)
    facts = models.JSONField(_("facts"), default=list)
    path = models.CharField(_("page"), max_length=300, blank=True)
    object_type = models.CharField(_("about"), max_length=50)
    object_id = models.UUIDField(_("about"))
    state = models.CharField(_("state"), max_length=10, choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(_("not before"), db_default=Now())
    lease_until = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    was_in_doubt = models.BooleanField(_("may have arrived"), default=False)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    error = models.TextField(_("last error"), blank=True)
    asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("asked by")
    )
    replay_of = TenantForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("sent again")
    )
    created_at = models.DateTimeField(_("written"), db_default=Now())
    tried_at = models.DateTimeField(_("last tried"), null=True)
    delivered_at = models.DateTimeField(_("delivered"), null=True)

    objects: ClassVar[TenantManager["Delivery"]] = TenantManager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "channel", "key"), name="one_delivery_of_a_key"),
            models.CheckConstraint(condition=models.Q(state__in=DeliveryState.values), name="delivery_state_is_known"),
        )
        indexes = (
            models.Index(fields=("not_before",), condition=models.Q(state="queued"), name="delivery_to_send"),
            models.Index(fields=("lease_until",), condition=models.Q(state="sending"), name="delivery_under_way"),
            models.Index(fields=("tenant", "object_id"), name="deliveries_about"),
        )

    def __str__(self) -> str:
        return self.subject
