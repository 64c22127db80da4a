"""Lines about Intune: off hides it, on shows it, what a ticket holds, and what the IT admin answers."""

from datetime import UTC, datetime

from portal.demo.companies import KANDA, NORDFJELL, Company
from portal.demo.seeding import PROVIDER_ADMIN
from portal.demo.story.person import expect
from portal.demo.story.remediation import again, ask, due_in, recommendation, weakness
from portal.demo.story.stage import Json, Stage

MANY = 12_000
MOST_AT_INTUNE = 10_000
PATIENCE_WITH_MANY_SECONDS = 75.0
"""How long it may take while 12,000 devices are read every other second, each call within a second."""

NOTE = "Not before the audit in March."


def off_hides_on_shows(stage: Stage) -> str:
    """Where the connection is off, the ticket is in no answer and no schema, and refused; turned on, it is offered."""
    found = weakness(stage, KANDA, "messenger", 1)
    expect("open_ticket" not in _offered(stage, found), f"it is not offered: {_offered(stage, found)}")
    schema = stage.stranger.ask("/schema/").text
    expect("/remediation-activities/" in schema and "open_ticket" not in schema, "the schema does not know it")
    body = {"recommendation": found["id"], "option": "software_update", "priority": "high", "due_on": due_in(9)}
    refused = stage.analyst.send("/remediation-activities/", {**body, "open_ticket": True})
    fields = [line["field"] for line in refused.json()["errors"]]
    expect((refused.status_code, fields) == (400, ["open_ticket"]), f"it is refused: {refused.text[:200]}")
    _turn_on(stage, KANDA)
    expect("open_ticket" in _offered(stage, found), f"it is offered: {_offered(stage, found)}")
    return "Intune off: the ticket is in no answer or schema, and refused; on: it is offered"


def rejection_shows_the_note(stage: Stage) -> str:
    """A request opens a ticket in Intune; the IT admin rejects it, and the activity shows why."""
    activity = ask(stage, weakness(stage, NORDFJELL, "codec", 2), open_ticket=True)
    ticket = _ticket_at_intune(stage, activity)
    stage.simulator.move_task(NORDFJELL, ticket["remote_id"], "rejected", NOTE)
    stage.wait_for(lambda: _ticket(stage, activity)["status"] == "rejected", "the rejection is read back")
    now = again(stage, activity)
    expect(NOTE in now["ticket"]["admin_note"], f"the note is shown: {now['ticket']}")
    expect(now["state"] == "active", "the activity goes on: its devices are exposed")
    return "a ticket rejected in Intune: the activity shows the IT admin's note"


def ten_thousand_of_twelve(stage: Stage) -> str:
    """Of 12,000 exposed devices 10,000 go to Intune, and the activity says both numbers."""
    _turn_on(stage, KANDA)
    size = {"machines": MANY, "recommendations": 1, "exposures": MANY, "cves": 1, "managed_devices": 0}
    stage.simulator.tell(KANDA, {"generate": size})
    key = stage.simulator.generated_recommendation(KANDA)
    found = recommendation(stage, KANDA, key, MANY)
    _wait_for_devices(stage, KANDA)
    activity = ask(stage, found, open_ticket=True)
    ticket = _ticket_at_intune(stage, activity)
    now = again(stage, activity)
    counts = (now["progress"]["devices_at_start"], now["devices_sent"])
    expect(counts == (MANY, MOST_AT_INTUNE), f"it shows both numbers: {counts}")
    there = stage.simulator.task(KANDA, ticket["remote_id"])["managedDeviceCount"]
    expect(there == MOST_AT_INTUNE, f"Intune has {there}")
    return "12,000 exposed devices: 10,000 go to Intune, the activity shows both"


def _wait_for_devices(stage: Stage, company: Company) -> None:
    """Wait until the company's whole device list has been read once more: only it tells Entra ids."""
    since = datetime.now(UTC)

    def is_read() -> bool:
        [row] = stage.reader.rows("/connections/", tenant=company.tenant_id)
        return bool(row["devices_read_at"]) and datetime.fromisoformat(row["devices_read_at"]) > since

    stage.wait_for(is_read, "the device list is read", within=PATIENCE_WITH_MANY_SECONDS)


def _offered(stage: Stage, found: Json) -> str:
    return str(stage.reader.read(f"/recommendations/{found['id']}/options/"))


def _turn_on(stage: Stage, company: Company) -> None:
    """Let Petra turn a customer's Intune connection on."""
    petra = stage.people[PROVIDER_ADMIN.email]
    [row] = petra.rows("/intune-connections/", tenant=company.tenant_id)
    petra.change(f"/intune-connections/{row['id']}/", {"is_on": True})


def _ticket(stage: Stage, activity: Json) -> Json:
    [row] = stage.reader.rows("/security-tasks/", activity=activity["id"])
    return row


def _ticket_at_intune(stage: Stage, activity: Json) -> Json:
    """Return an activity's ticket once Intune has it."""
    return stage.wait_for(
        lambda: row if (row := _ticket(stage, activity))["status"] == "pending" else None,
        "Intune has the ticket",
        within=PATIENCE_WITH_MANY_SECONDS,
    )
