"""What workers do with deliveries: claim one, send it outside any transaction, record what came of it.

At least once: a try that ended in doubt is repeated under the same id. `webhook-id` and Message-ID carry it.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils.translation import gettext as _
from django.utils.translation import override
from standardwebhooks import Webhook

from connectors.outbound import formats
from connectors.outbound.mailing import mail
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.outcomes import DeliveryError, InDoubt, Undeliverable
from connectors.outbound.posting import post
from connectors.outbound.states import DELIVERY_EVENTS, ChannelKind, DeliveryState
from portal.audit.recording import SYSTEM, record
from portal.secrets.envelope import unseal
from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.secret_text import SecretText
from portal.tenancy.scope import acting_for

PAUSES_SECONDS: Final = (10, 60, 300, 1800, 7200, 18_000, 28_800, 28_800)
"""How long to wait after each try that failed: about a day in all, then it is given up."""

MOST_ATTEMPTS: Final = len(PAUSES_SECONDS) + 1
LEASE_SECONDS: Final = 120
"""Longer than a worker may take over one (`tasks.send`): only one that died still holds it then."""

_DUE: Final = Q(state=DeliveryState.QUEUED, not_before__lte=Now()) | Q(
    state=DeliveryState.SENDING, lease_until__lte=Now()
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is this worker's until its lease is over, with all that sending it takes."""

    tenant_id: UUID
    channel_id: UUID
    fence: int
    attempt: int
    kind: ChannelKind
    language: str
    emails: tuple[str, ...]
    url: SecretText
    signing_secret: SecretText
    message: formats.Message


def send_next(tenant_id: UUID) -> bool:
    """Try the tenant's next due delivery once, and record what came of it; return whether there was one."""
    claimed = _claim(tenant_id)
    if claimed is None:
        return False
    try:
        http_status = _send(claimed)
    except DeliveryError as error:
        _note_failure(claimed, error)
    else:
        _note_success(claimed, http_status)
    return True


def has_due(tenant_id: UUID) -> bool:
    """Return whether the tenant has another delivery that could be tried now."""
    with acting_for(tenant_id):
        return Delivery.objects.filter(_DUE).exists()


def _claim(tenant_id: UUID) -> Claim | None:
    with acting_for(tenant_id):
        due = Delivery.objects.select_for_update(skip_locked=True).filter(_DUE).order_by("attempts", "id")
        while (delivery := due.first()) is not None:
            if delivery.state == DeliveryState.SENDING:
                delivery.was_in_doubt = True  # whoever had it died, perhaps after sending
            channel = _channel_of(delivery)
            if channel is None:
                _end(delivery, _("Its channel was switched off before it was sent."))
            elif delivery.attempts >= MOST_ATTEMPTS:
                _end(delivery, _("The last try broke off, and no more are made."))
            elif (claimed := _take(delivery, channel)) is not None:
                return claimed
    return None


def _channel_of(delivery: Delivery) -> Channel | None:
    """Return the channel with its sealed secrets, None where it is switched off or gone."""
    if delivery.channel_id is None:
        return None
    return Channel.objects.defer(None).filter(pk=delivery.channel_id, is_on=True).first()


def _take(delivery: Delivery, channel: Channel) -> Claim | None:
    try:
        url, signing_secret = _unsealed(channel)
    except SecretUnreadable as error:
        _end(delivery, str(error))
        return None
    _write(
        delivery,
        state=DeliveryState.SENDING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        was_in_doubt=delivery.was_in_doubt,
        tried_at=Now(),
        lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
    )
    return Claim(
        tenant_id=delivery.tenant_id,
        channel_id=channel.pk,
        fence=delivery.fence + 1,
        attempt=delivery.attempts + 1,
        kind=ChannelKind(channel.kind),
        language=channel.language,
        emails=tuple(channel.emails),
        url=url,
        signing_secret=signing_secret,
        message=_message(delivery, channel),
    )


def _unsealed(channel: Channel) -> tuple[SecretText, SecretText]:
    """Return the channel's address and signing secret, each empty where it has none. Raises SecretUnreadable."""
    sealed = ((channel.url_place, channel.url_sealed), (channel.signing_secret_place, channel.signing_secret_sealed))
    url, secret = (
        SecretText(unseal(channel.tenant_id, place, bytes(held)) if held is not None else "") for place, held in sealed
    )
    return url, secret


def _message(delivery: Delivery, channel: Channel) -> formats.Message:
    with override(channel.language):
        event_label = str(dict(DELIVERY_EVENTS).get(delivery.event, delivery.event))
    return formats.Message(
        delivery_id=delivery.pk,
        event=delivery.event,
        event_label=event_label,
        subject=delivery.subject,
        facts=delivery.facts,
        url=formats.page_url(delivery.path),
        tenant_id=delivery.tenant_id,
        tenant_name=formats.one_line(delivery.tenant.name, 200),
        channel_name=formats.one_line(channel.name, 200),
        object_type=delivery.object_type,
        object_id=delivery.object_id,
        replay_of=delivery.replay_of_id,
        created_at=delivery.created_at,
    )


def _send(claimed: Claim) -> int | None:
    """Send it and return the HTTP status, None for a mail. Raises DeliveryError."""
    with override(claimed.language):
        if claimed.kind == ChannelKind.EMAIL:
            letter = formats.email_of(claimed.message, claimed.emails)
        else:
            body = _BODIES[claimed.kind](claimed.message)
    if claimed.kind == ChannelKind.EMAIL:
        mail(letter)
        return None
    headers = _signature(claimed, body) if claimed.kind == ChannelKind.WEBHOOK else {}
    return post(claimed.url, body, headers)


def _signature(claimed: Claim, body: bytes) -> dict[str, str]:
    """Return the headers of the Standard Webhooks specification; the id is the same at every try."""
    message_id, moment = str(claimed.message.delivery_id), datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(claimed.signing_secret.reveal()).sign(message_id, moment, body.decode()),
    }


_BODIES: Final = {
    ChannelKind.SLACK: formats.slack_body,
    ChannelKind.TEAMS: formats.teams_body,
    ChannelKind.WEBHOOK: formats.webhook_body,
}


def _note_success(claimed: Claim, http_status: int | None) -> None:
    with acting_for(claimed.tenant_id):
        delivery = _held(claimed)
        if delivery is None:
            return
        _write(
            delivery,
            state=DeliveryState.DELIVERED,
            delivered_at=Now(),
            lease_until=None,
            http_status=http_status,
            error="",
        )
        Channel.objects.filter(pk=claimed.channel_id).update(last_delivered_at=Now(), failing_since=None)


def _note_failure(claimed: Claim, error: DeliveryError) -> None:
    with acting_for(claimed.tenant_id):
        delivery = _held(claimed)
        if delivery is None:
            return
        delivery.was_in_doubt |= isinstance(error, InDoubt)
        if isinstance(error, Undeliverable) or claimed.attempt >= MOST_ATTEMPTS:
            _end(delivery, str(error), http_status=error.http_status)
        else:
            _put_off(claimed, delivery, error)
        failing_since = Coalesce(F("failing_since"), Now())
        Channel.objects.filter(pk=claimed.channel_id).update(failing_since=failing_since)


def _put_off(claimed: Claim, delivery: Delivery, error: DeliveryError) -> None:
    """Wait longer after each try, and as long as the receiver asks for; then all of its channel waits so long."""
    pause = PAUSES_SECONDS[claimed.attempt - 1] * random.uniform(1.0, 1.1)
    _write(
        delivery,
        state=DeliveryState.QUEUED,
        not_before=Now() + timedelta(seconds=max(pause, error.retry_after or 0.0)),
        lease_until=None,
        was_in_doubt=delivery.was_in_doubt,
        http_status=error.http_status,
        error=str(error),
    )
    if error.retry_after:
        asked_for = Now() + timedelta(seconds=error.retry_after)
        waiting = Delivery.objects.filter(channel=claimed.channel_id, state=DeliveryState.QUEUED)
        waiting.update(not_before=Greatest(F("not_before"), asked_for))


def _held(claimed: Claim) -> Delivery | None:
    """Return the delivery, locked, unless somebody else has it by now: then this worker is a ghost."""
    held = Delivery.objects.select_for_update().filter(
        pk=claimed.message.delivery_id, fence=claimed.fence, state=DeliveryState.SENDING
    )
    return held.first()


def _end(delivery: Delivery, words: str, *, http_status: int | None = None) -> None:
    """Give it up: as unknown where one of the tries may have arrived, else as failed. A person can send it again."""
    state = DeliveryState.UNKNOWN if delivery.was_in_doubt else DeliveryState.FAILED
    _write(
        delivery,
        state=state,
        lease_until=None,
        was_in_doubt=delivery.was_in_doubt,
        http_status=http_status,
        error=words,
    )
    record(
        delivery.tenant_id,
        "delivery.given_up",
        object_type="delivery",
        object_id=delivery.pk,
        actor=SYSTEM,
        data={"target": delivery.channel_name, "state": str(state), "reason": words},
    )


def _write(delivery: Delivery, **changes: Any) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(**changes)
