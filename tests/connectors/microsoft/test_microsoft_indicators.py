"""Indicators: set, found again, taken back, and never over somebody else's decision."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.microsoft import indicators
from connectors.microsoft.connector import Microsoft
from connectors.microsoft.http import Api
from connectors.protocol import WAS_THERE, ActionRequest, LookUp, NotSent, OutcomeUnknown, Receipt, Refused, RemoteState
from tests.connectors.microsoft.conftest import Simulator, Wire, http

pytestmark = pytest.mark.process

SHA1 = "5e0f7a1b9c3d4826e7f81209ab34cd56ef781290"
THEIRS = {"indicatorValue": SHA1, "indicatorType": "FileSha1", "action": "Block", "createdBy": "pat@fabrikam.example"}


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=3)


def request(action_type: str, kind: str = "FileSha1", value: str = SHA1, **more: Any) -> ActionRequest:
    parameters = {"indicator_type": kind, "value": value, **more}
    return ActionRequest(uuid4(), action_type, "", parameters, "FP INC-5512", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.send(action, before_sending=lambda: None)


def there(simulator: Simulator) -> list[dict[str, Any]]:
    """What is true at the simulator."""
    url = f"{simulator.url}/_simulator/tenants/{simulator.tenant_id}"
    found: list[dict[str, Any]] = httpx.get(url, verify=simulator.trust).json()["indicators"]
    return found


@pytest.mark.parametrize(
    ("action_type", "kind", "value", "action"),
    [
        ("allow_indicator", "FileSha1", SHA1, "Allowed"),
        ("block_indicator", "FileSha1", SHA1.upper(), "BlockAndRemediate"),
        ("block_indicator", "FileSha256", "ab" * 32, "BlockAndRemediate"),
        ("block_indicator", "CertificateThumbprint", SHA1, "Block"),
        ("block_indicator", "IpAddress", "198.51.100.7", "Block"),
        ("block_indicator", "IpAddress", "2001:db8::7", "Block"),
        ("block_indicator", "DomainName", "evil.example", "Block"),
        ("allow_indicator", "Url", "https://good.example/it's?a=b", "Allowed"),
    ],
)
def test_each_kind_is_set_once_and_found_again(
    microsoft: Microsoft, simulator: Simulator, action_type: str, kind: str, value: str, action: str
) -> None:
    asked = request(action_type, kind, value, days=90)

    receipt = send(microsoft, asked)

    [made] = there(simulator)
    ends = datetime.now(UTC) + timedelta(days=90)
    assert (receipt.remote_id, receipt.state) == (made["id"], RemoteState.SUCCEEDED)
    assert (made["indicatorValue"], made["indicatorType"], made["action"]) == (value, kind, action)
    assert made["expirationTime"].startswith(f"{ends:%Y-%m-%d}")
    assert made["application"] == "Quell"
    assert f"[{asked.action_id}]" in made["description"]
    assert made["rbacGroupNames"] == []
    assert microsoft.look_up([asked]) == LookUp({asked.action_id: receipt})
    assert [entry["external_id"] for entry in simulator.accepted()] == [str(asked.action_id)]


def test_without_days_it_stays_until_it_is_removed(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request("allow_indicator"))

    assert [row["expirationTime"] for row in there(simulator)] == [None]


def test_a_lost_answer_is_found_again(microsoft: Microsoft, simulator: Simulator) -> None:
    asked = request("block_indicator")
    simulator.fault(kind="reset_after_accepting", path="/api/indicators", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, asked)

    assert microsoft.look_up([asked]).found[asked.action_id].remote_id == there(simulator)[0]["id"]


def test_one_that_never_arrived_is_absent(microsoft: Microsoft) -> None:
    assert microsoft.look_up([request("allow_indicator")]) == LookUp({})


def test_what_somebody_else_decided_otherwise_stays(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(indicators=[THEIRS])
    before = there(simulator)
    asked = request("allow_indicator", value=SHA1.upper())

    with pytest.raises(Refused, match=r"Block.*made by pat@fabrikam.example.*Remove it first") as caught:
        send(microsoft, asked)

    assert caught.value.code == "OppositeIndicator"
    assert there(simulator) == before
    assert microsoft.look_up([asked]) == LookUp({})


def test_what_somebody_else_decided_alike_stays_and_counts(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(indicators=[THEIRS])
    before = there(simulator)

    receipt = send(microsoft, request("block_indicator"))

    assert "made by pat@fabrikam.example, and was left as it is" in receipt.detail
    assert WAS_THERE in (receipt.data or {})
    assert there(simulator) == before


def test_what_somebody_else_decided_for_some_devices_is_no_rule_for_all(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    simulator.seed(indicators=[{**THEIRS, "rbacGroupNames": ["Finance laptops"]}])
    before = there(simulator)
    asked = request("block_indicator")

    with pytest.raises(Refused, match="Finance laptops"):
        send(microsoft, asked)

    assert there(simulator) == before
    assert microsoft.look_up([asked]) == LookUp({})


def test_ours_can_be_turned_round(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request("block_indicator"))
    send(microsoft, request("allow_indicator"))

    assert [row["action"] for row in there(simulator)] == ["Allowed"]


def test_a_removal_ends_it_and_a_second_one_finds_it_gone(microsoft: Microsoft, simulator: Simulator) -> None:
    made = send(microsoft, request("allow_indicator"))
    removal = request("remove_indicator")
    assert microsoft.look_up([removal]) == LookUp({})

    removed = send(microsoft, removal)

    assert (removed.remote_id, removed.detail) == (made.remote_id, "Defender: Allowed removed")
    assert there(simulator) == []
    assert send(microsoft, request("remove_indicator")).state is RemoteState.SUCCEEDED
    assert microsoft.look_up([removal]).found[removal.action_id].state is RemoteState.SUCCEEDED


def test_removing_somebody_elses_says_whose_it_was(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(indicators=[THEIRS])

    assert "it was made by pat@fabrikam.example" in send(microsoft, request("remove_indicator")).detail


def test_a_lost_answer_to_a_removal_is_found_done(microsoft: Microsoft, simulator: Simulator) -> None:
    made = send(microsoft, request("allow_indicator"))
    removal = request("remove_indicator")
    simulator.fault(kind="reset_after_accepting", path="/api/indicators", method="DELETE", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, removal)

    known = replace(removal, remote_id=made.remote_id)
    assert microsoft.look_up([known]).found[removal.action_id].remote_id == made.remote_id


def test_one_that_somebody_else_removes_meanwhile_is_gone(api: Api, wire: Wire) -> None:
    there = {"id": "7", "indicatorValue": SHA1, "indicatorType": "FileSha1", "action": "Allowed"}

    def script(out: socket.socket, asked: bytes) -> None:
        missing = {"error": {"code": "ResourceNotFound", "message": "gone"}}
        out.sendall(http(404, missing) if asked.startswith(b"DELETE") else http(200, {"value": [there]}))

    wire.script = script

    receipt = indicators.send(api, request("remove_indicator"), before_sending=lambda: None)

    assert (receipt.remote_id, receipt.state) == ("7", RemoteState.SUCCEEDED)
    assert wire.requests[-1].startswith(b"DELETE /api/indicators/7 HTTP")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("FileSha1", "abc"), ("FileMd5", "a" * 32), ("IpAddress", "10.0.0.0/8"), ("DomainName", "no domain"), ("", "x")],
)
def test_what_makes_no_sense_is_refused_at_home(
    microsoft: Microsoft, simulator: Simulator, kind: str, value: str
) -> None:
    with pytest.raises(Refused) as caught:
        send(microsoft, request("allow_indicator", kind, value))

    assert caught.value.code == "InvalidInput"
    assert simulator.accepted() == []


def test_a_read_that_breaks_off_before_the_post_is_not_sent(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.fault(kind="truncate", path="/api/indicators", method="GET")

    with pytest.raises(NotSent):
        send(microsoft, request("allow_indicator"))
    assert there(simulator) == []


def test_an_answer_about_another_indicator_is_in_doubt(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.fault(kind="about_another", path="/api/indicators", method="POST")

    with pytest.raises(OutcomeUnknown, match="another indicator"):
        send(microsoft, request("allow_indicator"))


def test_a_list_about_other_indicators_answers_nothing(microsoft: Microsoft, simulator: Simulator) -> None:
    asked = request("allow_indicator")
    send(microsoft, asked)
    simulator.fault(kind="about_another", path="/api/indicators", method="GET")

    assert microsoft.look_up([asked]) == LookUp({}, frozenset({asked.action_id}))


def test_an_undo_takes_back_its_own_and_nobody_elses(microsoft: Microsoft, simulator: Simulator) -> None:
    blocked = request("block_indicator")
    send(microsoft, blocked)
    simulator.seed(indicators=[{**THEIRS, "title": "Ransomware of INC-7", "description": "Keep"}])
    before = there(simulator)
    undo = replace(request("remove_indicator"), undoes=blocked.action_id)

    with pytest.raises(Refused, match=r"not what Quell put there.*made by .*Ransomware of INC-7") as caught:
        send(microsoft, undo)

    assert (caught.value.code, there(simulator)) == ("NotOurs", before)
    send(microsoft, request("remove_indicator"))
    assert there(simulator) == []
    again = request("block_indicator")
    send(microsoft, again)
    assert send(microsoft, replace(undo, undoes=again.action_id)).detail == "Defender: BlockAndRemediate removed"
    simulator.seed(indicators=[THEIRS])
    with pytest.raises(Refused, match="made by pat@fabrikam.example"):
        send(microsoft, undo)
