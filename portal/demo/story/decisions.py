"""Lines about people: who approves, who rejects, who undoes, and whom the portal does not know."""

from uuid import UUID

from investigations.states import AutomationLevel, InvestigationState
from portal.demo.companies import NORDFJELL
from portal.demo.scenery import DATA, alert, device_evidence, email, file_evidence, message_evidence, message_id
from portal.demo.story.levels import QUARANTINE, expect_quarantined
from portal.demo.story.person import expect
from portal.demo.story.stage import Stage

UNKNOWN_ID = UUID("01900000-0000-7000-8000-00000000dead")
OTHERS_IN_SPREAD = 10
FULL_ISOLATION = {"isolation_type": "Full"}


def mail_asks_at_full(stage: Stage) -> str:
    """A malicious mail, read by sync, waits though the device is in a Full group; approved, it leaves the mailbox."""
    machine, message = stage.machine(AutomationLevel.FULL), message_id("story-mail")
    recipient = f"reception@{NORDFJELL.domain}"
    pieces = [device_evidence(machine), message_evidence(message, recipient, "Your parcel is waiting")]
    scene = {
        "emails": [email(message, recipient, "Your parcel is waiting")],
        "alerts": [alert(NORDFJELL, "story-mail", "Phishing mail was delivered", pieces)],
    }
    stage.simulator.tell(NORDFJELL, scene)
    action = stage.pending_action_of("story-mail", "soft_delete_email")
    place = stage.simulator.email(NORDFJELL, message)["location"]
    expect(place == "inbox_folder", f"the mail is still in the inbox, not in {place}")
    stage.approver.decide("approve", action, "It is phishing.")
    stage.wait_done(action)
    expect(stage.simulator.email(NORDFJELL, message)["location"] == "others", "the mail has left the mailbox")
    stage.expect_sent_once(action)
    return "malicious mail: pending though the group is Full, approved, gone"


def rejected_is_not_sent(stage: Stage) -> str:
    """A suspicious device waits; Chiara rejects; nothing was sent and the investigation completes."""
    machine = stage.machine(AutomationLevel.FULL)
    stage.take_in("story-suspicious", "Suspicious remote session", [device_evidence(machine, "suspicious")])
    action = stage.pending_action_of("story-suspicious", "isolate_device")
    stage.second_approver.decide("reject", action, "It is our own maintenance.")
    expect(stage.read_again(action)["state"] == "rejected", "it is rejected")
    stage.wait_investigation("story-suspicious", InvestigationState.SUCCESSFULLY_REMEDIATED)
    expect(not stage.simulator.requests_to(machine["id"]), "nothing was sent")
    return "suspicious device: pending, rejected, nothing sent, investigation complete"


def isolation_is_undone(stage: Stage) -> str:
    """Ada asks for an isolation, Bruno approves, the device is isolated; he undoes it, and it is released."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    action = stage.request("isolate_device", FULL_ISOLATION, machine)
    stage.expect_pending(action)
    stage.approver.decide("approve", action, "Until we know more.")
    stage.wait_done(action)
    expect(stage.simulator.machine(NORDFJELL, machine)["isolation"] == "Full", "the device is isolated")
    release = stage.approver.decide("undo", action, "It was clean.")
    expect(release["undoes"] == action["id"] and release["type"] == "release_from_isolation", "the undo is a release")
    stage.wait_done(release)
    expect(stage.simulator.machine(NORDFJELL, machine)["isolation"] is None, "the device is released")
    expect(stage.read_again(action)["is_undone"], "the isolation reads as undone")
    stage.expect_sent_once(action)
    stage.expect_sent_once(release)
    return "isolation asked for by Ada, approved by Bruno, undone: released"


def widening_asks(stage: Stage) -> str:
    """A file on ten more devices of a Full group asks before it widens; approved, all of them are cleaned."""
    content, first = "story-spread", stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    stage.take_in("story-spread", "Ransomware behaviour", [file_evidence(first, DATA, "locker.exe", content=content)])
    others = [stage.machine(AutomationLevel.FULL) for _ in range(OTHERS_IN_SPREAD)]
    files = [file_evidence(machine, DATA, "locker.exe", content=content) for machine in others]
    stage.take_in("story-spread-on", "Ransomware behaviour on many devices", files)
    investigation = stage.evidence_of("story-spread")[0]["investigation"]
    asked = stage.reader.rows("/actions/", investigation=investigation, type="widen_investigation")
    expect([len(row["parameters"]["devices"]) for row in asked] == [OTHERS_IN_SPREAD], "one question names all ten")
    stage.expect_pending(asked[0])
    expect(not any(stage.simulator.requests_to(machine["id"]) for machine in others), "nothing is done before approval")
    stage.approver.decide("approve", asked[0], "It is the same worm.")
    stage.wait_done(asked[0])
    actions = stage.actions_of("story-spread-on")
    expect(len(actions) == OTHERS_IN_SPREAD, f"{OTHERS_IN_SPREAD} devices are acted on, not {len(actions)}")
    for action in actions:
        stage.wait_done(action)
        stage.expect_sent_once(action)
    for machine in others:
        expect_quarantined(stage, machine, content)
    return "widening to ten devices: asks first, approved, all ten cleaned"


def own_request_is_not_approved(stage: Stage) -> str:
    """Bruno asks for an isolation and cannot approve it himself."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    action = stage.request("isolate_device", FULL_ISOLATION, machine, by_approver=True)
    answer = stage.approver.send(f"/actions/{action['id']}/approve/", {"reason": "I am sure."})
    expect(answer.status_code == 403, f"his own approval is refused with 403, not {answer.status_code}")
    stage.expect_pending(action)
    return "who asks cannot approve: 403, still pending, nothing sent"


def hard_delete_takes_two(stage: Stage) -> str:
    """A hard delete needs two people: one of them twice is a conflict, the second one sets it going."""
    message, recipient = message_id("story-hard"), f"accounts@{NORDFJELL.domain}"
    stage.simulator.tell(NORDFJELL, {"emails": [email(message, recipient, "Overdue invoice")]})
    messages = [{"network_message_id": message, "recipient": recipient}]
    action = stage.request("hard_delete_email", {"messages": messages})
    stage.approver.decide("approve", action, "Agreed.")
    stage.expect_pending(action)
    again = stage.approver.send(f"/actions/{action['id']}/approve/", {"reason": "Agreed twice."})
    expect(again.status_code == 409, f"the same person's second approval is refused with 409, not {again.status_code}")
    stage.expect_pending(action)
    stage.second_approver.decide("approve", action, "Agreed as well.")
    stage.wait_done(action)
    expect(stage.simulator.email(NORDFJELL, message)["location"] == "dropped", "the mail is gone for good")
    stage.expect_sent_once(action)
    return "hard delete: one approval is not enough, two different people are"


def stranger_finds_nothing(stage: Stage) -> str:
    """Margot of another tenant asks for an id of this one, and gets what an unknown id gets: 404, to the letter."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    evidence = [device_evidence(machine), file_evidence(machine, DATA, "secret.exe", content="story-secret")]
    stage.take_in("story-secret", "Attack tool", evidence)
    piece = stage.evidence_of("story-secret")[0]
    action = stage.pending_action_of("story-secret", QUARANTINE)
    places = {"actions": action["id"], "investigations": piece["investigation"], "devices": stage.device_id(machine)}
    for name, row in places.items():
        theirs, unknown = stage.stranger.ask(f"/{name}/{row}/"), stage.stranger.ask(f"/{name}/{UNKNOWN_ID}/")
        expect(theirs.status_code == 404, f"another tenant's id among {name} is 404, not {theirs.status_code}")
        expect(theirs.content == unknown.content, "the answer is the one an unknown id gets")
    refused = stage.stranger.send(f"/actions/{action['id']}/approve/", {"reason": "Let me."})
    expect(refused.status_code == 404, f"approving it is 404, not {refused.status_code}")
    stage.expect_pending(action)
    return "another tenant's admin asks for an id: 404, as for an unknown one"
