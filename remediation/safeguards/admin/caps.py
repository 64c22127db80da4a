"""The page of hourly limits: every type of action of a tenant, how many may go out in an hour, and how many did."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.scoped_admin import Section
from portal.tenancy.models import Tenant
from remediation.catalogue import CATALOGUE, WIRED, ActionType
from remediation.safeguards import caps
from remediation.safeguards.admin.by_tenant import NumberPages
from remediation.safeguards.forms import LimitForm
from remediation.safeguards.models import HourlyCap


@admin.register(HourlyCap)
class HourlyCapAdmin(NumberPages):
    """Limits by tenant."""

    list_template = "safeguards/limits.html"
    form_class = LimitForm
    change_kind = "set_hourly_cap"
    number_name = "cap"
    ask_title = gettext_lazy("Change an hourly limit")

    def rows(self, request: HttpRequest, tenant: Tenant) -> Sequence[dict[str, Any]]:
        """Return each type that can have a limit, with what was sent of it this hour."""
        kinds = [kind for name, kind in CATALOGUE.items() if name in WIRED and not kind.is_ordered_alone]
        names = [kind.name for kind in kinds]
        limits, used = caps.caps_of(tenant.pk, names), caps.used_this_hour(tenant.pk, names)
        return [
            {
                "kind": kind,
                "cap": limits.get(kind.name),
                "used": used.get(kind.name, 0),
                "url": self.ask_url(request, tenant, kind),
            }
            for kind in kinds
        ]

    def number_today(self, tenant: Tenant, kind: ActionType) -> int | None:
        """Return how many may go out in an hour."""
        return caps.caps_of(tenant.pk, [kind.name]).get(kind.name)

    def describe_today(self, tenant: Tenant, kind: ActionType) -> str:
        """Say which limit it is, and how high."""
        limit = self.number_today(tenant, kind)
        words = {"action": kind.label, "tenant": tenant, "count": limit}
        if limit is None:
            return _("%(action)s, %(tenant)s: today there is no limit.") % words
        return _("%(action)s, %(tenant)s: today at most %(count)d are sent in an hour.") % words

    def sections(self, request: HttpRequest, row: HourlyCap) -> Sequence[Section]:
        """Return one limit that a tenant has set."""
        kind = CATALOGUE.get(row.action_type)
        facts = (
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Action"), kind.label if kind else row.action_type),
            (gettext_lazy("At most, per hour"), row.cap),
        )
        return [Section(gettext_lazy("Hourly limit"), facts)]
