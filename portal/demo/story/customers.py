"""Lines about many customers at once, and about putting right what was wrong: groups, corrections, storms, checks."""

from datetime import datetime

from investigations.states import AutomationLevel
from portal.demo.companies import KANDA, LUMIERE, NORDFJELL
from portal.demo.scenery import DATA, alert, device_evidence, file_evidence, sha1_of, url_evidence
from portal.demo.story.levels import QUARANTINE, expect_quarantined
from portal.demo.story.person import expect
from portal.demo.story.searching import WITHHELD
from portal.demo.story.stage import Json, Stage

TOOL = "story-tool"
PLANNER = "story-planner"
PLANNER_URL = "https://rota.nordfjell.example/login"

STORM_SECONDS = 10
"""How long Microsoft asks the customer to wait: longer than another's action takes to go out."""


def group_decides_everywhere(stage: Stage) -> str:
    """One file waits at two customers; one decision approves both, each with its result; again changes nothing."""
    level = AutomationLevel.SEMI_ALL_FOLDERS
    places = [(NORDFJELL, stage.machine(level)), (LUMIERE, LUMIERE.machine(level, 1))]
    for company, machine in places:
        evidence = [device_evidence(machine), file_evidence(machine, DATA, "sync.exe", content=TOOL)]
        stage.take_in_all([alert(company, f"story-group-{company.slug}", "Attack tool", evidence)], company)
    actions = [stage.pending_action_of(f"story-group-{company.slug}", QUARANTINE) for company, _machine in places]
    groups = stage.approver.rows("/action-groups/", type=QUARANTINE, entity_kind="sha1")
    [group] = [row for row in groups if row["entity"] == f"sha1:{sha1_of(TOOL)}"]
    expect((group["count"], group["tenants"]) == (2, 2), f"the group holds both: {group}")
    seen = {name: group[name] for name in ("type", "entity", "as_of", "count")}
    body = {**seen, "answer": "approve", "reason": "We know this tool."}
    first = stage.approver.do("/action-groups/decide/", body)["results"]
    told = {(row["tenant"], row["result"]) for row in first}
    expect(
        told == {(str(company.tenant_id), "approved") for company, _machine in places}, f"each has its result: {first}"
    )
    again = stage.approver.do("/action-groups/decide/", body)["results"]
    expect({row["result"] for row in again} == {"refused"}, f"the same again changes nothing: {again}")
    for action, (company, machine) in zip(actions, places, strict=True):
        expect(len(stage.wait_done(action)["decisions"]) == 1, "one approval is on record")
        stage.expect_sent_once(action)
        expect_quarantined(stage, machine, TOOL, company)
    return "one decision on a group: done at both customers; the same again changes nothing"


def correction_puts_right(stage: Stage) -> str:
    """One call says that an alert was wrong: it is classified, undone, allowed and handed in to Microsoft."""
    machine = stage.machine(AutomationLevel.FULL)
    evidence = [
        device_evidence(machine),
        file_evidence(machine, DATA, "rota-planner.exe", content=PLANNER),
        url_evidence(PLANNER_URL, verdict="noThreatsFound"),
    ]
    stage.simulator.tell(NORDFJELL, {"alerts": [alert(NORDFJELL, PLANNER, "'Wacatac' malware", evidence)]})
    stage.wait_done(stage.action_of(PLANNER, QUARANTINE))
    ordered = _correct(stage)
    stage.second_approver.decide("approve", ordered["allow_indicator"], "It is signed by the hospital.")
    for kind in ("classify_alert", "release_from_quarantine", "allow_indicator", "submit_url"):
        stage.wait_done(ordered[kind])
    now = stage.simulator.tenant(NORDFJELL)
    expect(now["classifications"][PLANNER][1:] == ["falsePositive", "notMalicious"], "the alert is a false positive")
    allowed = [row["action"] for row in now["indicators"] if row["indicatorValue"] == sha1_of(PLANNER)]
    expect(allowed == ["Allowed"], f"the file is allowed, not {allowed}")
    expect(PLANNER_URL in now["submissions"], "its address was handed in")
    stage.expect_sent_once(ordered["release_from_quarantine"])
    return "correction in one call: classified, given back, allowed, handed in"


def storm_holds_up_nobody_else(stage: Stage) -> str:
    """Microsoft answers one customer with 429; while that one waits, another's isolation goes out. Then the first."""
    level, full = AutomationLevel.SEMI_ALL_FOLDERS, {"isolation_type": "Full"}
    held = stage.request("isolate_device", full, KANDA.machine(level, 1), KANDA)
    other = stage.request("isolate_device", full, stage.machine(level))
    storm = stage.simulator.start_storm(KANDA, "/isolate", retry_after=STORM_SECONDS)
    stage.approver.decide("approve", held, "Cut it off.")
    [refused, *_] = stage.wait_for(lambda: stage.simulator.requests_of(held), "the storm strikes")
    stage.simulator.end_storm(storm)
    stage.approver.decide("approve", other, "Cut it off too.")
    stage.wait_done(other)
    [accepted] = stage.simulator.requests_of(other)
    waited = (datetime.fromisoformat(accepted["at"]) - datetime.fromisoformat(refused["at"])).total_seconds()
    expect(refused["status"] == 429, f"the first one is answered with 429, not {refused['status']}")
    expect(waited < STORM_SECONDS, f"the other goes out while the first one waits, not {waited:.1f} seconds later")
    stage.wait_done(held)
    stage.expect_sent_once(held)
    return "429 storm at one customer: another's action goes out meanwhile"


def check_names_what_is_missing(stage: Stage) -> str:
    """`manage.py connection check` names the permission that a customer has not granted, and what to do."""
    checked = stage.fleet.manage("connection", "check", KANDA.slug)
    [line] = [row for row in checked.stdout.splitlines() if f"Permission {WITHHELD}" in row] or [""]
    expect(checked.returncode == 1, f"the check ends with 1, not {checked.returncode}: {checked.stderr[-300:]}")
    said = " ".join(checked.stdout.split())
    expect("MISSING" in line and "admin consent" in line, f"it says what is missing and what to do: {said}")
    return "connection check: names the missing permission, and what to do"


def _correct(stage: Stage) -> dict[str, Json]:
    """Let Bruno correct the alert in one call; return what was ordered, by the type of action."""
    [record] = stage.reader.rows("/alerts/", alert_id=PLANNER)
    body = {
        "tenant": str(NORDFJELL.tenant_id),
        "kind": "false_positive",
        "alert": record["id"],
        "classification": "falsePositive",
        "determination": "notMalicious",
        "undo": "this",
        "indicator": {"type": "FileSha1", "value": sha1_of(PLANNER)},
        "submit": True,
        "reason": "It is the hospital's own planner.",
    }
    parts = stage.approver.do("/corrections/", body)["parts"]
    results = {part["result"] for part in parts}
    expect(results <= {"ordered", "waits_for_approval"}, f"every part is ordered: {parts}")
    actions = [stage.read_again({"id": part["action"]}) for part in parts]
    return {action["type"]: action for action in actions}
