"""Where ingest, decision and proposal meet: records in, evidence stored and decided, actions proposed, all counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from investigations.fields import RefusedRecord
from investigations.payloads import AlertPayload, read_alert
from investigations.reading import Record, Unreadable
from investigations.storing import store_alerts
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.deciding import decide_evidence, propose_widening
from remediation.actions.outcomes import settle_investigations

BATCH = 500
"""Records stored, decided and committed together."""


@dataclass(slots=True)
class Report:
    """What an ingest did, as the command prints it and the API answers it."""

    alerts: Counter[str] = field(default_factory=Counter)
    evidence: Counter[str] = field(default_factory=Counter)
    investigations: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    unrecognised: list[dict[str, str]] = field(default_factory=list)

    @property
    def usable(self) -> int:
        """How many alerts could be used, new or not."""
        return sum(self.alerts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; every counter names its zeros."""
        return {
            "alerts": _all_of(self.alerts, "new", "changed", "unchanged"),
            "evidence": _all_of(self.evidence, "new", "changed", "unchanged"),
            "investigations": _all_of(self.investigations, "new", "unchanged"),
            "actions": dict(sorted(self.actions.items())),
            "refused": self.refused,
            "unrecognised": self.unrecognised,
        }


def ingest(tenant: Tenant, records: Iterable[Record | Unreadable], *, actor: ActorStamp) -> Report:
    """Take in Graph alerts for one tenant; what cannot be used is in `refused` with its place and reason.

    Each batch is one transaction: stored, decided, proposed and on record, or nothing of it. The same records again
    change nothing. `actor` is who brought them, for the record.
    """
    report = Report()
    for batch in _batches(iter(records)):
        payloads = [payload for item in batch if (payload := _read(item, tenant, report)) is not None]
        if payloads:
            with acting_for(tenant.id):
                _take_in(tenant, payloads, report, actor)
    return report


def _take_in(tenant: Tenant, payloads: Sequence[AlertPayload], report: Report, actor: ActorStamp) -> None:
    stored = store_alerts(tenant.id, payloads)
    report.alerts += Counter(stored.alerts)
    report.evidence += Counter(stored.evidence)
    report.investigations += Counter(stored.investigations)
    born = decide_evidence(tenant, stored.evidence_to_decide)
    born += propose_widening(tenant, stored.widening)
    report.actions += Counter(str(action.state) for action in born)
    settle_investigations(stored.touched_investigations)
    if stored.alerts["new"] or stored.alerts["changed"]:
        record(
            tenant.id,
            "alerts.ingested",
            object_type="tenant",
            object_id=tenant.id,
            actor=actor,
            data={"alerts": dict(stored.alerts), "evidence": dict(stored.evidence), "actions": len(born)},
        )


def _read(item: Record | Unreadable, tenant: Tenant, report: Report) -> AlertPayload | None:
    if isinstance(item, Unreadable):
        report.refused.append({"position": item.position, "reason": item.reason})
        return None
    try:
        payload = read_alert(item.data, entra_tenant_id=str(tenant.entra_tenant_id))
    except RefusedRecord as refusal:
        report.refused.append(_placed(item.position, refusal))
        return None
    report.refused += [_placed(item.position, refusal) for refusal in payload.refused]
    report.unrecognised += [
        {
            "position": f"{item.position} {piece.position}",
            "reason": f"unknown type {piece.odata_type or '(none)'}; kept",
        }
        for piece in payload.unrecognised
    ]
    return payload


def _placed(position: str, refusal: RefusedRecord) -> dict[str, str]:
    return {"position": f"{position} {refusal.position}".strip(), "reason": refusal.reason}


def _batches(records: Iterator[Record | Unreadable]) -> Iterator[list[Record | Unreadable]]:
    while batch := list(islice(records, BATCH)):
        yield batch


def _all_of(counter: Mapping[str, int], *names: str) -> dict[str, int]:
    return {name: counter.get(name, 0) for name in names}
