"""The part of the first page that names the activities to look at first, over all tenants or in one."""

from typing import Any, Final

from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Panel
from portal.access.display import NOTHING, grouped
from portal.tenancy.scope import has_scope
from remediation.safeguards.admin.by_tenant import customers
from remediation.vulnerabilities.admin import activity_columns as columns
from remediation.vulnerabilities.admin import activity_verbs
from remediation.vulnerabilities.admin.activity_filters import URGENCY
from remediation.vulnerabilities.models import RemediationActivity

MOST: Final = 5
ORDERS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "exposed": (gettext_lazy("Most devices still exposed"), ("-devices_exposed", URGENCY.asc(), "pk")),
    "priority": (gettext_lazy("Highest priority"), (URGENCY.asc(), "-devices_exposed", "pk")),
    "due": (gettext_lazy("Due first"), (F("due_on").asc(nulls_last=True), URGENCY.asc(), "pk")),
}


def top_activities(request: HttpRequest) -> list[Panel]:
    """Return the panel with the first few open activities, by what was chosen in the address; none without a scope."""
    if not has_scope():
        return []
    tenants = customers()
    wanted = request.GET.get("tenant", "")
    chosen = next((tenant for tenant in tenants if str(tenant.pk) == wanted), None)
    order = request.GET.get("top", "")
    order = order if order in ORDERS else "exposed"
    rows = RemediationActivity.objects.active()
    if chosen is not None:
        rows = rows.filter(tenant=chosen)
    top = rows.select_related("tenant").order_by(*ORDERS[order][1])[:MOST]
    context = {
        "rows": [_row(request, activity) for activity in top],
        "tenants": tenants if len(tenants) > 1 else [],
        "chosen": chosen,
        "order": order,
        "orders": [(name, label) for name, (label, _by) in ORDERS.items()],
    }
    return [Panel(gettext_lazy("Top remediation activities"), "vulnerabilities/top_activities.html", context)]


def _row(request: HttpRequest, activity: RemediationActivity) -> dict[str, object]:
    verbs = {verb.name: url for verb, url in activity_verbs.offered(request, activity)}
    return {
        "activity": activity,
        "url": reverse("admin:vulnerabilities_remediationactivity_change", args=[activity.pk]),
        "complete_url": verbs.get("complete", ""),
        "priority": columns.show_priority(activity),
        "due": columns.show_due(activity),
        "progress": columns.show_progress(activity),
        "exposed": grouped(activity.devices_exposed) if activity.is_measured else NOTHING,
    }
