"""Where the story plays: the people, the portal as they see it, and the simulator as the judge of what was done."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from investigations.states import AutomationLevel
from portal.demo.companies import NORDFJELL, Company
from portal.demo.processes import Fleet
from portal.demo.scenery import alert
from portal.demo.seeding import ANALYST, APPROVER, READER, SECOND_APPROVER, TENANT_ADMIN
from portal.demo.simulator import Simulator
from portal.demo.story.person import Person, expect

Json = dict[str, Any]
Found = TypeVar("Found")

PATIENCE_SECONDS = 25.0
"""How long a promise may take to come true."""

ENDED = frozenset({"succeeded", "failed", "timed_out", "cancelled", "rejected", "expired"})


@dataclass(slots=True)
class Stage:
    """What every line of the story works with."""

    fleet: Fleet
    simulator: Simulator
    people: Mapping[str, Person]
    numbers: Mapping[AutomationLevel, Iterator[int]] = field(
        default_factory=lambda: {level: itertools.count(1) for level in AutomationLevel}
    )

    @property
    def reader(self) -> Person:
        """Who only looks."""
        return self.people[READER.email]

    @property
    def analyst(self) -> Person:
        """Who brings alerts in and asks for actions."""
        return self.people[ANALYST.email]

    @property
    def approver(self) -> Person:
        """Who decides."""
        return self.people[APPROVER.email]

    @property
    def second_approver(self) -> Person:
        """The second pair of eyes."""
        return self.people[SECOND_APPROVER.email]

    @property
    def stranger(self) -> Person:
        """The admin of another tenant."""
        return self.people[TENANT_ADMIN.email]

    def machine(self, level: AutomationLevel) -> Json:
        """Return a machine of the group with this level that no other line uses."""
        return NORDFJELL.machine(level, next(self.numbers[level]))

    def take_in(self, alert_id: str, title: str, evidence: Sequence[Json]) -> Json:
        """Let the analyst post one alert, and return what the portal made of it."""
        return self.take_in_all([alert(NORDFJELL, alert_id, title, evidence)])

    def take_in_all(self, alerts: Sequence[Json], company: Company = NORDFJELL) -> Json:
        """Let the analyst post a company's alerts, and return what the portal made of them."""
        report: Json = self.analyst.do("/alerts/", {"tenant": company.slug, "alerts": {"value": list(alerts)}})
        expect(not report["refused"], f"every alert is taken in: {report['refused']}")
        return report

    def request(
        self,
        kind: str,
        parameters: Json,
        machine: Mapping[str, Any] | None = None,
        company: Company = NORDFJELL,
        *,
        by_approver: bool = False,
    ) -> Json:
        """Let the analyst, or the approver, ask for an action, and return it."""
        body = {"tenant": str(company.tenant_id), "type": kind, "parameters": parameters, "reason": "It looks wrong."}
        if machine is not None:
            body["device"] = self.device_id(machine)
        action: Json = (self.approver if by_approver else self.analyst).do("/actions/", body)
        return action

    def device_id(self, machine: Mapping[str, Any]) -> str:
        """Return the portal's id of a machine."""
        rows = self.reader.rows("/devices/", machine_id=machine["id"])
        expect(len(rows) == 1, f"{machine['computerDnsName']} is known to the portal")
        return str(rows[0]["id"])

    def evidence_of(self, alert_id: str) -> list[Json]:
        """Return an alert's evidence, waiting for the alert to have come in by sync."""
        alerts = self.wait_for(lambda: self.reader.rows("/alerts/", alert_id=alert_id), f"alert {alert_id} is read")
        return self.reader.rows("/evidence/", alert=alerts[0]["id"])

    def actions_of(self, alert_id: str) -> list[Json]:
        """Return the actions that answer an alert's evidence."""
        found = [self.reader.rows("/actions/", evidence=piece["id"]) for piece in self.evidence_of(alert_id)]
        return list({action["id"]: action for actions in found for action in actions}.values())

    def action_of(self, alert_id: str, kind: str) -> Json:
        """Return the one action that answers an alert. Raises Broken when there is none, or another."""
        actions = self.actions_of(alert_id)
        types = [action["type"] for action in actions]
        expect(types == [kind], f"one action “{kind}” follows, not {types}")
        return actions[0]

    def pending_action_of(self, alert_id: str, kind: str) -> Json:
        """Return the one action of an alert, which waits for approval and of which nothing was sent."""
        action = self.action_of(alert_id, kind)
        self.expect_pending(action)
        return action

    def expect_pending(self, action: Json) -> None:
        """Raise Broken unless the action waits for approval and nothing of it was sent."""
        state = self.read_again(action)["state"]
        expect(state == "pending_approval", f"“{action['target']}” waits for approval, not {state}")
        expect(not self.simulator.requests_of(action), f"nothing was sent for “{action['target']}” while it waits")

    def read_again(self, action: Mapping[str, Any]) -> Json:
        """Return an action as it is now."""
        row: Json = self.reader.read(f"/actions/{action['id']}/")
        return row

    def wait_done(self, action: Mapping[str, Any]) -> Json:
        """Wait until an action has ended, and return it. Raises Broken unless it succeeded."""
        ended = self.wait_for(lambda: self._ended(action), f"“{action['target']}” ends")
        expect(ended["state"] == "succeeded", f"“{action['target']}” succeeds, not {ended['state']}: {ended['detail']}")
        return ended

    def _ended(self, action: Mapping[str, Any]) -> Json | None:
        row = self.read_again(action)
        return row if row["state"] in ENDED else None

    def expect_sent_once(self, action: Mapping[str, Any]) -> None:
        """Raise Broken unless the simulator's log shows the action accepted exactly once."""
        accepted = [entry for entry in self.simulator.requests_of(action) if entry["accepted"]]
        expect(len(accepted) == 1, f"the simulator accepted it exactly once, not {len(accepted)} times")

    def wait_hunts(self, batch: Mapping[str, Any]) -> dict[str, Json]:
        """Wait until a question has been answered, or has failed, everywhere; return the hunts by tenant."""

        def all_ended() -> list[Json]:
            hunts = self.analyst.rows("/hunts/", batch=batch["batch"])
            return hunts if all(hunt["state"] in ("done", "failed") for hunt in hunts) else []

        return {hunt["tenant"]: hunt for hunt in self.wait_for(all_ended, "the query ends at every customer")}

    def wait_investigation(self, alert_id: str, state: str) -> None:
        """Wait until the investigation of an alert has this state."""
        investigation = self.evidence_of(alert_id)[0]["investigation"]

        def has_come() -> bool:
            now = self.reader.read(f"/investigations/{investigation}/")["state"]
            return bool(now == state)

        self.wait_for(has_come, f"the investigation becomes {state}")

    def wait_for(
        self,
        look: Callable[[], Found | None],
        promise: str,
        *,
        pause: float = 0.25,
        within: float = PATIENCE_SECONDS,
    ) -> Found:
        """Return what a look finds as soon as it is something. Raises Broken when it takes longer than `within`.

        `pause` is how many seconds there are between looks.
        """
        ends_at = time.monotonic() + within
        while not (found := look()):
            expect(time.monotonic() < ends_at, f"{promise} within {within:.0f} seconds")
            time.sleep(pause)
        return found
