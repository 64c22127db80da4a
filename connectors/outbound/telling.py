"""`tell()`: the one way to tell a tenant's IT admins something outside of the portal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from django.utils.functional import Promise, lazy
from django.utils.translation import gettext, override

from connectors.outbound.bell import ring_after_commit
from connectors.outbound.formats import one_line
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.states import Event

__all__ = ["Event", "Notice", "said_later", "tell", "tell_each"]

MOST_FACTS: Final = 30
LONGEST_FACT: Final = 500
LONGEST_SUBJECT: Final = 300


@dataclass(frozen=True, slots=True)
class Notice:
    """What to say. `subject` is one line; `facts` are pairs of a label and a value; `path` is the page's, from "/".

    Lazy texts (`gettext_lazy`, `said_later`) are said in the language of each channel. What is longer than 300
    (subject) or 500 characters (a fact) is cut, facts beyond the thirtieth are left out.
    """

    event: Event
    subject: str | Promise
    facts: Sequence[tuple[str | Promise, str | Promise]]
    path: str
    object_type: str
    object_id: UUID


def said_later(text: str, **values: str) -> Promise:
    """Return a text, marked by `gettext_noop`, that is translated and filled in once it is said."""
    return cast(Promise, lazy(lambda: gettext(text) % values, str)())


def tell(tenant_id: UUID, notice: Notice, *, key: str) -> int:
    """Write one delivery for each of the tenant's channels that want this event, in the open transaction.

    `key` makes it once: a second notice of the same key writes nothing. Returns how many were written; a worker sends
    them after COMMIT. Raises NoScope outside a scope.
    """
    return tell_each({tenant_id: notice}, keys={tenant_id: key})


def tell_each(notices: Mapping[UUID, Notice], *, keys: Mapping[UUID, str]) -> int:
    """Do as `tell` for many tenants, each its own notice, in as many statements as for one tenant."""
    wanted = Channel.objects.filter(
        tenant_id__in=notices,
        tenant__is_active=True,
        is_on=True,
        events__overlap=sorted({notice.event.value for notice in notices.values()}),
    )
    rows = [
        delivery_of(channel, notices[channel.tenant_id], key=keys[channel.tenant_id])
        for channel in wanted
        if notices[channel.tenant_id].event in channel.events
    ]
    if not rows:
        return 0
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    written = list(Delivery.objects.filter(pk__in=[row.pk for row in rows]).values_list("tenant_id", flat=True))
    for tenant_id in set(written):
        ring_after_commit(tenant_id)
    return len(written)


def delivery_of(channel: Channel, notice: Notice, *, key: str) -> Delivery:
    """Return the row, not saved, that tells a channel of something in the channel's own language."""
    with override(channel.language):
        subject = one_line(str(notice.subject), LONGEST_SUBJECT)
        facts = [
            [one_line(str(label), LONGEST_FACT), one_line(str(value), LONGEST_FACT)]
            for label, value in notice.facts[:MOST_FACTS]
        ]
    return Delivery(
        tenant_id=channel.tenant_id,
        channel=channel,
        channel_name=channel.name,
        kind=channel.kind,
        sent_to=channel.sends_to,
        event=notice.event,
        key=key,
        subject=subject,
        facts=facts,
        path=notice.path,
        object_type=notice.object_type,
        object_id=notice.object_id,
    )
