"""The list and the pages of remediation activities."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.access.admin_site import Card, Panel
from portal.access.display import NOTHING, grouped, labelled, link_to, show_age, show_time
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.api.csv_export import csv_response
from portal.api.csv_lists import csv_address, csv_of_list
from portal.tenancy.scope import has_scope
from remediation.vulnerabilities.activities.exporting import ACTIVITY_COLUMNS, DEVICE_COLUMNS
from remediation.vulnerabilities.activities.reading import activities_for_lists
from remediation.vulnerabilities.admin import activity_columns as columns
from remediation.vulnerabilities.admin import activity_filters as filters
from remediation.vulnerabilities.admin import activity_verbs, burn_down, campaigns, requesting
from remediation.vulnerabilities.admin.top_activities import top_activities
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity
from remediation.vulnerabilities.states import ActivityState, Origin, Standing, TaskStatus

DEVICES_ON_PAGE = 100
_LOST_TICKETS: Final = {
    TaskStatus.REJECTED: gettext_lazy(
        "The IT admin rejected the ticket; the note below says why. The activity stays open: agree on what to do, then "
        "request remediation again, ask for an exception, or mark this one as completed."
    ),
    TaskStatus.DELETED: gettext_lazy(
        "The ticket was deleted in Intune. The activity stays open: request remediation again for a new ticket, or "
        "mark this one as completed."
    ),
    TaskStatus.FAILED: gettext_lazy(
        "There is no ticket in Intune; below it says why. The activity stays open: request remediation again once that "
        "is mended, or tell the IT admins another way."
    ),
}
"""What to do about tickets that nobody works on."""


@admin.register(RemediationActivity)
class RemediationActivityAdmin(ReadOnlyAdmin):
    """Remediation, in Microsoft's columns and filters. Activities come from requests and change by verbs alone."""

    menu_place = 15
    change_list_template = "vulnerabilities/activities.html"
    detail_template = "vulnerabilities/activity.html"
    list_display = ("activity", "tenant_shown", "type_shown", "priority_shown", "due", "requested", "state_shown",
                    "progress", "ticket")  # fmt: skip
    list_filter = (
        BY_TENANT,
        filters.StateFilter,
        filters.OptionFilter,
        filters.MitigationFilter,
        filters.PriorityFilter,
        filters.DueFilter,
        filters.TicketFilter,
        filters.RequestedByFilter,
    )
    search_fields = ("title", "related_component", "notes", "requested_by_label")
    search_help_text = gettext_lazy("Activity, component, notes or who requested it")
    ordering = ("-id",)
    empty_message = gettext_lazy(
        "No remediation has been requested yet. Open a security recommendation and choose “Request remediation”."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemediationActivity]:
        """Bring along what the list shows."""
        if not has_scope():
            return RemediationActivity.objects.none()
        queryset = activities_for_lists()
        return queryset.order_by(*self.get_ordering(request))

    def get_urls(self) -> list[URLPattern]:
        """Add the pages for requesting, following and completing, and the CSV files."""
        name = "vulnerabilities_remediationactivity"
        return [
            *requesting.urls(self),
            *campaigns.urls(self),
            *burn_down.urls(self),
            *activity_verbs.urls(self),
            path("csv/", self.admin_site.admin_view(self.csv_view), name=f"{name}_csv"),
            path("<uuid:object_id>/csv/", self.admin_site.admin_view(self.device_csv_view), name=f"{name}_devices"),
            *super().get_urls(),
        ]

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what is overdue."""
        overdue = RemediationActivity.objects.overdue().count()
        yield Card(
            label=gettext_lazy("Overdue remediation"),
            count=overdue,
            url="admin:vulnerabilities_remediationactivity_changelist",
            hint=gettext_lazy("Open activities whose due date is past."),
            tone="bad" if overdue else "good",
            query="due=overdue",
        )

    def panels(self, request: HttpRequest) -> Iterable[Panel]:
        """Name what to look at first."""
        return top_activities(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with what else there is to open."""
        context = {"title": _("Remediation activities"), "csv_url": csv_address(self, request)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def csv_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Give the list as it is filtered, as CSV."""
        return csv_of_list(self, request, ACTIVITY_COLUMNS, name="remediation")

    def device_csv_view(self, request: HttpRequest, object_id: UUID) -> StreamingHttpResponse:
        """Give one activity's devices as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        activity = self.get_object(request, str(object_id))
        if activity is None:
            raise Http404
        devices = ActivityDevice.objects.filter(activity=activity).order_by("pk")
        return csv_response(devices, DEVICE_COLUMNS, name="remediation-devices")

    @admin.display(description=gettext_lazy("activity"), ordering="title")
    def activity(self, row: RemediationActivity) -> str:
        """Name it and what it is about."""
        return columns.show_title(row)

    @admin.display(description=gettext_lazy("tenant"), ordering="tenant__name")
    def tenant_shown(self, row: RemediationActivity) -> str:
        """Name the tenant."""
        return labelled(_("Tenant"), row.tenant)

    @admin.display(description=gettext_lazy("type"), ordering="option")
    def type_shown(self, row: RemediationActivity) -> str:
        """Show what is asked for, and the mitigation."""
        return labelled(_("Remediation type"), columns.show_type(row))

    @admin.display(description=gettext_lazy("priority"), ordering=filters.URGENCY)
    def priority_shown(self, row: RemediationActivity) -> str:
        """Show how urgent it is."""
        return labelled(_("Priority"), columns.show_priority(row))

    @admin.display(description=gettext_lazy("due (UTC)"), ordering="due_on")
    def due(self, row: RemediationActivity) -> str:
        """Show when it is due."""
        return labelled(_("Due (UTC)"), columns.show_due(row))

    @admin.display(description=gettext_lazy("requested by"), ordering="requested_by_label")
    def requested(self, row: RemediationActivity) -> str:
        """Name who asked for it."""
        return labelled(_("Requested by"), columns.show_person(row.requested_by_label))

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def state_shown(self, row: RemediationActivity) -> str:
        """Show whether it is followed still, or who completed it."""
        return columns.show_state_and_person(row)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, row: RemediationActivity) -> str:
        """Show how far it is."""
        return labelled(_("Progress"), columns.show_progress(row))

    @admin.display(description=gettext_lazy("ticket"))
    def ticket(self, row: RemediationActivity) -> str:
        """Show how far its ticket in Intune is."""
        return labelled(_("Ticket"), columns.show_ticket(row))

    def sections(self, request: HttpRequest, row: RemediationActivity) -> Sequence[Section]:
        """Return what was asked for, how far it is, and its ticket."""
        return [
            Section(gettext_lazy("What was requested"), _requested(row)),
            *([Section(gettext_lazy("Ticket in Intune"), _ticket(row))] if row.wants_ticket else []),
            *([Section(gettext_lazy("Completed"), _completed(row))] if row.state == ActivityState.COMPLETED else []),
        ]

    def detail_context(self, request: HttpRequest, row: RemediationActivity) -> dict[str, Any]:
        """Return its progress, its devices, what can be done with it, and its history."""
        return {
            "state": columns.show_state(row),
            "due": columns.show_due(row) if row.due_on else "",
            "is_followed": row.is_measured,
            "progress": columns.show_progress(row),
            "counts": _counts(row),
            "warnings": [words for words in (_warning(row), _word_of_ticket(row)) if words],
            "hold_url": _hold_url(request, row),
            "verbs": activity_verbs.offered(request, row),
            "csv_url": reverse("admin:vulnerabilities_remediationactivity_devices", args=[row.pk]),
            "events": events_of(row.pk),
            **_devices(row, request.GET.get("standing", ""), request.GET.get("page", "1")),
        }


def _requested(row: RemediationActivity) -> list[tuple[Any, Any]]:
    facts: list[tuple[Any, Any]] = [
        (gettext_lazy("Tenant"), row.tenant),
        (
            gettext_lazy("Related recommendation"),
            link_to("vulnerabilities_recommendation", row.recommendation_id, row.recommendation),
        ),
        (gettext_lazy("Related component"), row.related_component or NOTHING),
        (gettext_lazy("Remediation type"), row.get_option_display()),
        (gettext_lazy("Mitigation"), row.get_mitigation_display()),
        (gettext_lazy("Priority"), columns.show_priority(row)),
        (gettext_lazy("Device groups"), ", ".join(row.group_names) or _("All device groups")),
        (gettext_lazy("Requested by"), row.requested_by_label or NOTHING),
        (gettext_lazy("Requested"), show_age(row.requested_at)),
    ]
    if row.is_measured:
        facts.insert(6, (gettext_lazy("Due (UTC)"), columns.show_due(row)))
    if row.origin == Origin.DEFENDER:
        facts.append((gettext_lazy("Made in"), row.get_origin_display()))
    if row.tenants_asked > 1 and (campaign := columns.link_to_campaign(row)):
        facts.append((gettext_lazy("Campaign"), campaign))
    return facts


def _ticket(row: Any) -> list[tuple[Any, Any]]:
    facts: list[tuple[Any, Any]] = [(gettext_lazy("Ticket status"), columns.show_ticket(row))]
    if row.ticket_id is not None:
        facts += [
            (gettext_lazy("Security task"), link_to("vulnerabilities_securitytask", row.ticket_id, row.title)),
            *([(gettext_lazy("Status, in words"), row.ticket_detail)] if row.ticket_detail else []),
            (gettext_lazy("IT admin's note"), row.ticket_note or NOTHING),
        ]
    if row.devices_sent is not None:
        words = _("%(sent)s of %(start)s") % {
            "sent": grouped(row.devices_sent),
            "start": grouped(row.devices_at_start),
        }
        facts += [(gettext_lazy("Devices sent to Intune"), words), *_left_out(row)]
    return facts


def _left_out(row: RemediationActivity) -> list[tuple[Any, Any]]:
    """Return how many devices did not go to Intune, and why."""
    without = row.devices_without_entra_id or 0
    further = row.devices_at_start - (row.devices_sent or 0) - without
    reasons = [
        (gettext_lazy("Left out: without an Entra device id"), without),
        (gettext_lazy("Left out: beyond 10,000, or an Entra device id listed twice"), further),
    ]
    return [(reason, grouped(number)) for reason, number in reasons if number > 0]


def _completed(row: RemediationActivity) -> list[tuple[Any, Any]]:
    return [
        (gettext_lazy("Completed by"), columns.show_completed_by(row)),
        (gettext_lazy("Completed"), show_age(row.completed_at)),
        (gettext_lazy("Why"), row.completion_note or NOTHING),
    ]


def _counts(row: RemediationActivity) -> list[tuple[Any, Any]]:
    counts: list[tuple[Any, Any]] = [
        (gettext_lazy("Devices at start"), grouped(row.devices_at_start)),
        (gettext_lazy("Fixed"), grouped(row.devices_fixed)),
        (gettext_lazy("Still exposed"), grouped(row.devices_exposed)),
        (gettext_lazy("Gone: off the list, not seen since the request or for 30 days"), grouped(row.devices_gone)),
    ]
    if row.devices_sent is not None:
        counts.append((gettext_lazy("Sent to Intune"), grouped(row.devices_sent)))
    as_of = show_time(row.progress_at) if row.progress_at else _("When it was requested")
    return [*counts, (gettext_lazy("As of"), as_of)]


def _warning(row: RemediationActivity) -> str:
    """Say that devices of a completed activity are exposed again."""
    if row.exposed_again_at is None:
        return ""
    words = ngettext(
        "%(count)s device of this completed activity is exposed again since %(day)s. Request remediation once more.",
        "%(count)s devices of this completed activity are exposed again since %(day)s. Request remediation once more.",
        row.exposed_again_count,
    )
    return words % {"count": grouped(row.exposed_again_count), "day": f"{row.exposed_again_at:%Y-%m-%d}"}


def _word_of_ticket(row: Any) -> str:
    """Say what to do about a ticket that leads nowhere, while the activity is open."""
    if row.state != ActivityState.ACTIVE or row.ticket_status not in _LOST_TICKETS:
        return ""
    return str(_LOST_TICKETS[row.ticket_status])


def _hold_url(request: HttpRequest, row: RemediationActivity) -> str:
    """Return where a legal hold on it is placed, "" for who may not."""
    if not actor_of(request).may(Capability.MANAGE_RETENTION, row.tenant_id):
        return ""
    named = {"tenant": row.tenant_id, "covers": "activity", "object_id": row.pk}
    return f"{reverse('admin:retention_legalhold_add')}?{urlencode(named)}"


def _devices(row: RemediationActivity, standing: str, number: str) -> dict[str, Any]:
    """Return one page of the devices, of those that stand so where that is asked for."""
    devices = ActivityDevice.objects.filter(activity=row)
    if standing in Standing.values:
        devices = devices.filter(standing=standing)
    elif standing == "again":
        devices = devices.filter(is_exposed_again=True)
    else:
        standing = ""
    again = [("again", _("Exposed again"))] if row.exposed_again_at else []
    pages = Paginator(devices.select_related("device__group").order_by("device__name", "pk"), DEVICES_ON_PAGE)
    page = pages.get_page(number)
    return {
        "devices": [(each, columns.show_standing(each), show_time(each.changed_at)) for each in page],
        "page": page,
        "standing": standing,
        "standings": [("", _("All")), *Standing.choices, *again],
    }
