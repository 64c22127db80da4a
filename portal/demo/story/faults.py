"""Lines about what goes wrong on the way: a killed worker, a connection cut after the yes, a vendor that throttles."""

from datetime import datetime

from investigations.states import AutomationLevel
from portal.demo.scenery import DATA, device_evidence, file_evidence
from portal.demo.story.levels import QUARANTINE, expect_quarantined
from portal.demo.story.person import expect
from portal.demo.story.stage import Json, Stage

HIDDEN_SECONDS = 3.5
"""How long the simulator's list hides an action it has accepted, as Microsoft's may: longer than one quiet period."""

THROTTLE_SECONDS = 2


def killed_worker_changes_nothing(stage: Stage) -> str:
    """The worker is killed with SIGKILL in mid-call; a new one finds out what became of it, and sends nothing again."""
    machine = stage.machine(AutomationLevel.FULL)
    stage.simulator.break_once("answer_late", machine["id"], seconds=4)
    _take_in(stage, machine, "story-kill")
    stage.wait_for(lambda: stage.simulator.requests_to(machine["id"]), "the simulator receives it", pause=0.03)
    stage.fleet.kill("worker")
    action = stage.action_of("story-kill", QUARANTINE)
    expect(stage.read_again(action)["state"] == "sending", "the worker died in mid-call")
    stage.fleet.start("worker")
    done = stage.wait_done(action)
    expect(done["attempt"] == 1, f"it was claimed once, not {done['attempt']} times")
    stage.expect_sent_once(action)
    expect_quarantined(stage, machine, "story-kill")
    return "worker killed in mid-run: ends all the same, sent exactly once"


def reset_changes_nothing(stage: Stage) -> str:
    """The connection is cut after the simulator accepted, and its list hides the action for a while: sent once."""
    machine = stage.machine(AutomationLevel.FULL)
    stage.simulator.break_once("hide", machine["id"], seconds=HIDDEN_SECONDS)
    stage.simulator.break_once("reset_after_accepting", machine["id"])
    action = _take_in_file(stage, machine, "story-reset")
    stage.wait_done(action)
    stage.expect_sent_once(action)
    expect_quarantined(stage, machine, "story-reset")
    return "connection reset after acceptance: looked up, sent exactly once"


def throttling_is_obeyed(stage: Stage) -> str:
    """The simulator answers 429 with Retry-After; the action waits as long, and is then done once."""
    machine = stage.machine(AutomationLevel.FULL)
    stage.simulator.break_once("throttle", machine["id"], retry_after=str(THROTTLE_SECONDS))
    action = _take_in_file(stage, machine, "story-throttle")
    stage.wait_done(action)
    refused, accepted = stage.simulator.requests_of(action)
    expect(refused["status"] == 429 and accepted["accepted"], "429 first, then accepted")
    waited = (datetime.fromisoformat(accepted["at"]) - datetime.fromisoformat(refused["at"])).total_seconds()
    expect(waited >= THROTTLE_SECONDS, f"it waited {THROTTLE_SECONDS} seconds, not {waited:.1f}")
    stage.expect_sent_once(action)
    return "429: waits as long as asked, then done once"


def _take_in(stage: Stage, machine: Json, name: str) -> None:
    pieces = [device_evidence(machine), file_evidence(machine, DATA, "loader.exe", content=name)]
    stage.take_in(name, "Malware was detected", pieces)


def _take_in_file(stage: Stage, machine: Json, name: str) -> Json:
    _take_in(stage, machine, name)
    return stage.action_of(name, QUARANTINE)
