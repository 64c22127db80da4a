"""Lines about remediation: what a request changes and what it does not, who completes it, and what is kept of it."""

from datetime import UTC, datetime, timedelta

from investigations.states import AutomationLevel
from portal.demo.companies import COMPANIES, KANDA, LUMIERE, NORDFJELL, Company
from portal.demo.seeding import ANALYST
from portal.demo.story.owner import change_one_row
from portal.demo.story.person import expect
from portal.demo.story.stage import PATIENCE_SECONDS, Json, Stage

COMPLETED_DAYS_AGO = 181
MANY = 1000
MACHINES_OF_EACH_GROUP = 24
"""How many devices each group has where most lines play."""


def due_in(days: int) -> str:
    """Return the day so many days from now, UTC, as the API takes it."""
    return f"{datetime.now(UTC).date() + timedelta(days=days)}"


def weakness(stage: Stage, company: Company, name: str, machines: int = 2) -> Json:
    """Let a company's machines be exposed to a product of this name; return the recommendation once it is read."""
    exposed = [machine["id"] for machine in _untouched(company)[:machines]]
    key = f"va-_-contoso-_-{name}"
    seed = {"id": key, "recommendationName": f"Update {name}", "exposed": exposed, "cves": ["CVE-2024-11477"]}
    stage.simulator.tell(company, {"recommendations": [{**seed, "weaknesses": 1}]})
    return recommendation(stage, company, key, machines)


def recommendation(stage: Stage, company: Company, key: str, exposed: int) -> Json:
    """Return a recommendation once the portal has read it with so many exposed devices."""

    def read() -> Json | None:
        row = listed(stage, company, key)
        is_read = row is not None and row["exposures_read_at"] and row["exposed_count"] == exposed
        return row if is_read else None

    promise = f"{key} is read at {company.name} with {exposed} exposed devices"
    return stage.wait_for(read, promise, within=PATIENCE_SECONDS if exposed < MANY else 3 * PATIENCE_SECONDS)


def listed(stage: Stage, company: Company, key: str) -> Json | None:
    """Return a recommendation of a company as its list shows it by default, None where it is not there."""
    rows = stage.reader.rows("/recommendations/", tenant=company.tenant_id, search=key.rpartition("-_-")[2])
    return next((row for row in rows if row["recommendation_id"] == key), None)


def ask(stage: Stage, found: Json, **wishes: object) -> Json:
    """Let the analyst request remediation, and return the activity."""
    body = {"recommendation": found["id"], "option": "software_update", "priority": "high", "due_on": due_in(14)}
    activity: Json = stage.analyst.do("/remediation-activities/", {**body, **wishes})
    return activity


def again(stage: Stage, activity: Json) -> Json:
    """Return an activity as it is now."""
    row: Json = stage.reader.read(f"/remediation-activities/{activity['id']}/")
    return row


def request_changes_no_device(stage: Stage) -> str:
    """One request over three customers makes an activity at each; nothing reaches a device, as the log proves."""
    for company in COMPANIES:
        weakness(stage, company, "viewer", 1)
    body = {
        "recommendation_id": "va-_-contoso-_-viewer",
        "tenants": [str(company.tenant_id) for company in COMPANIES],
        "option": "software_update",
        "priority": "medium",
        "due_on": due_in(7),
    }
    answer = stage.analyst.do("/remediation-campaigns/", body)
    made = [row for row in answer["results"] if row["activity"]]
    expect(len(made) == len(COMPANIES), f"each customer has an activity: {answer['results']}")
    stage.wait_for(lambda: again(stage, {"id": made[0]["activity"]})["progress"]["as_of"], "it is followed")
    machines = [machine for company in COMPANIES for machine in _untouched(company)]
    touched = [machine["id"] for machine in machines if stage.simulator.requests_to(machine["id"])]
    expect(not touched, f"nothing was sent to the devices: {touched}")
    return "request remediation at three customers: an activity each, no device is changed"


def fixed_devices_complete_it(stage: Stage) -> str:
    """Devices are fixed one after the other; progress follows, and the last one completes it: System confirmation."""
    found = weakness(stage, NORDFJELL, "archiver", 2)
    activity = ask(stage, found)
    expect(activity["progress"]["devices_at_start"] == 2, f"it begins with both devices: {activity['progress']}")
    stage.simulator.fix(NORDFJELL, found["recommendation_id"], count=1)
    stage.wait_for(lambda: again(stage, activity)["progress"]["fixed"] == 1, "progress shows the first one")
    expect(again(stage, activity)["state"] == "active", "it is still active with one device exposed")
    stage.simulator.fix(NORDFJELL, found["recommendation_id"], count=1)
    stage.wait_for(lambda: again(stage, activity)["state"] == "completed", "it is completed")
    label = again(stage, activity)["completed_by"]
    expect(label == "System confirmation", f"completed by System confirmation, not {label}")
    return "devices fixed: progress follows, completed by System confirmation"


def person_completes_it(stage: Stage) -> str:
    """Ada marks an activity completed; her e-mail is on it, and on record."""
    activity = ask(stage, weakness(stage, LUMIERE, "player", 1))
    done = stage.analyst.do(f"/remediation-activities/{activity['id']}/complete/", {"note": "The till is gone."})
    expect(done["completed_by"] == ANALYST.email, f"completed by {done['completed_by']}")
    events = stage.reader.rows("/audit-events/", object_id=activity["id"])
    expect(any(event["actor_label"] == ANALYST.email for event in events), "it is on record")
    return "closed by hand: the person's e-mail is shown"


def attention_has_no_due_date(stage: Stage) -> str:
    """Attention required takes no due date, shows no progress, and has no ticket."""
    found = weakness(stage, LUMIERE, "toolbar", 1)
    body = {"recommendation": found["id"], "option": "attention_required", "priority": "low"}
    refused = stage.analyst.send("/remediation-activities/", {**body, "due_on": due_in(3)})
    fields = [line["field"] for line in refused.json()["errors"]]
    expect((refused.status_code, fields) == (400, ["due_on"]), f"a due date is refused: {refused.text[:200]}")
    made = stage.analyst.do("/remediation-activities/", body)
    facts = (made["due_on"], made["progress"], made["ticket"])
    expect(facts == (None, None, None), f"no due date, no progress, no ticket: {facts}")
    return "attention required: no due date, no progress, no ticket"


def old_activity_leaves_with_a_receipt(stage: Stage) -> str:
    """Day 181 after completion: it is gone, and the receipt is in the audit. One under legal hold stays."""
    activity = ask(stage, weakness(stage, KANDA, "reader", 1))
    stage.analyst.do(f"/remediation-activities/{activity['id']}/complete/", {"note": "Done."})
    _complete_long_ago(activity)
    path = f"/remediation-activities/{activity['id']}/"
    stage.wait_for(lambda: stage.reader.ask(path).status_code == 404, "it is purged")
    receipts = stage.reader.rows("/audit-events/", tenant=KANDA.tenant_id, verb="retention.purged")
    expect(
        any(row["data"]["kind"] == "remediation_activities" and row["data"]["sha256"] for row in receipts),
        f"the receipt is in the audit: {[row['data'] for row in receipts]}",
    )
    return "day 181: the completed activity is gone, its receipt is in the audit"


def _untouched(company: Company) -> list[Json]:
    """Return machines that no other line acts on: those without automated response, at one company two of many."""
    first = MACHINES_OF_EACH_GROUP - 1 if company is NORDFJELL else 1
    level = AutomationLevel.NO_AUTOMATED_RESPONSE
    return [company.machine(level, number) for number in range(first, first + (2 if company is NORDFJELL else 1))]


def _complete_long_ago(activity: Json) -> None:
    """Move an activity's completion back."""
    statement = (
        "UPDATE vulnerabilities_remediationactivity SET completed_at = completed_at - make_interval(days => %s),"
        " requested_at = requested_at - make_interval(days => %s) WHERE id = %s"
    )
    change_one_row(KANDA, statement, [COMPLETED_DAYS_AGO, COMPLETED_DAYS_AGO, activity["id"]])
