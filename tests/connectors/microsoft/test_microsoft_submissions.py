"""Submissions: a message found in its mailbox, a URL as it is, each once."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import ActionRequest, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState, Throttled
from tests.connectors.microsoft.conftest import Simulator

pytestmark = pytest.mark.process

MESSAGE = {"network_message_id": str(UUID(int=1)), "recipient": "Ada@x.example"}


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=3)


def request(action_type: str = "submit_email", category: str = "notJunk", **parameters: Any) -> ActionRequest:
    about = {"messages": [MESSAGE]} if action_type == "submit_email" else {"url": "good.example/page"}
    given = {**about, "category": category, **parameters}
    return ActionRequest(uuid4(), action_type, "", given, "FP", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.send(action, before_sending=lambda: None)


def bodies(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry["body"] for entry in simulator.accepted()]


@pytest.mark.parametrize("action_type", ["submit_email", "submit_url"])
def test_each_kind_goes_through_once_and_is_read_to_its_end(
    microsoft: Microsoft, simulator: Simulator, action_type: str
) -> None:
    asked = request(action_type)

    receipt = send(microsoft, asked)

    assert receipt.state is RemoteState.PENDING
    known = replace(asked, remote_id=receipt.remote_id)
    assert microsoft.look_up([known]).found[asked.action_id].remote_id == receipt.remote_id
    time.sleep(0.5)
    ended = microsoft.look_up([known]).found[asked.action_id]
    assert (ended.state, ended.detail) == (RemoteState.SUCCEEDED, "Microsoft: succeeded (notJunk, none)")
    assert len(simulator.accepted()) == 1


def test_a_message_is_named_by_its_place_in_the_mailbox(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request())

    [body] = bodies(simulator)
    assert body["messageUrl"].startswith(f"{simulator.url}/beta/users/Ada@x.example/messages/")
    assert {name: value for name, value in body.items() if name != "messageUrl"} == {
        "@odata.type": "#microsoft.graph.security.emailUrlThreatSubmission",
        "category": "notJunk",
        "recipientEmailAddress": "Ada@x.example",
    }


def test_a_url_gets_a_scheme_if_it_has_none(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request("submit_url", "phishing"))
    send(microsoft, request("submit_url", "phishing", url="https://evil.example/?a=b"))

    assert [body["webUrl"] for body in bodies(simulator)] == ["http://good.example/page", "https://evil.example/?a=b"]


@pytest.mark.parametrize("action_type", ["submit_email", "submit_url"])
def test_a_lost_answer_is_found_again_by_what_it_is_about(
    microsoft: Microsoft, simulator: Simulator, action_type: str
) -> None:
    asked = request(action_type)
    assert microsoft.look_up([asked]) == LookUp({})
    simulator.fault(kind="reset_after_accepting", path="threatSubmission", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, asked)

    assert asked.action_id in microsoft.look_up([asked]).found
    other = replace(asked, action_id=uuid4(), parameters={**asked.parameters, "category": "malware"})
    assert microsoft.look_up([other]) == LookUp({})


def test_the_same_message_twice_is_too_soon(microsoft: Microsoft) -> None:
    send(microsoft, request())

    with pytest.raises(Throttled, match="once in 15 minutes") as caught:
        send(microsoft, request())
    assert caught.value.retry_after is not None
    assert 890 < caught.value.retry_after <= 900


def test_a_message_that_vanished_is_refused(microsoft: Microsoft, simulator: Simulator) -> None:
    gone = {"networkMessageId": str(UUID(int=1)), "recipientEmailAddress": "ada@x.example"}
    simulator.seed(emails=[{**gone, "latestDelivery": {"location": "others"}}])

    with pytest.raises(Refused, match="no longer in the mailbox"):
        send(microsoft, request())
    with pytest.raises(Refused, match="does not list the message"):
        send(microsoft, request(messages=[{**MESSAGE, "network_message_id": str(UUID(int=9))}]))
    assert simulator.accepted() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [MESSAGE, MESSAGE]},
        {"messages": [{"network_message_id": "x"}]},
        {"category": "notSpam"},
        {"action_type": "submit_url", "url": "javascript: alert(1)"},
        {"action_type": "submit_url", "url": ""},
    ],
)
def test_what_makes_no_sense_is_refused_at_home(
    microsoft: Microsoft, simulator: Simulator, wrong: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as caught:
        send(microsoft, request(**wrong))

    assert caught.value.code == "InvalidInput"
    assert simulator.accepted() == []


@pytest.mark.parametrize("kind", ["about_another", "truncate", "html", "error_in_success"])
def test_an_answer_that_is_no_submission_of_ours_is_in_doubt(
    microsoft: Microsoft, simulator: Simulator, kind: str
) -> None:
    simulator.fault(kind=kind, path="threatSubmission", method="POST")

    with pytest.raises(OutcomeUnknown):
        send(microsoft, request())
