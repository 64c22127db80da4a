"""How values look on every page: times with their zone, states as badges that also say it in words, links."""

from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.timezone import now
from django.utils.translation import gettext as _

NOTHING = "–"


def grouped(count: int) -> str:
    """Return a number as people read long ones: 12,000."""
    return str(number_format(count, force_grouping=True))


def show_time(moment: datetime | None) -> str:
    """Return a time to the minute in UTC, with the zone said."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}"><span>{}</span> <span>{} UTC</span></time>',
        moment.isoformat(timespec="seconds"),
        f"{moment:%Y-%m-%d}",
        f"{moment:%H:%M}",
    )


def show_age(moment: datetime | None) -> str:
    """Return a time with how long ago it was, or how long until it comes."""
    if moment is None:
        return NOTHING
    if abs(moment - now()) < timedelta(minutes=1):
        distance = _("just now") if moment <= now() else _("in less than a minute")
    elif moment <= now():
        distance = _("%(time)s ago") % {"time": timesince(moment, depth=1)}
    else:
        distance = _("in %(time)s") % {"time": timeuntil(moment, depth=1)}
    return format_html('{} <span class="aside">{}</span>', show_time(moment), distance)


def badge(text: object, tone: str = "neutral") -> SafeString:
    """Return a state as a coloured badge; the text says it, the colour only repeats it.

    `tone` is neutral, waiting, moving, good or bad.
    """
    return format_html('<span class="badge badge-{}">{}</span>', tone, text)


def link_to(page: str, key: UUID | None, text: object) -> str:
    """Return a link to one object's page; `page` is the admin's name for it, like `investigations_device`."""
    if key is None:
        return NOTHING
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}_change", args=[key]), text)


def labelled(label: object, value: object) -> SafeString:
    """Return a list cell whose column heading comes along where the list is too narrow to have headings."""
    return format_html('<span class="cell-label">{}</span> {}', label, value)
