"""Lines about what runs by itself and what asks first: files at the five automation levels."""

from investigations.states import AutomationLevel, EvidenceOutcome, InvestigationState
from portal.demo.companies import NORDFJELL, Company
from portal.demo.scenery import DATA, DOWNLOADS, SYSTEM32, TEMP, alert, device_evidence, file_evidence, sha1_of
from portal.demo.story.person import expect
from portal.demo.story.stage import Json, Stage

QUARANTINE = "stop_and_quarantine_file"
SHARED = "story-stealer"
"""The content of the file that is found in a Full group and in a Semi group."""


def full_group_runs(stage: Stage) -> str:
    """A malicious file in a Full group, read by sync, is quarantined and nobody is asked."""
    machine = stage.machine(AutomationLevel.FULL)
    evidence = [device_evidence(machine), file_evidence(machine, DOWNLOADS, "invoice.exe", content=SHARED)]
    stage.simulator.tell(NORDFJELL, {"alerts": [alert(NORDFJELL, "story-full", "Credential stealer", evidence)]})
    action = stage.action_of("story-full", QUARANTINE)
    done = stage.wait_done(action)
    expect(done["required_approvals"] == 0 and not done["decisions"], "nobody was asked")
    expect_quarantined(stage, machine, SHARED)
    stage.expect_sent_once(action)
    return "malicious file in a Full group: quarantined, nobody asked"


def semi_group_asks(stage: Stage) -> str:
    """The same file in a group at Semi, all folders, waits; Bruno approves in the API; it is done."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    evidence = [device_evidence(machine), file_evidence(machine, DOWNLOADS, "invoice.exe", content=SHARED)]
    stage.take_in("story-semi", "Credential stealer", evidence)
    action = stage.pending_action_of("story-semi", QUARANTINE)
    stage.approver.decide("approve", action, "It is the stealer we know.")
    done = stage.wait_done(action)
    expect([row["user"]["email"].partition(".")[0] for row in done["decisions"]] == ["bruno"], "Bruno is on record")
    expect_quarantined(stage, machine, SHARED)
    stage.expect_sent_once(action)
    return "the same file in a Semi group: pending, approved by Bruno, quarantined"


def core_folders_ask(stage: Stage) -> str:
    """At Semi, core folders, a file in System32 waits and one elsewhere does not."""
    _ask_in_one_folder(stage, AutomationLevel.SEMI_CORE_FOLDERS, "core", asks=SYSTEM32, runs=DATA)
    return "core folders: System32 asks, a data folder runs"


def other_than_temp_asks(stage: Stage) -> str:
    """At Semi, non-temp folders, a file in a temporary folder runs and one elsewhere waits."""
    _ask_in_one_folder(stage, AutomationLevel.SEMI_NON_TEMP_FOLDERS, "temp", asks=DATA, runs=TEMP)
    return "non-temp folders: a temporary folder runs, a data folder asks"


def no_threats_nothing(stage: Stage) -> str:
    """Evidence without threats leads to nothing, and the investigation ends as benign."""
    machine = stage.machine(AutomationLevel.FULL)
    evidence = [file_evidence(machine, DATA, "report.exe", content="story-clean", verdict="noThreatsFound")]
    stage.take_in("story-clean", "Unusual program", [device_evidence(machine), *evidence])
    expect_nothing(stage, "story-clean", machine, EvidenceOutcome.NOT_NEEDED)
    stage.wait_investigation("story-clean", InvestigationState.BENIGN)
    return "no threats found: nothing is done, the investigation ends as benign"


def no_response_nothing(stage: Stage) -> str:
    """In a group without automated response nothing runs and nothing waits, however malicious."""
    machine = stage.machine(AutomationLevel.NO_AUTOMATED_RESPONSE)
    evidence = [file_evidence(machine, DATA, "svch0st.exe", content="story-fixed")]
    stage.take_in("story-fixed", "Worm activity", evidence)
    expect_nothing(stage, "story-fixed", machine, EvidenceOutcome.NO_AUTOMATED_RESPONSE)
    return "no automated response: nothing runs, nothing pends"


def twice_changes_nothing(stage: Stage) -> str:
    """The same alerts taken in twice change nothing: no alert, evidence, investigation or action is new."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    evidence = [device_evidence(machine), file_evidence(machine, DATA, "tool.exe", content="story-twice")]
    alerts = [alert(NORDFJELL, "story-twice", "Attack tool", evidence)]
    first = stage.take_in_all(alerts)
    expect(first["alerts"]["new"] == 1 and sum(first["actions"].values()) == 1, "the first time it is new")
    before = stage.action_of("story-twice", QUARANTINE)
    second = stage.take_in_all(alerts)
    for name in ("alerts", "evidence", "investigations"):
        expect(second[name]["new"] == 0 and second[name].get("changed", 0) == 0, f"no {name} are new or changed")
    expect(not second["actions"], f"no action is new, not {second['actions']}")
    expect(stage.action_of("story-twice", QUARANTINE)["id"] == before["id"], "it is still the same action")
    stage.expect_pending(before)
    return "the same alerts taken in twice: nothing changes"


def expect_quarantined(stage: Stage, machine: Json, content: str, company: Company = NORDFJELL) -> None:
    """Raise Broken unless the simulator has the file in quarantine on this machine."""
    files = stage.simulator.machine(company, machine)["quarantinedFiles"]
    expect(sha1_of(content) in files, f"the file is in quarantine on {machine['computerDnsName']}")


def expect_nothing(stage: Stage, alert_id: str, machine: Json, outcome: str) -> None:
    """Raise Broken if anything was proposed for an alert or sent to its machine."""
    outcomes = {piece["outcome"] for piece in stage.evidence_of(alert_id)}
    expect(outcomes == {outcome}, f"the evidence is {outcome}, not {outcomes}")
    expect(not stage.actions_of(alert_id), "no action follows")
    expect(not stage.simulator.requests_to(machine["id"]), "nothing was sent")


def _ask_in_one_folder(stage: Stage, level: AutomationLevel, name: str, *, asks: str, runs: str) -> None:
    asking, running = stage.machine(level), stage.machine(level)
    first = [device_evidence(asking), file_evidence(asking, asks, "version.dll", content=f"story-{name}-1")]
    second = [device_evidence(running), file_evidence(running, runs, "setup.exe", content=f"story-{name}-2")]
    stage.take_in(f"story-{name}-asks", "Malware in a folder", first)
    stage.take_in(f"story-{name}-runs", "Malware in a folder", second)
    automatic = stage.action_of(f"story-{name}-runs", QUARANTINE)
    waiting = stage.pending_action_of(f"story-{name}-asks", QUARANTINE)
    expect(not stage.wait_done(automatic)["decisions"], "nobody was asked where it runs")
    expect_quarantined(stage, running, f"story-{name}-2")
    stage.expect_sent_once(automatic)
    stage.expect_pending(waiting)
