"""How a recommendation's facts look in the list and on its page."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.access.display import NOTHING, badge, grouped, labelled, show_age, show_time
from portal.access.roles import Capability
from portal.access.scoped_admin import Section, actor_of
from remediation.vulnerabilities.admin.burn_down import Chart, draw_chart
from remediation.vulnerabilities.admin.recommendation_filters import RemediationTypeFilter
from remediation.vulnerabilities.admin.requesting import request_links
from remediation.vulnerabilities.models import ExposureDay, KnownExploitedFeed, Recommendation
from remediation.vulnerabilities.recommendations.customers import ExposedCustomer
from remediation.vulnerabilities.states import FeedState, RecommendationStatus

_TONES = {
    RecommendationStatus.ACTIVE: "waiting",
    RecommendationStatus.PARTIAL_EXCEPTION: "moving",
    RecommendationStatus.FULL_EXCEPTION: "neutral",
}
_FEED_TONES = {
    FeedState.UNTRIED: "neutral",
    FeedState.WORKING: "good",
    FeedState.UNREACHABLE: "waiting",
    FeedState.MALFORMED: "bad",
    FeedState.SHRUNK: "bad",
}


def cell(label: str, value: object) -> SafeString:
    """Return a list cell with its heading for narrow screens, and a dash for nothing."""
    return labelled(label, NOTHING if value in ("", None) else value)


def named(row: Recommendation) -> SafeString:
    """Show a recommendation and, where its name does not say it, the component it is about."""
    component = row.related_component or row.product_name
    if component in row.name:
        return format_html("{}", row.name)
    return format_html('{} <span class="aside">{}</span>', row.name, component)


def show_status(row: Recommendation) -> SafeString:
    """Show what exceptions leave of it, or that Microsoft no longer lists it."""
    if row.disappeared_at is not None:
        return badge(_("No longer listed"))
    status = RecommendationStatus(row.status)
    return badge(status.label, _TONES[status])


def show_threats(row: Recommendation) -> SafeString | str:
    """Show what is known of attacks, the gravest first."""
    marks = [
        (row.is_known_exploited, _("Known exploited"), "bad"),
        (row.is_used_by_ransomware, _("Ransomware"), "bad"),
        (row.has_active_alert, _("Active alert"), "bad"),
        (row.has_public_exploit, _("Public exploit"), "waiting"),
    ]
    found = [badge(words, tone) for is_so, words, tone in marks if is_so]
    return format_html(" ".join(["{}"] * len(found)), *found) if found else NOTHING


def show_exposed(row: Recommendation, before: int | None) -> SafeString:
    """Show how many devices are exposed of how many, how many of them after exceptions, and the change in a week."""
    words = ngettext("of %(total)s device", "of %(total)s devices", row.total_count)
    asides = [words % {"total": grouped(row.total_count)}]
    if row.exposed_after_exceptions != row.exposed_count:
        asides.append(_("%(count)s after exceptions") % {"count": grouped(row.exposed_after_exceptions)})
    if before is not None and before != row.exposed_count:
        change = row.exposed_count - before
        sign = "+" if change > 0 else "−"
        asides.append(_("%(sign)s%(count)s in a week") % {"sign": sign, "count": grouped(abs(change))})
    return format_html('{} <span class="aside">{}</span>', grouped(row.exposed_count), " · ".join(asides))


def show_remediation(row: Recommendation, open_activities: int) -> SafeString | str:
    """Show Microsoft's word for what to do, and the open activities."""
    kind = _kind(row)
    if not open_activities:
        return kind
    words = ngettext("%(count)s open activity", "%(count)s open activities", open_activities)
    return format_html('{} <span class="aside">{}</span>', kind, words % {"count": grouped(open_activities)})


def _kind(row: Recommendation) -> str:
    """Return what to do in words; a word of Microsoft's that is new stands as it is."""
    return str(dict(RemediationTypeFilter.words).get(row.remediation_type, row.remediation_type)) or NOTHING


def show_impact(row: Recommendation) -> str:
    """Show by how much exposure would fall and the secure score rise, as Microsoft counts."""
    parts = [(f"↓ {row.exposure_impact:.2f}", row.exposure_impact), (f"↑ {row.config_score_impact:.2f}",
             row.config_score_impact)]  # fmt: skip
    return " · ".join(words for words, value in parts if value) or NOTHING


def show_feed(feed: KnownExploitedFeed) -> SafeString:
    """Show how the known-exploited list is, and since when."""
    state = FeedState(feed.state)
    return format_html("{} {} {}", badge(state.label, _FEED_TONES[state]), show_age(feed.read_at), feed.detail)


def sections(row: Recommendation) -> Sequence[Section]:
    """Return the facts of a recommendation."""
    version = " ".join(filter(None, (row.recommended_vendor, row.recommended_program, row.recommended_version)))
    facts: list[tuple[Any, object]] = [
        (gettext_lazy("Tenant"), row.tenant),
        (gettext_lazy("Product"), row.product_name or NOTHING),
        (gettext_lazy("Vendor"), row.vendor or NOTHING),
        (gettext_lazy("Related component"), row.related_component or NOTHING),
        (gettext_lazy("Recommended version"), version or NOTHING),
        (gettext_lazy("Remediation type"), _kind(row)),
        (gettext_lazy("Category"), " / ".join(filter(None, (row.category, row.sub_category))) or NOTHING),
        (gettext_lazy("Weaknesses"), grouped(row.weaknesses)),
        (gettext_lazy("Exposed devices"), show_exposed(row, None)),
        (gettext_lazy("Exposed devices (after exceptions)"), grouped(row.exposed_after_exceptions)),
        (gettext_lazy("Exposed critical devices"), grouped(row.exposed_critical_count)),
        (gettext_lazy("Devices without user impact"), grouped(row.no_user_impact_count)),
        (gettext_lazy("Impact: exposure and secure score"), show_impact(row)),
        (
            gettext_lazy("Due by CISA"),
            row.known_exploited_due_on.isoformat() if row.known_exploited_due_on else NOTHING,
        ),
        (gettext_lazy("Associated threats"), ", ".join(row.associated_threats) or NOTHING),
        (gettext_lazy("Tags"), ", ".join(row.tags) or NOTHING),
        (gettext_lazy("Status in Defender"), row.status_at_source or NOTHING),
        (gettext_lazy("First seen"), show_time(row.first_seen_at)),
        (gettext_lazy("Last seen"), show_age(row.seen_at)),
        (gettext_lazy("Devices read"), show_age(row.exposures_read_at)),
        (gettext_lazy("Recommendation id"), row.recommendation_id),
    ]
    return [Section(gettext_lazy("Recommendation"), facts)]


def buttons(request: HttpRequest, row: Recommendation) -> list[tuple[str, str]]:
    """Return what the person can do about it: label and address."""
    found = list(request_links(request, row))
    if row.disappeared_at is None and actor_of(request).may(Capability.HANDLE_REMEDIATION, row.tenant_id):
        address = reverse("admin:vulnerabilities_recommendationexception_add")
        found.append((_("Request an exception"), f"{address}?{urlencode({'recommendation': row.pk})}"))
    return found


def with_links(customers: Iterable[ExposedCustomer], asked: dict[str, str]) -> list[tuple[ExposedCustomer, str, str]]:
    """Return each customer with its devices in words and the address of its recommendations about what was asked."""
    address = reverse("admin:vulnerabilities_recommendation_changelist")
    query = {name: value for name, value in asked.items() if value}
    return [
        (
            customer,
            grouped(customer.exposed_devices),
            f"{address}?{urlencode({**query, 'tenant__id__exact': customer.tenant_id, 'status': 'all'})}",
        )
        for customer in customers
    ]


def draw(days: Sequence[ExposureDay]) -> Chart:
    """Return the drawing of exposed devices over two days or more, in order."""
    label = gettext_lazy("Exposed devices")
    return draw_chart(days, label, [(label, "first", lambda day: day.exposed_count)])
