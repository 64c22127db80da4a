"""What people do to channels and deliveries. All of it goes on record; no address or secret does."""

from base64 import b64encode
from collections.abc import Mapping
from secrets import token_bytes
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from uuid_utils.compat import uuid7

from connectors.outbound.addresses import read_url
from connectors.outbound.bell import ring_after_commit
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.states import OPEN_STATES, TEST, ChannelKind, DeliveryState
from connectors.outbound.telling import Notice, delivery_of
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.secrets.envelope import seal
from portal.secrets.secret_text import SecretText
from portal.tenancy.scope import database_now

CHANGEABLE: Final = ("name", "is_on", "events", "language", "emails")
MOST_EMAILS: Final = 20
SECRET_BYTES: Final = 32
"""Of a signing secret; the Standard Webhooks specification wants 24 to 64."""

_TOLD: Final = (*CHANGEABLE, "kind", "host", "signing_secret_set_at")


def create_channel(channel: Channel, *, url: SecretText, actor: Actor) -> SecretText:
    """Save a new channel and return its signing secret, "" where its kind has none; it is told this once.

    Raises Forbidden, SecondFactorNeeded, BadRequest for addresses that do not fit, and Conflict for a name in use.
    """
    actor.require(Capability.MANAGE_CONNECTIONS, channel.tenant_id)
    actor.require_second_factor()
    if channel.kind != ChannelKind.EMAIL and not url:
        raise BadRequest(_("Give the address that this kind of channel posts to."))
    if url:
        _seal_url(channel, url)
    secret = _seal_new_secret(channel) if channel.kind == ChannelKind.WEBHOOK else SecretText("")
    _save(channel, force_insert=True)
    _record(channel, "created", actor, before=None, after=_values(channel))
    return secret


def change_channel(channel_id: UUID, changes: Mapping[str, Any], *, url: SecretText, actor: Actor) -> Channel:
    """Change some of CHANGEABLE, and the address where one is given, and return the channel.

    Where a channel is switched off, what waited for it is given up. Who gets the messages is changed only with a
    second factor just shown. Raises Forbidden, SecondFactorNeeded, BadRequest and Conflict as creating does.
    """
    channel = _locked(channel_id, actor)
    before = _values(channel)
    wanted = {name: value for name, value in changes.items() if getattr(channel, name) != value}
    if url or "emails" in wanted:
        actor.require_second_factor()
    for name, value in wanted.items():
        setattr(channel, name, value)
    if url:
        _seal_url(channel, url)
    if not (wanted or url):
        return channel
    _save(channel, update_fields=[*wanted, *(("url_sealed", "host") if url else ())])
    if not channel.is_on:
        _give_up_waiting(channel, _("Its channel was switched off before it was sent."))
    _record(channel, "changed", actor, before=before, after=_values(channel) | {"address_set": bool(url)})
    return channel


def renew_signing_secret(channel_id: UUID, *, actor: Actor) -> SecretText:
    """Give a webhook a new signing secret and return it; it is told this once, and signs from now on.

    Raises Forbidden, SecondFactorNeeded, and Conflict for another kind of channel.
    """
    channel = _locked(channel_id, actor)
    actor.require_second_factor()
    if channel.kind != ChannelKind.WEBHOOK:
        raise Conflict(_("Only signed webhooks have a signing secret."))
    before = _values(channel)
    secret = _seal_new_secret(channel)
    channel.save(update_fields=["signing_secret_sealed", "signing_secret_set_at"])
    _record(channel, "signing_secret_set", actor, before=before, after=_values(channel))
    return secret


def delete_channel(channel_id: UUID, *, actor: Actor) -> None:
    """Delete a channel; its deliveries stay in the ledger, and those that wait are given up.

    Its address and secret are gone with it, and only people can give others. Raises Forbidden for API keys too.
    """
    channel = _locked(channel_id, actor)
    actor.require_person()
    _give_up_waiting(channel, _("Its channel was deleted before it was sent."))
    _record(channel, "deleted", actor, before=_values(channel), after=None)
    channel.delete()


def request_test(channel_id: UUID, *, actor: Actor) -> Delivery:
    """Write a test message, which a worker sends like any other. Raises Forbidden, and Conflict while it is off."""
    channel = _locked(channel_id, actor)
    _refuse_switched_off(channel)
    notice = Notice(
        event=TEST,  # type: ignore[arg-type]  # an event nobody subscribes to
        subject=gettext_lazy("Test message from Quell"),
        facts=[(gettext_lazy("Asked for by"), actor.label)],
        path=reverse("admin:outbound_channel_change", args=[channel.pk]),
        object_type="notification channel",
        object_id=channel.pk,
    )
    delivery = delivery_of(channel, notice, key=f"test:{uuid7()}")
    _queue(delivery, actor)
    _record(channel, "tested", actor, before=None, after=None)
    return delivery


def replay(delivery_id: UUID, *, actor: Actor) -> Delivery:
    """Send an ended delivery once more, to its channel as it is now, and return the new row, which names the old one.

    It has an id of its own, since whoever replays wants it dealt with again. Raises Forbidden, and Conflict for one
    that is still under way or whose channel is gone or off.
    """
    old = Delivery.objects.get(pk=delivery_id)
    actor.require(Capability.MANAGE_CONNECTIONS, old.tenant_id)
    if old.state in OPEN_STATES:
        raise Conflict(_("It is still under way; wait until it has ended."))
    channel = Channel.objects.filter(pk=old.channel_id).first() if old.channel_id else None
    if channel is None:
        raise Conflict(_("Its channel was deleted; there is nowhere to send it to."))
    _refuse_switched_off(channel)
    delivery = Delivery(
        tenant_id=old.tenant_id,
        channel=channel,
        channel_name=channel.name,
        kind=channel.kind,
        sent_to=channel.sends_to,
        key=f"replay:{uuid7()}",
        replay_of=old,
        **{name: getattr(old, name) for name in ("event", "subject", "facts", "path", "object_type", "object_id")},
    )
    _queue(delivery, actor)
    record(
        old.tenant_id,
        "delivery.replayed",
        object_type="delivery",
        object_id=old.pk,
        actor=actor.stamp,
        data={"target": channel.name, "before": {"state": old.state}, "after": {"replay": delivery.pk}},
    )
    return delivery


def _queue(delivery: Delivery, actor: Actor) -> None:
    delivery.asked_by_id = actor.id
    delivery.save(force_insert=True)
    delivery.refresh_from_db()
    ring_after_commit(delivery.tenant_id)


def _locked(channel_id: UUID, actor: Actor) -> Channel:
    channel = Channel.objects.select_for_update(no_key=True).get(pk=channel_id)
    actor.require(Capability.MANAGE_CONNECTIONS, channel.tenant_id)
    return channel


def _refuse_switched_off(channel: Channel) -> None:
    if not channel.is_on:
        raise Conflict(_("The channel is switched off; switch it on first."))


def _seal_url(channel: Channel, url: SecretText) -> None:
    if channel.kind == ChannelKind.EMAIL:
        raise BadRequest(_("A channel by e-mail has e-mail addresses, and no address to post to."))
    try:
        found = read_url(url.reveal())
    except ValueError as error:
        raise BadRequest(str(error)) from None
    channel.host = found.netloc.decode("ascii")
    channel.url_sealed = seal(channel.tenant_id, channel.url_place, url.reveal())


def _seal_new_secret(channel: Channel) -> SecretText:
    secret = SecretText(f"whsec_{b64encode(token_bytes(SECRET_BYTES)).decode()}")
    channel.signing_secret_sealed = seal(channel.tenant_id, channel.signing_secret_place, secret.reveal())
    channel.signing_secret_set_at = database_now()
    return secret


def _save(channel: Channel, **how: Any) -> None:
    is_by_email = channel.kind == ChannelKind.EMAIL
    if is_by_email and not channel.emails:
        raise BadRequest(_("Give at least one e-mail address."))
    if channel.emails and not is_by_email:
        raise BadRequest(_("Only a channel by e-mail has e-mail addresses."))
    if len(channel.emails) > MOST_EMAILS:
        raise BadRequest(_("A channel has at most %(most)d e-mail addresses.") % {"most": MOST_EMAILS})
    if not channel.events:
        raise BadRequest(_("Choose at least one event."))
    try:
        with transaction.atomic():
            channel.save(**how)
    except IntegrityError as error:
        raise Conflict(_("This tenant has a channel of this name already; choose another name.")) from error


def _give_up_waiting(channel: Channel, words: str) -> None:
    ended = {"state": DeliveryState.FAILED, "error": words}
    waiting = Delivery.objects.filter(channel=channel, state=DeliveryState.QUEUED)
    waiting.filter(was_in_doubt=True).update(**ended | {"state": DeliveryState.UNKNOWN})
    waiting.update(**ended)


def _values(channel: Channel) -> dict[str, Any]:
    """Return what goes on record: all that may be shown."""
    return {name: getattr(channel, name) for name in _TOLD}


def _record(channel: Channel, what: str, actor: Actor, *, before: Any, after: Any) -> None:
    record(
        channel.tenant_id,
        f"notification_channel.{what}",
        object_type="notification channel",
        object_id=channel.pk,
        actor=actor.stamp,
        data={"target": channel.name, "before": before, "after": after},
    )
