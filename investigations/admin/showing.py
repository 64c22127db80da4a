"""How verdicts, states, evidence and payloads look on every page."""

import json
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils.html import format_html
from django.utils.translation import gettext as _

from investigations.models import Evidence, Investigation
from investigations.states import EvidenceOutcome, InvestigationState, Verdict
from portal.access.display import NOTHING, badge, link_to

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


def link_to_investigation(row: Investigation) -> str:
    """Return a link to the investigation's page."""
    return link_to("investigations_investigation", row.pk, row.title)


def evidence_rows(found: models.QuerySet) -> list[dict[str, Any]]:
    """Return evidence for a table: what it is, Microsoft's verdict, what Quell decided and why."""
    rows: Iterable[Evidence] = found.select_related("device").defer("raw").order_by("id")[:MOST_ROWS]
    return [
        {
            "pk": row.pk,
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
