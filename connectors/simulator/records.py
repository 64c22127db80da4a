"""The two things that change after they are accepted: a machine action and a mail. Both are read off the clock.

Nothing here has a timer: a record knows when each step is due, and says what it looks like at a given moment.
"""

from dataclasses import dataclass, field
from typing import Any

from connectors.simulator.moments import moment_text

FINAL_STATUSES = frozenset({"Succeeded", "Failed", "TimeOut", "Cancelled"})

CANCELLED_BY_REQUEST = -2147467260  # E_ABORT, as Microsoft's cancelled rows carry it in errorHResult


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who stopped a machine action, when and why."""

    requestor: str
    comment: str
    at: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a live response and how it will end: failed when it has errors. ``content`` is its result."""

    type: str
    params: tuple[tuple[str, str], ...]
    errors: tuple[str, ...]
    content: bytes | None

    def as_json(self, index: int, start: int, end: int, now: int) -> dict[str, Any]:
        """The command as its session lists it at this moment: created, then completed or failed."""
        has_ended = end <= now
        ending = "Failed" if self.errors else "Completed"
        return {
            "index": index,
            "startTime": moment_text(start) if start <= now else None,
            "endTime": moment_text(end) if has_ended else None,
            "commandStatus": ending if has_ended else "Created",
            "errors": list(self.errors) if has_ended else [],
            "command": {"type": self.type, "params": [{"key": key, "value": value} for key, value in self.params]},
        }


@dataclass(slots=True)
class MachineAction:
    """One accepted request to act on a device; facts/defender.md 6.3, field for field as the real rows have them."""

    id: str
    type: str
    machine_id: str
    computer_dns_name: str | None
    requestor: str
    comment: str
    scope: str | None
    sha1: str | None
    external_id: str | None
    request_source: str
    title: str | None
    created: int
    finishes: int
    visible_from: int
    cancellation: Cancellation | None = None
    commands: tuple[Command, ...] = ()

    def status(self, now: int) -> str:
        """Pending for the first half of its time, then InProgress, then Succeeded or Failed; or Cancelled."""
        if self.cancellation is not None:
            return "Cancelled"
        if now >= self.finishes:
            return "Failed" if any(command.errors for command in self.commands) else "Succeeded"
        return "InProgress" if now >= self._starts() else "Pending"

    def done(self, now: int) -> bool:
        """Whether it has taken effect on the device."""
        return self.status(now) == "Succeeded"

    def as_json(self, now: int) -> dict[str, Any]:
        """The MachineAction that Microsoft would send at this moment."""
        stopped = self.cancellation
        file_info = {"fileIdentifier": self.sha1, "fileIdentifierType": "Sha1"} if self.sha1 else None
        return {
            "id": self.id,
            "type": self.type,
            "title": self.title,
            "requestor": self.requestor,
            "requestorComment": self.comment,
            "status": self.status(now),
            "machineId": self.machine_id,
            "computerDnsName": self.computer_dns_name,
            "creationDateTimeUtc": moment_text(self.created),
            "lastUpdateDateTimeUtc": moment_text(self._last_step(now)),
            "cancellationRequestor": stopped.requestor if stopped else None,
            "cancellationComment": stopped.comment if stopped else None,
            "cancellationDateTimeUtc": moment_text(stopped.at) if stopped else None,
            "errorHResult": CANCELLED_BY_REQUEST if stopped else 0,
            "scope": self.scope,
            "externalId": self.external_id,
            "requestSource": self.request_source,
            "relatedFileInfo": file_info,
            "commands": self._commands(now),
            "troubleshootInfo": None,
        }

    def _commands(self, now: int) -> list[dict[str, Any]]:
        """Its commands in turn; what comes after a failed one never starts."""
        last = self.finishes + 1
        listed = []
        for index, command in enumerate(self.commands):
            share = (self.finishes - self._starts()) // len(self.commands)
            start = self._starts() + index * share
            end = self.finishes if index == len(self.commands) - 1 else start + share
            until = now if self.cancellation is None else min(now, self.cancellation.at)
            listed.append(command.as_json(index, start, end, until if start < last else self.created - 1))
            last = min(last, end) if command.errors else last
        return listed

    def _starts(self) -> int:
        return (self.created + self.finishes) // 2

    def _last_step(self, now: int) -> int:
        if self.cancellation is not None:
            return self.cancellation.at
        reached = [moment for moment in (self.created, self._starts(), self.finishes) if moment <= now]
        return max(reached, default=self.created)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a mail lies, in Graph's words (deliveryAction, deliveryLocation)."""

    action: str
    location: str


# softDelete goes to the recoverable items, which Graph calls "others"; a hard delete leaves nothing to find.
DELIVERY_AFTER = {
    "moveToJunk": Delivery("deliveredToJunk", "junkFolder"),
    "moveToInbox": Delivery("delivered", "inbox_folder"),
    "moveToDeletedItems": Delivery("delivered", "deletedFolder"),
    "softDelete": Delivery("delivered", "others"),
    "hardDelete": Delivery("blocked", "dropped"),
    "moveToQuarantine": Delivery("blocked", "quarantine"),
    # Exchange's cmdlet, no action of Graph's.
    "release": Delivery("delivered", "inbox_folder"),
}

# facts/graph.md 3.2: on-premises or external, failed, dropped and hard-deleted mail cannot be acted on.
OUT_OF_REACH = frozenset({"onprem_external", "failed", "dropped"})


@dataclass(frozen=True, slots=True)
class MailChange:
    """One remediation of one mail: due at ``at``, readable from ``visible_from``."""

    action: str
    details: str
    at: int
    visible_from: int


@dataclass(slots=True)
class Email:
    """A mail as it was seeded, and every remediation accepted for it since."""

    properties: dict[str, Any]
    changes: list[MailChange] = field(default_factory=list)

    def location(self, now: int) -> str:
        """Where the mail really lies now, whether or not reads show it yet."""
        return self._after([change for change in self.changes if change.at <= now])[0].location

    def as_json(self, now: int) -> dict[str, Any]:
        """The analyzedEmail that Graph would send at this moment."""
        shown = [change for change in self.changes if change.at <= now and change.visible_from <= now]
        delivery, events = self._after(shown)
        latest = {**self.properties["latestDelivery"], "action": delivery.action, "location": delivery.location}
        timeline = [*self.properties["timelineEvents"], *events]
        return {**self.properties, "latestDelivery": latest, "timelineEvents": timeline}

    def _after(self, changes: list[MailChange]) -> tuple[Delivery, list[dict[str, Any]]]:
        seeded = self.properties["latestDelivery"]
        delivery = Delivery(seeded["action"], seeded["location"])
        events = []
        for change in changes:
            target = DELIVERY_AFTER[change.action]
            if delivery.location in OUT_OF_REACH:
                result = "failure"
            elif delivery.location == target.location:
                result = "already in destination"
            else:
                delivery, result = target, "success"
            events.append(_timeline_event(change, result))
        return delivery, events


def _timeline_event(change: MailChange, result: str) -> dict[str, Any]:
    return {
        "eventDateTime": moment_text(change.at),
        "eventType": "quarantineRelease" if change.action == "release" else "air",
        "eventSource": "admin",
        "eventResult": result,
        "eventDetails": change.details,
        "eventThreats": [],
    }
