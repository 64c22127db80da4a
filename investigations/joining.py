"""Which investigation an alert belongs to, and how far an investigation has spread.

An alert joins the open investigation that reaches its device, else one that holds the same file (which widens it to the
new device), else, for mail, the one of its incident; else it begins one. When an investigation would have spread to ten
or more other devices, the new ones wait: a person decides (Microsoft: automated investigations, "10 or more devices").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from uuid_utils.compat import uuid7

from investigations.models import Alert, Device, Evidence, Investigation, InvestigationDevice
from investigations.payloads import AlertPayload, EvidencePayload
from investigations.states import OPEN_STATES, EvidenceKind, EvidenceOutcome, Verdict

WIDENING_LIMIT: Final = 10
"""So many other devices, counted over an investigation's whole life, are for a person to decide."""

_FILES: Final = (EvidenceKind.FILE, EvidenceKind.PROCESS)
_THREATS: Final = (Verdict.MALICIOUS, Verdict.SUSPICIOUS)
"""Only what is a threat widens an investigation: a clean system file is on every device."""


@dataclass(frozen=True, slots=True)
class Widening:
    """An investigation that wants to spread to these devices and may not without asking."""

    investigation_id: UUID
    device_ids: tuple[UUID, ...]


@dataclass(slots=True)
class Reach:
    """How far one investigation has spread: the devices it reaches, which of them by widening, and where its files are.

    `outside` maps a device it was kept from, waiting or left out, to what is said on the evidence there; whatever else
    is found on it shares that, so nobody is asked twice.
    """

    reached: set[UUID] = field(default_factory=set)
    widened: set[UUID] = field(default_factory=set)
    files: dict[str, set[UUID]] = field(default_factory=dict)
    outside: dict[UUID, tuple[str, str]] = field(default_factory=dict)

    def holds_elsewhere(self, hashes: Iterable[str], device_id: UUID) -> bool:
        """Return whether one of these files is on another of the investigation's devices."""
        return any(self.files.get(digest, set()) - {device_id} for digest in hashes)


@dataclass(slots=True)
class Joiner:
    """Finds or begins the investigations of one batch of alerts, and keeps what it will have to write."""

    tenant_id: UUID
    device_ids: dict[str, UUID]
    by_device: dict[UUID, UUID] = field(default_factory=dict)
    by_file: dict[str, UUID] = field(default_factory=dict)
    by_incident: dict[str, UUID] = field(default_factory=dict)
    reach: dict[UUID, Reach] = field(default_factory=dict)
    begun: list[Investigation] = field(default_factory=list)
    newly_reached: list[InvestigationDevice] = field(default_factory=list)
    held_back: dict[UUID, list[UUID]] = field(default_factory=dict)

    @property
    def widenings(self) -> list[Widening]:
        """What has to be asked: once for each investigation, however many alerts of the batch led there."""
        return [Widening(found, tuple(sorted(device_ids))) for found, device_ids in self.held_back.items()]

    def find_or_begin(self, alert: AlertPayload) -> UUID:
        """Return the investigation a new alert belongs to."""
        device_id = self._first_device(alert)
        found = self._find(alert, device_id)
        if found is not None:
            return found
        investigation = Investigation(
            id=uuid7(), tenant_id=self.tenant_id, title=alert.title or alert.alert_id, device_id=device_id
        )
        self.begun.append(investigation)
        self.reach[investigation.pk] = Reach()
        if device_id is not None:
            self._include(investigation.pk, device_id, is_widened=False)
        elif alert.incident_id:
            self.by_incident[alert.incident_id] = investigation.pk
        return investigation.pk

    def spread(self, investigation_id: UUID, alert: AlertPayload) -> None:
        """Let the investigation reach the alert's devices, or hold back those that would take it too far."""
        reach = self.reach.setdefault(investigation_id, Reach())
        hashes = _hashes_by_device(alert.evidence, self.device_ids)
        incriminated = {digest for piece in alert.evidence if piece.verdict in _THREATS for digest in _hashes(piece)}
        arriving: list[UUID] = []
        for device_id in _devices_in_order(alert, self.device_ids):
            is_new = device_id not in reach.reached and device_id not in reach.outside
            if is_new and reach.holds_elsewhere(hashes.get(device_id, ()), device_id):
                arriving.append(device_id)
            elif is_new:
                self._include(investigation_id, device_id, is_widened=False)
            for digest in incriminated.intersection(hashes.get(device_id, ())):
                reach.files.setdefault(digest, set()).add(device_id)
                self.by_file.setdefault(digest, investigation_id)
        self._widen(investigation_id, arriving)

    def _widen(self, investigation_id: UUID, arriving: Sequence[UUID]) -> None:
        reach = self.reach[investigation_id]
        if arriving and len(reach.widened) + len(reach.outside) + len(arriving) >= WIDENING_LIMIT:
            self.held_back.setdefault(investigation_id, []).extend(arriving)
            for device_id in arriving:
                reach.outside[device_id] = (EvidenceOutcome.PENDING, WAITS_FOR_WIDENING)
        else:
            for device_id in arriving:
                self._include(investigation_id, device_id, is_widened=True)

    def _find(self, alert: AlertPayload, device_id: UUID | None) -> UUID | None:
        if device_id is None:
            return self.by_incident.get(alert.incident_id) if alert.incident_id else None
        if device_id in self.by_device:
            return self.by_device[device_id]
        hashes = _hashes_by_device(alert.evidence, self.device_ids)
        return next(
            (self.by_file[digest] for found in hashes.values() for digest in found if digest in self.by_file), None
        )

    def _include(self, investigation_id: UUID, device_id: UUID, *, is_widened: bool) -> None:
        reach = self.reach[investigation_id]
        reach.reached.add(device_id)
        if is_widened:
            reach.widened.add(device_id)
        self.by_device.setdefault(device_id, investigation_id)
        self.newly_reached.append(
            InvestigationDevice(
                tenant_id=self.tenant_id, investigation_id=investigation_id, device_id=device_id, is_widened=is_widened
            )
        )

    def _first_device(self, alert: AlertPayload) -> UUID | None:
        return next(iter(_devices_in_order(alert, self.device_ids)), None)


WAITS_FOR_WIDENING: Final = "Waits until widening this investigation to 10 or more devices is approved."


def prepare_joiner(
    tenant_id: UUID, alerts: Sequence[AlertPayload], devices: dict[str, Device], known: Iterable[UUID]
) -> Joiner:
    """Read, in a handful of queries, all that joining these alerts may need.

    `known` are the investigations of alerts that are stored already.
    """
    joiner = Joiner(tenant_id, {machine_id: device.pk for machine_id, device in devices.items()})
    is_open = {"investigation__state__in": OPEN_STATES}
    places = InvestigationDevice.objects.filter(device__in=list(joiner.device_ids.values()), **is_open)
    for device_id, investigation_id in places.order_by("-id").values_list("device_id", "investigation_id"):
        joiner.by_device[device_id] = investigation_id
    hashes = {digest for alert in alerts for piece in alert.evidence for digest in _hashes(piece)}
    for name in ("sha1", "sha256"):
        found = _threats_on_devices(name, hashes).filter(**is_open)
        for digest, investigation_id in found.order_by("-id").values_list(name, "investigation_id"):
            joiner.by_file[digest] = investigation_id
    incidents = {alert.incident_id for alert in alerts if alert.incident_id}
    mails = Alert.objects.filter(incident_id__in=incidents, investigation__device=None, **is_open)
    joiner.by_incident = dict(mails.order_by("-id").values_list("incident_id", "investigation_id"))
    wanted = {*known, *joiner.by_device.values(), *joiner.by_file.values(), *joiner.by_incident.values()}
    _read_reach(joiner, wanted, hashes)
    return joiner


def _read_reach(joiner: Joiner, investigation_ids: set[UUID], hashes: set[str]) -> None:
    joiner.reach = {investigation_id: Reach() for investigation_id in investigation_ids}
    places = InvestigationDevice.objects.filter(investigation__in=investigation_ids)
    for investigation_id, device_id, is_widened in places.values_list("investigation_id", "device_id", "is_widened"):
        joiner.reach[investigation_id].reached.add(device_id)
        if is_widened:
            joiner.reach[investigation_id].widened.add(device_id)
    same = InvestigationDevice.objects.filter(investigation=OuterRef("investigation"), device=OuterRef("device"))
    rows = Evidence.objects.filter(~Exists(same), investigation__in=investigation_ids, device__isnull=False)
    for investigation_id, device_id, outcome, reason in rows.values_list(
        "investigation_id", "device_id", "outcome", "reason"
    ).distinct():
        joiner.reach[investigation_id].outside[device_id] = (outcome, reason)
    for name in ("sha1", "sha256"):
        found = _threats_on_devices(name, hashes).filter(investigation__in=investigation_ids)
        for investigation_id, device_id, digest in found.values_list("investigation_id", "device_id", name):
            joiner.reach[investigation_id].files.setdefault(digest, set()).add(device_id)


def _threats_on_devices(name: str, hashes: set[str]) -> QuerySet[Evidence]:
    return Evidence.objects.filter(
        **{f"{name}__in": hashes}, kind__in=_FILES, verdict__in=_THREATS, device__isnull=False
    )


def _hashes(piece: EvidencePayload) -> list[str]:
    return [digest for digest in (piece.sha1, piece.sha256) if digest] if piece.kind in _FILES else []


def _hashes_by_device(pieces: Sequence[EvidencePayload], device_ids: dict[str, UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    for piece in pieces:
        if piece.machine_id in device_ids:
            found.setdefault(device_ids[piece.machine_id], []).extend(_hashes(piece))
    return found


def _devices_in_order(alert: AlertPayload, device_ids: dict[str, UUID]) -> list[UUID]:
    """The alert's devices, its own first: the compromised one, else the first named, else the first a file is on."""
    pieces = sorted(alert.evidence, key=_precedence)
    return list(dict.fromkeys(device_ids[piece.machine_id] for piece in pieces if piece.machine_id))


def _precedence(piece: EvidencePayload) -> int:
    if piece.kind != EvidenceKind.DEVICE:
        return 2
    roles = piece.raw.get("roles")
    is_compromised = isinstance(roles, list) and any(str(role).lower() == "compromised" for role in roles)
    return 0 if is_compromised else 1
