"""The pages of devices and alerts, from which a person asks for actions."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from investigations.admin.alerts import AlertPages
from investigations.models import Alert, Device
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from remediation.actions.admin import columns
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.corrections import correction_links
from remediation.actions.admin.subjects import ask_url
from remediation.actions.models import ActionEvidence
from remediation.safeguards.admin.protection import ProtectableDevicePages


def may_ask(request: HttpRequest, tenant_id: UUID) -> bool:
    """Return whether this person may ask for actions of the tenant."""
    return actor_of(request).may(Capability.REQUEST_ACTION, tenant_id)


def with_asking(request: HttpRequest, tenant_id: UUID, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of evidence, each with the actions that answer it.

    With them comes where an action is asked for and a mistake reported, if this person may.
    """
    may, actor = may_ask(request, tenant_id), actor_of(request)
    pieces = list(rows)
    answers = _answers([row["pk"] for row in pieces])
    return [
        {
            **row,
            "actions": answers.get(row["pk"], ()),
            "ask_url": ask_url("evidence", row["pk"]) if may else "",
            "corrections": correction_links(actor, tenant_id, "evidence", row["pk"]),
        }
        for row in pieces
    ]


def _answers(evidence_ids: Collection[UUID]) -> dict[UUID, list[tuple[Any, str, str]]]:
    """Return the actions that answer each piece of evidence: name, address, state."""
    found: dict[UUID, list[tuple[Any, str, str]]] = {}
    links = ActionEvidence.objects.filter(evidence__in=evidence_ids).select_related("action").order_by("action_id")
    for link in links:
        action = link.action
        found.setdefault(link.evidence_id, []).append((action.kind.label, url_of(action), columns.show_state(action)))
    return found


@admin.register(Device)
class DeviceAdmin(ProtectableDevicePages):
    """Devices, with what can be done on each."""

    detail_template = "actions/device.html"

    def detail_context(self, request: HttpRequest, row: Device) -> dict[str, Any]:
        """Add where an action is asked for, and where those that were taken on it are listed."""
        return {
            **super().detail_context(request, row),
            "ask_url": ask_url("device", row.pk) if may_ask(request, row.tenant_id) else "",
            "taken_url": f"{reverse('admin:actions_historyaction_changelist')}?device={row.pk}",
        }


@admin.register(Alert)
class AlertAdmin(AlertPages):
    """Alerts, with what can be done about each."""

    detail_template = "actions/alert.html"

    def detail_context(self, request: HttpRequest, row: Alert) -> dict[str, Any]:
        """Add where an action is asked for, about the alert and about each piece of its evidence."""
        context = super().detail_context(request, row)
        return {
            **context,
            "evidence": with_asking(request, row.tenant_id, context["evidence"]),
            "ask_url": ask_url("alert", row.pk) if may_ask(request, row.tenant_id) else "",
            "corrections": correction_links(actor_of(request), row.tenant_id, "alert", row.pk),
        }
