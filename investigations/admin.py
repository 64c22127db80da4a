"""Pages of devices, alerts and investigations, all read-only; device groups have their own room, `admin_groups`."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations import admin_groups
from investigations.models import Alert, Device, DeviceGroup, Evidence, Investigation
from investigations.states import OPEN_STATES, EvidenceOutcome, InvestigationState, Verdict
from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, labelled, link_to, show_age, show_time
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, WordFilter

MOST_ROWS = 200

VERDICT_TONES = {
    Verdict.MALICIOUS: "bad",
    Verdict.SUSPICIOUS: "waiting",
    Verdict.NO_THREATS_FOUND: "good",
    Verdict.UNKNOWN: "neutral",
}
OUTCOME_TONES: dict[str, str] = {EvidenceOutcome.AUTOMATIC: "moving", EvidenceOutcome.PENDING: "waiting"}
STATE_TONES = {
    InvestigationState.QUEUED: "moving",
    InvestigationState.RUNNING: "moving",
    InvestigationState.PENDING_APPROVAL: "waiting",
    InvestigationState.SUCCESSFULLY_REMEDIATED: "good",
    InvestigationState.BENIGN: "good",
    InvestigationState.PARTIALLY_REMEDIATED: "bad",
    InvestigationState.FAILED: "bad",
}


def show_verdict(verdict: str) -> str:
    """Return Microsoft's verdict as a badge."""
    return badge(Verdict(verdict).label, VERDICT_TONES[Verdict(verdict)])


def show_state(state: str) -> str:
    """Return an investigation's state as a badge."""
    known = InvestigationState(state)
    return badge(known.label, STATE_TONES.get(known, "neutral"))


def show_raw(payload: Any) -> str:
    """Return a payload as received, indented."""
    return format_html(
        '<pre class="payload" tabindex="0">{}</pre>', json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True)
    )


class SeverityFilter(WordFilter):
    """Alerts by severity."""

    title = gettext_lazy("severity")
    parameter_name = "severity"
    words = (
        ("high", gettext_lazy("High")),
        ("medium", gettext_lazy("Medium")),
        ("low", gettext_lazy("Low")),
        ("informational", gettext_lazy("Informational")),
    )


class StatusFilter(WordFilter):
    """Alerts by status."""

    title = gettext_lazy("status")
    parameter_name = "status"
    words = (
        ("new", gettext_lazy("New")),
        ("inProgress", gettext_lazy("In progress")),
        ("resolved", gettext_lazy("Resolved")),
    )


class RiskFilter(WordFilter):
    """Devices by risk."""

    title = gettext_lazy("risk")
    parameter_name = "risk_score"
    words = (("High", gettext_lazy("High")), ("Medium", gettext_lazy("Medium")), ("Low", gettext_lazy("Low")))


admin.site.register(DeviceGroup, admin_groups.DeviceGroupAdmin)


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    """Devices, as Defender last told."""

    menu_place = 22
    detail_template = "investigations/device.html"
    list_display = ("__str__", "tenant", "group", "os_platform", "health_status", "risk_score", "last_seen")
    list_filter = (BY_TENANT, RiskFilter)
    list_select_related = ("tenant", "group")
    search_fields = ("name", "machine_id")
    ordering = ("-id",)
    empty_message = gettext_lazy("No devices yet. They come with the first sync of the tenant's connection.")

    @admin.display(description=gettext_lazy("last seen"), ordering="last_seen_at")
    def last_seen(self, row: Device) -> str:
        """Show when Defender last saw it."""
        return labelled(_("Last seen"), show_age(row.last_seen_at))

    def sections(self, request: HttpRequest, row: Device) -> Sequence[Section]:
        """Return what is known of the device."""
        return [
            Section(
                gettext_lazy("Device"),
                (
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("Device group"), link_to("investigations_devicegroup", row.group_id, row.group)),
                    (gettext_lazy("Automation level"), row.group.get_automation_level_display()),
                    (gettext_lazy("Domain"), row.domain or NOTHING),
                    (gettext_lazy("Operating system"), f"{row.os_platform} {row.os_version}".strip() or NOTHING),
                    (gettext_lazy("Health"), row.health_status or NOTHING),
                    (gettext_lazy("Risk"), row.risk_score or NOTHING),
                    (gettext_lazy("Tags"), ", ".join(row.tags) or NOTHING),
                    (gettext_lazy("Last IP address"), row.last_ip or NOTHING),
                    (gettext_lazy("First seen"), show_time(row.first_seen_at)),
                    (gettext_lazy("Last seen"), show_age(row.last_seen_at)),
                    (gettext_lazy("Defender device id"), row.machine_id),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Device) -> dict[str, Any]:
        """Return the investigations that reach the device, newest first."""
        found = Investigation.objects.filter(reached__device=row).order_by("-id")[:MOST_ROWS]
        return {"investigations": [(link_to_investigation(item), show_state(item.state), item) for item in found]}


def link_to_investigation(row: Investigation) -> str:
    """Return a link to the investigation's page."""
    return link_to("investigations_investigation", row.pk, row.title)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, as Microsoft sent them."""

    menu_place = 21
    detail_template = "investigations/alert.html"
    list_display = ("title", "tenant", "severity", "status", "service_source", "updated")
    list_filter = (BY_TENANT, SeverityFilter, StatusFilter)
    list_select_related = ("tenant",)
    search_fields = ("title", "alert_id")
    ordering = ("-id",)
    empty_message = gettext_lazy("No alerts yet. They come with the sync of the tenant's connection, or by ingest.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Leave the payload out of lists."""
        return super().get_queryset(request).defer("raw")

    @admin.display(description=gettext_lazy("last updated"), ordering="updated_at_source")
    def updated(self, row: Alert) -> str:
        """Show Microsoft's time of the last update."""
        return labelled(_("Updated"), show_age(row.updated_at_source))

    def sections(self, request: HttpRequest, row: Alert) -> Sequence[Section]:
        """Return the alert."""
        return [
            Section(
                gettext_lazy("Alert"),
                (
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("Investigation"), link_to_investigation(row.investigation)),
                    (gettext_lazy("Severity"), row.severity or NOTHING),
                    (gettext_lazy("Status"), row.status or NOTHING),
                    (gettext_lazy("Category"), row.category or NOTHING),
                    (gettext_lazy("Source"), row.service_source or NOTHING),
                    (gettext_lazy("Classification"), row.classification or NOTHING),
                    (gettext_lazy("Determination"), row.determination or NOTHING),
                    (gettext_lazy("Created"), show_age(row.created_at_source)),
                    (gettext_lazy("Last updated"), show_age(row.updated_at_source)),
                    (gettext_lazy("Received"), show_age(row.received_at)),
                    (gettext_lazy("Alert id"), row.alert_id),
                    (gettext_lazy("Incident"), row.incident_id or NOTHING),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Alert) -> dict[str, Any]:
        """Return the alert's evidence and the payload."""
        return {"evidence": evidence_rows(row.evidence.all()), "payload": show_raw(row.raw)}


def evidence_rows(found: models.QuerySet) -> list[dict[str, Any]]:
    """Return evidence for a table: what it is, Microsoft's verdict, what Quell decided and why."""
    rows: Iterable[Evidence] = found.select_related("device").defer("raw").order_by("id")[:MOST_ROWS]
    return [
        {
            "kind": row.get_kind_display(),
            "label": row.label,
            "path": row.file_path,
            "device": link_to("investigations_device", row.device_id, row.device),
            "verdict": show_verdict(row.verdict),
            "status": row.get_remediation_status_display() or NOTHING,
            "outcome": badge(
                row.get_outcome_display() or _("Not decided yet"), OUTCOME_TONES.get(row.outcome, "neutral")
            ),
            "reason": row.reason or NOTHING,
        }
        for row in rows
    ]


class InvestigationPages(ReadOnlyAdmin):
    """Investigations with their alerts, devices and evidence. The floor above adds their actions and registers it."""

    menu_place = 20
    detail_template = "investigations/investigation.html"
    list_display = ("title", "state_badge", "tenant", "device", "started", "ended")
    list_filter = (BY_TENANT, "state")
    list_select_related = ("tenant", "device")
    search_fields = ("title", "device__name")
    ordering = ("-id",)
    empty_message = gettext_lazy("No investigations yet. Each alert that comes in starts one or joins one.")

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the open ones."""
        yield Card(
            label=gettext_lazy("Open investigations"),
            count=self.get_queryset(request).filter(state__in=OPEN_STATES).count(),
            url="admin:investigations_investigation_changelist",
            hint=gettext_lazy("They end when every piece of evidence has a verdict and every action is decided."),
        )

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: Investigation) -> str:
        """Show how far it is."""
        return show_state(row.state)

    @admin.display(description=gettext_lazy("started"), ordering="id")
    def started(self, row: Investigation) -> str:
        """Show when it started."""
        return labelled(_("Started"), show_age(row.started_at))

    @admin.display(description=gettext_lazy("ended"), ordering="ended_at")
    def ended(self, row: Investigation) -> str:
        """Show when it ended."""
        return labelled(_("Ended"), show_time(row.ended_at))

    def sections(self, request: HttpRequest, row: Investigation) -> Sequence[Section]:
        """Return where the investigation stands."""
        return [
            Section(
                gettext_lazy("Investigation"),
                (
                    (gettext_lazy("State"), show_state(row.state)),
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("First device"), link_to("investigations_device", row.device_id, row.device)),
                    (gettext_lazy("Started by"), row.started_by or _("Automation")),
                    (gettext_lazy("Started"), show_age(row.started_at)),
                    (gettext_lazy("Last changed"), show_age(row.changed_at)),
                    (gettext_lazy("Ended"), show_time(row.ended_at)),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Investigation) -> dict[str, Any]:
        """Return alerts, devices and evidence."""
        alerts = row.alerts.defer("raw").order_by("-id")[:MOST_ROWS]
        reached = row.reached.select_related("device__group").order_by("id")[:MOST_ROWS]
        return {
            "alerts": [(link_to("investigations_alert", alert.pk, alert.title), alert) for alert in alerts],
            "reached": [(link_to("investigations_device", item.device_id, item.device), item) for item in reached],
            "evidence": evidence_rows(row.evidence.all()),
        }
