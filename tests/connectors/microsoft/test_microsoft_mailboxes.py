"""Exchange's actions and the mail quarantine over real sockets, against the endpoints as the simulator plays them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import (
    WAS_THERE,
    ActionRequest,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
)
from tests.connectors.microsoft.conftest import Simulator, await_end

pytestmark = pytest.mark.process

ADA = "ada@x.example"
OUTSIDE = {"emailAddress": {"address": "thief@evil.example"}}
INSIDE = {"emailAddress": {"address": "bob@x.example"}}
MESSAGES = [{"network_message_id": str(UUID(int=n)), "recipient": ADA} for n in (1, 2)]


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=2)


def request(action_type: str, **parameters: Any) -> ActionRequest:
    return ActionRequest(uuid4(), action_type, "", parameters, "INC-1", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.send(action, before_sending=lambda: None)


def found(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.look_up([action]).found[action.action_id]


def acts(simulator: Simulator) -> list[str]:
    """The accepted calls that changed something, oldest first."""
    paths = [entry["path"] for entry in simulator.accepted()]
    return [path.rpartition("/")[2].removeprefix("InvokeCommand#") for path in paths if "#Get-" not in path]


def truth(simulator: Simulator) -> dict[str, Any]:
    url = f"{simulator.url}/_simulator/tenants/{simulator.tenant_id}"
    view: dict[str, Any] = httpx.get(url, verify=simulator.trust).json()
    return view


def mailbox(simulator: Simulator, **forwarding: object) -> dict[str, Any]:
    """Give Ada a mailbox, and return it as it is."""
    simulator.seed(mailboxes=[{"address": ADA, **forwarding}, {"address": "bob@x.example"}])
    return mailbox_of(simulator)


def mailbox_of(simulator: Simulator) -> dict[str, Any]:
    [ada] = [row for row in truth(simulator)["mailboxes"] if row["address"] == ADA]
    return dict(ada)


def rule(rule_id: str, **more: object) -> dict[str, object]:
    return {"id": rule_id, "displayName": f"rule {rule_id}", "actions": {"forwardTo": [OUTSIDE]}, **more}


def turn_off(microsoft: Microsoft) -> tuple[ActionRequest, Receipt]:
    action = request("turn_off_forwarding", mailbox=ADA)
    action = replace(action, findings=microsoft.prepare(action))
    return action, send(microsoft, action)


def restore(action: ActionRequest) -> ActionRequest:
    assert action.findings is not None
    return request("restore_forwarding", mailbox=ADA, former=dict(action.findings))


def test_a_url_is_blocked_once_and_found_and_unblocked(microsoft: Microsoft, simulator: Simulator) -> None:
    block, unblock = request("block_url", url="https://Bad.example/x"), request("unblock_url", url="bad.example/x")

    receipt = send(microsoft, block)

    assert (receipt.state, receipt.remote_id) == (RemoteState.SUCCEEDED, "bad.example/x")
    assert found(microsoft, replace(block, remote_id=receipt.remote_id)).state is RemoteState.SUCCEEDED
    assert truth(simulator)["urls"] == ["bad.example/x"]
    [entry] = [entry for entry in simulator.accepted() if "#New-" in entry["path"]]
    assert str(block.action_id) in entry["external_id"]
    assert entry["body"]["CmdletInput"]["Parameters"]["NoExpiration"] is True
    assert microsoft.look_up([unblock]) == LookUp({})
    assert send(microsoft, unblock).state is RemoteState.SUCCEEDED
    assert truth(simulator)["urls"] == []
    assert found(microsoft, unblock).state is RemoteState.SUCCEEDED


def test_a_url_that_is_blocked_already_is_adopted(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request("block_url", url="bad.example"))
    simulator.fault(kind="server_error", path="#New-")

    receipt = send(microsoft, request("block_url", url="BAD.example"))

    assert receipt.state is RemoteState.SUCCEEDED
    assert "not made by this action" in receipt.detail
    assert WAS_THERE in (receipt.data or {})
    assert acts(simulator) == ["New-TenantAllowBlockListItems"]


def test_a_value_somebody_lists_meanwhile_is_adopted_after_the_refusal(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    def somebody_is_faster() -> None:
        send(Microsoft(simulator.settings, deadline_seconds=2), request("block_url", url="bad.example"))

    receipt = microsoft.send(request("block_url", url="bad.example"), before_sending=somebody_is_faster)

    assert receipt.state is RemoteState.SUCCEEDED
    assert "not made by this action" in receipt.detail


def test_an_entry_that_vanishes_again_is_failed_after_a_while(microsoft: Microsoft, simulator: Simulator) -> None:
    gone = replace(request("block_url", url="bad.example"), remote_id="bad.example")

    assert found(microsoft, gone).state is RemoteState.IN_PROGRESS
    old = replace(gone, sent_at=datetime.now(UTC) - timedelta(hours=1))
    assert found(microsoft, old).state is RemoteState.FAILED


def test_a_full_list_is_a_no_with_exchanges_words(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(url_limit=1)
    send(microsoft, request("block_url", url="first.example"))

    with pytest.raises(Refused, match="maximum of 1 block entries"):
        send(microsoft, request("block_url", url="second.example"))


def test_a_missing_permission_is_a_no(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(withheld_roles=["Exchange.ManageAsApp"])

    with pytest.raises(Refused):
        send(microsoft, request("block_url", url="bad.example"))
    assert acts(simulator) == []


@pytest.mark.parametrize("cmdlet", ["New-Tenant", "Get-Tenant"])
def test_a_lost_answer_to_a_read_is_no_doubt_and_to_an_act_is_looked_up(
    microsoft: Microsoft, simulator: Simulator, cmdlet: str
) -> None:
    action = request("block_url", url="bad.example")
    simulator.fault(kind="reset_after_accepting", path=f"#{cmdlet}", count=1)

    with pytest.raises(NotSent if cmdlet.startswith("Get") else OutcomeUnknown):
        send(microsoft, action)

    if cmdlet.startswith("Get"):
        assert acts(simulator) == []
    else:
        assert found(microsoft, action).state is RemoteState.SUCCEEDED
        assert acts(simulator) == ["New-TenantAllowBlockListItems"]


def test_forwarding_goes_off_outside_only_and_comes_back_byte_for_byte(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    before = mailbox(
        simulator,
        ForwardingSmtpAddress="smtp:Thief@evil.example",
        DeliverToMailboxAndForward=True,
        rules=[
            rule("on"),
            rule("off", isEnabled=False),
            rule("inside", actions={"forwardTo": [INSIDE]}),
            rule("redirects=/+", actions={"redirectTo": [INSIDE, OUTSIDE], "delete": True}),
        ],
    )

    action, receipt = turn_off(microsoft)

    assert receipt.state is RemoteState.PENDING
    off = mailbox_of(simulator)
    assert (off["ForwardingSmtpAddress"], off["ForwardingAddress"], off["DeliverToMailboxAndForward"]) == (
        None,
        None,
        False,
    )
    assert {rule["id"]: rule["isEnabled"] for rule in off["rules"]} == {
        "on": False,
        "off": False,
        "inside": True,
        "redirects=/+": False,
    }
    assert found(microsoft, replace(action, remote_id=ADA)).detail == "Nothing is forwarded outside any more"
    back = restore(action)
    assert microsoft.look_up([back]) == LookUp({})
    assert send(microsoft, back).state is RemoteState.PENDING
    assert mailbox_of(simulator) == before
    assert found(microsoft, back).state is RemoteState.SUCCEEDED


@pytest.mark.parametrize(("address", "is_outside"), [("Thief, external", True), ("bob", False)])
def test_a_recipient_of_the_directory_counts_by_where_its_mail_goes(
    microsoft: Microsoft, simulator: Simulator, address: str, is_outside: bool
) -> None:
    simulator.seed(contacts=[{"name": "Thief, external", "address": "thief@evil.example"}])
    before = mailbox(simulator, ForwardingAddress=address, ForwardingSmtpAddress="smtp:thief@evil.example")

    action, _ = turn_off(microsoft)

    assert action.findings is not None
    assert ("ForwardingAddress" in action.findings["mailbox"]) is is_outside
    off = mailbox_of(simulator)
    assert off["ForwardingSmtpAddress"] is None
    assert off["ForwardingAddress"] == (None if is_outside else address)
    send(microsoft, restore(action))
    assert mailbox_of(simulator) == before


def test_a_mailbox_that_forwards_nowhere_is_done_at_once(microsoft: Microsoft, simulator: Simulator) -> None:
    mailbox(simulator, ForwardingAddress="bob", rules=[rule("off", isEnabled=False)])

    action, receipt = turn_off(microsoft)

    assert (receipt.state, receipt.detail) == (
        RemoteState.SUCCEEDED,
        "There was none: nothing was forwarded outside",
    )
    assert acts(simulator) == []
    assert found(microsoft, action).detail == receipt.detail


def test_a_rule_that_cannot_be_changed_is_named_and_the_rest_is_off(microsoft: Microsoft, simulator: Simulator) -> None:
    mailbox(simulator, rules=[rule("fixed", isReadOnly=True), rule("faulty", hasError=True), rule("on")])

    action, _ = turn_off(microsoft)

    receipt = found(microsoft, replace(action, remote_id=ADA))
    assert receipt.state is RemoteState.FAILED
    assert "rule fixed" in receipt.detail
    assert "rule faulty" in receipt.detail
    assert [row["isEnabled"] for row in mailbox_of(simulator)["rules"]] == [True, True, False]


def test_a_rule_made_meanwhile_is_named_and_not_touched(microsoft: Microsoft, simulator: Simulator) -> None:
    mailbox(simulator, rules=[rule("on")])
    action, _ = turn_off(microsoft)
    mailbox(simulator, rules=[rule("new")])

    accepted = replace(action, remote_id=ADA)

    assert found(microsoft, accepted).state is RemoteState.IN_PROGRESS
    late = found(microsoft, replace(accepted, sent_at=datetime.now(UTC) - timedelta(hours=1)))
    assert late.state is RemoteState.FAILED
    assert "rule new" in late.detail


@pytest.mark.parametrize("place", ["#Set-Mailbox", "messageRules/one"])
def test_a_lost_answer_underway_is_a_doubt_and_doing_it_again_ends_it(
    microsoft: Microsoft, simulator: Simulator, place: str
) -> None:
    before = mailbox(simulator, ForwardingSmtpAddress="smtp:thief@evil.example", rules=[rule("one"), rule("two")])
    action = request("turn_off_forwarding", mailbox=ADA)
    action = replace(action, findings=microsoft.prepare(action))
    simulator.fault(kind="reset_after_accepting", path=place, method=None, count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, action)

    assert microsoft.look_up([action]) == LookUp({})
    assert send(microsoft, action).state is RemoteState.PENDING
    assert found(microsoft, action).state is RemoteState.SUCCEEDED
    send(microsoft, restore(action))
    assert mailbox_of(simulator) == before


def test_a_rule_deleted_since_is_named_by_the_restore(microsoft: Microsoft, simulator: Simulator) -> None:
    mailbox(simulator, rules=[rule("one"), rule("two")])
    action, _ = turn_off(microsoft)
    assert action.findings is not None
    gone = {**action.findings["rules"][0], "id": "gone", "displayName": "gone"}
    back = restore(replace(action, findings={**action.findings, "rules": [gone, *action.findings["rules"]]}))

    assert send(microsoft, back).state is RemoteState.FAILED
    receipt = found(microsoft, replace(back, remote_id=ADA))
    assert (receipt.state, "“gone” (deleted)" in receipt.detail) == (RemoteState.FAILED, True)
    assert [row["isEnabled"] for row in mailbox_of(simulator)["rules"]] == [True, True]


def test_an_unknown_mailbox_and_a_missing_former_setting_are_refused(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    mailbox(simulator)

    with pytest.raises(Refused, match="couldn't be found"):
        microsoft.prepare(request("turn_off_forwarding", mailbox="nobody@x.example"))
    for unprepared in (
        request("turn_off_forwarding", mailbox=ADA),
        request("restore_forwarding", mailbox=ADA, former={}),
    ):
        with pytest.raises(Refused, match="former setting"):
            send(microsoft, unprepared)
    assert microsoft.prepare(request("block_url", url="bad.example")) is None
    assert acts(simulator) == []


def test_mail_goes_into_quarantine_where_the_tenant_has_that_and_is_released(simulator: Simulator) -> None:
    simulator.seed(capabilities=["move_to_quarantine"])
    settings = replace(simulator.settings, capabilities=frozenset({"move_to_quarantine"}))
    microsoft = Microsoft(settings, deadline_seconds=2)
    quarantine, release = request("quarantine_email", messages=MESSAGES), request("release_email", messages=MESSAGES)

    with pytest.raises(Refused, match="in quarantine"):
        send(microsoft, release)
    accepted = replace(quarantine, remote_id=send(microsoft, quarantine).remote_id)
    assert await_end(microsoft, accepted).detail == "2 of 2 messages in quarantine"
    assert microsoft.look_up([release]) == LookUp({})
    freed = replace(release, remote_id=send(microsoft, release).remote_id)
    assert found(microsoft, freed).state is RemoteState.IN_PROGRESS
    assert await_end(microsoft, freed).detail == "2 of 2 messages released"
    assert {row["location"] for row in truth(simulator)["emails"]} == {"inbox_folder"}
    assert send(microsoft, release).state is RemoteState.PENDING
    assert acts(simulator).count("Release-QuarantineMessage") == 2


def test_a_release_without_an_answer_is_found(microsoft: Microsoft, simulator: Simulator) -> None:
    in_quarantine = {"latestDelivery": {"action": "blocked", "location": "quarantine"}}
    simulator.seed(emails=[{"networkMessageId": "m-1", "recipientEmailAddress": ADA, **in_quarantine}])
    action = request("release_email", messages=[{"network_message_id": "m-1", "recipient": ADA}])
    simulator.fault(kind="reset_after_accepting", path="#Release", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, action)

    assert await_end(microsoft, action).state is RemoteState.SUCCEEDED


def test_quarantine_is_not_asked_for_where_it_is_not_offered(microsoft: Microsoft, simulator: Simulator) -> None:
    action = request("quarantine_email", messages=MESSAGES)
    having = replace(simulator.settings, capabilities=frozenset({"move_to_quarantine"}))

    with pytest.raises(Refused, match="move_to_quarantine"):
        send(microsoft, action)
    with pytest.raises(Refused, match="not supported at present"):
        send(Microsoft(having, deadline_seconds=2), action)
    assert simulator.accepted() == []


def test_a_hundred_messages_end_with_the_reasons(microsoft: Microsoft, simulator: Simulator) -> None:
    on_premises = {"latestDelivery": {"action": "delivered", "location": "onprem_external"}}
    simulator.seed(
        emails=[
            {"networkMessageId": f"c-{n}", "recipientEmailAddress": f"p{n}@x.example", **(on_premises if n < 3 else {})}
            for n in range(100)
        ]
    )
    messages = [{"network_message_id": f"c-{n}", "recipient": f"p{n}@x.example"} for n in range(100)]
    action = request("soft_delete_email", messages=messages)

    ended = await_end(microsoft, replace(action, remote_id=send(microsoft, action).remote_id))

    assert ended.state is RemoteState.FAILED
    assert ended.detail == "97 of 100 messages deleted; out of reach: 3 on premises or outside"
