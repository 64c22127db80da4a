"""The burn-down of a tenant: how much of its remediation was open each day, drawn here and written out as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import grouped
from portal.access.scoped_admin import ReadOnlyAdmin
from portal.tenancy.models import Tenant
from portal.tenancy.scope import has_scope
from remediation.safeguards.admin.by_tenant import customers
from remediation.vulnerabilities.models import BurnDownDay, ExposureDay
from remediation.vulnerabilities.querysets import today

Day = TypeVar("Day", BurnDownDay, ExposureDay)

DAYS: Final = 90
WIDTH, HEIGHT = 640, 200
"""The drawing's own units; on the page it is as wide as there is room."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, how it is drawn (`first` is solid, `second` dashed), its points and its last value."""

    label: str | Promise
    style: str
    points: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of one or two series over the same days, from zero to `ceiling`."""

    title: str | Promise
    lines: Sequence[Line]
    ceiling: str


def urls(pages: ReadOnlyAdmin) -> list[URLPattern]:
    """Return the page of the burn-down."""
    view = pages.admin_site.admin_view(partial(burn_down_view, pages))
    return [path("burn-down/", view, name="vulnerabilities_remediationactivity_burn_down")]


def burn_down_view(pages: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show one tenant's last ninety days: the one that `?tenant=` names, the first by name where it names none."""
    if not pages.has_view_permission(request) or not has_scope():
        raise PermissionDenied
    tenants = customers()
    wanted = request.GET.get("tenant")
    chosen = next((tenant for tenant in tenants if wanted in (None, str(tenant.pk))), None)
    days = _days(chosen) if chosen else []
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Burn-down"),
        "opts": pages.opts,
        "tenants": tenants,
        "chosen": chosen,
        "days": [(day, grouped(day.exposed_devices)) for day in reversed(days)],
        "first": days[0].day if days else None,
        "last": days[-1].day if days else None,
        "charts": draw(days) if len(days) > 1 else [],
        "width": WIDTH,
        "height": HEIGHT,
    }
    return TemplateResponse(request, "vulnerabilities/burn_down.html", context)


def _days(tenant: Tenant) -> list[BurnDownDay]:
    since = today() - timedelta(days=DAYS)
    return list(BurnDownDay.objects.filter(tenant=tenant, day__gt=since).order_by("day"))


def draw(days: Sequence[BurnDownDay]) -> list[Chart]:
    """Return the drawings of these days, two or more, in order."""
    return [
        draw_chart(
            days,
            gettext_lazy("Open activities"),
            [
                (gettext_lazy("Open"), "first", lambda day: day.open_activities),
                (gettext_lazy("Overdue"), "second", lambda day: day.overdue_activities),
            ],
        ),
        draw_chart(
            days,
            gettext_lazy("Devices still exposed"),
            [(gettext_lazy("Still exposed"), "first", lambda day: day.exposed_devices)],
        ),
    ]


def draw_chart(
    days: Sequence[Day], title: Promise, series: Sequence[tuple[Promise, str, Callable[[Day], int]]]
) -> Chart:
    """Return one drawing of some series over two days or more, in order, each with its label and style."""
    ceiling = max(max(value(day) for day in days) for _label, _style, value in series) or 1
    span = (days[-1].day - days[0].day).days
    lines = []
    for label, style, value in series:
        points = (
            f"{(day.day - days[0].day).days * WIDTH / span:.1f},{HEIGHT - value(day) * HEIGHT / ceiling:.1f}"
            for day in days
        )
        lines.append(Line(label, style, " ".join(points), grouped(value(days[-1]))))
    return Chart(title, lines, grouped(ceiling))
