"""Lines about what takes other ways out: live response on a device, Exchange for addresses and mailboxes."""

from investigations.states import AutomationLevel
from portal.demo.companies import NORDFJELL
from portal.demo.opening import forwarding_mailbox
from portal.demo.scenery import DATA, TEMP, device_evidence, file_evidence, sha1_of
from portal.demo.story.levels import QUARANTINE, expect_quarantined
from portal.demo.story.person import expect
from portal.demo.story.stage import Json, Stage

BLOCKED = "parcel-fee.example/pay"


def live_response_deletes_once(stage: Stage) -> str:
    """Ada asks for a file to be deleted, two people approve, and one script runs on the device, once."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    action = stage.request("delete_file", {"path": rf"{TEMP}\loader.exe", "sha1": sha1_of("story-delete")}, machine)
    stage.approver.decide("approve", action, "It is no file of ours.")
    stage.expect_pending(action)
    stage.second_approver.decide("approve", action, "Nor of anybody's.")
    stage.wait_done(action)
    expect(len(_scripts_on(stage, machine, "delete-file")) == 1, "the script that deletes has run once")
    stage.expect_sent_once(action)
    return "live response: two approve, the file is deleted, once"


def url_is_blocked_and_unblocked(stage: Stage) -> str:
    """An address goes on Exchange's block list after approval, and an undo takes it off."""
    action = stage.request("block_url", {"url": f"https://{BLOCKED}"})
    stage.expect_pending(action)
    stage.approver.decide("approve", action, "It asks for card numbers.")
    stage.wait_done(action)
    expect(BLOCKED in stage.simulator.tenant(NORDFJELL)["urls"], "the address is on the block list")
    stage.expect_sent_once(action)
    stage.wait_done(stage.approver.decide("undo", action, "It belongs to the parcel service after all."))
    expect(BLOCKED not in stage.simulator.tenant(NORDFJELL)["urls"], "the address is off the block list")
    return "URL: blocked after approval, unblocked by undo"


def forwarding_is_restored_exactly(stage: Stage) -> str:
    """A mailbox forwards outside by its setting and by a rule; both are turned off, and undo restores both exactly."""
    address = f"board@{NORDFJELL.domain}"
    stage.simulator.tell(NORDFJELL, {"mailboxes": [forwarding_mailbox(address)]})
    before = stage.simulator.mailbox(NORDFJELL, address)
    action = stage.request("turn_off_forwarding", {"mailbox": address})
    stage.approver.decide("approve", action, "Nobody there knows of it.")
    stage.wait_done(action)
    off = stage.simulator.mailbox(NORDFJELL, address)
    expect(off["ForwardingSmtpAddress"] is None, "the mailbox forwards nothing")
    expect([rule["isEnabled"] for rule in off["rules"]] == [False], "its rule is switched off, not deleted")
    stage.wait_done(stage.approver.decide("undo", action, "It is the archive they are bound to keep."))
    expect(stage.simulator.mailbox(NORDFJELL, address) == before, "the mailbox is exactly as it was")
    return "mail forwarding: turned off, and restored exactly as it was"


def quarantined_file_is_released(stage: Stage) -> str:
    """A file that was quarantined by itself is given back by undo, through live response, once."""
    machine = stage.machine(AutomationLevel.FULL)
    evidence = [device_evidence(machine), file_evidence(machine, DATA, "rota.exe", content="story-release")]
    stage.take_in("story-release", "Malware was detected", evidence)
    action = stage.action_of("story-release", QUARANTINE)
    stage.wait_done(action)
    expect_quarantined(stage, machine, "story-release")
    release = stage.approver.decide("undo", action, "It is our own program.")
    expect(release["type"] == "release_from_quarantine", "the undo is a release from quarantine")
    stage.wait_done(release)
    expect(len(_scripts_on(stage, machine, "release-from-quarantine")) == 1, "the script that releases has run once")
    stage.expect_sent_once(release)
    return "quarantined file: released by undo through live response, once"


def _scripts_on(stage: Stage, machine: Json, name: str) -> list[str]:
    """Return the runs of one of our scripts on a machine."""
    commands = stage.simulator.machine(NORDFJELL, machine)["liveResponses"]
    return [command["ScriptName"] for command in commands if name in command.get("ScriptName", "")]
