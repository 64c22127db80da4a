"""Alerts classified: in which words, what counts as done, and what is said of answers about something else."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.microsoft.connector import Microsoft
from connectors.microsoft.words import DETERMINATIONS, plain_word
from connectors.protocol import ActionRequest, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState
from tests.connectors.microsoft.conftest import Simulator

ALERT = "da639058112345678901_-201174455"


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("TruePositive", "truePositive"),
        ("Informational, expected activity", "unknown-to-us"),
        ("InformationalExpectedActivity", "informationalExpectedActivity"),
        ("CompromisedUser", "compromisedAccount"),
        ("ConfirmedUserActivity", "confirmedActivity"),
        ("Clean", "notMalicious"),
        ("InsufficientData", "notEnoughDataToValidate"),
        ("NoEnoughDataToValidate", "notEnoughDataToValidate"),
        ("MULTISTAGEDATTACK", "multiStagedAttack"),
        ("NotAvailable", "unknown"),
        ("Apt", "apt"),
        (None, "unknown"),
        ("somethingNew", "somethingNew"),
    ],
)
def test_every_spelling_is_read_as_one_word(written: str | None, word: str) -> None:
    assert plain_word(written) == ("informationalExpectedActivity" if word == "unknown-to-us" else word)


@pytest.fixture
def seeded(simulator: Simulator) -> Simulator:
    simulator.seed(alerts=[{"id": ALERT}])
    return simulator


@pytest.fixture
def microsoft(seeded: Simulator) -> Microsoft:
    return Microsoft(seeded.settings, deadline_seconds=3)


def request(classification: str = "falsePositive", determination: str = "notMalicious", **more: Any) -> ActionRequest:
    parameters = {"alert_id": ALERT, "classification": classification, "determination": determination, **more}
    return ActionRequest(uuid4(), "classify_alert", "", parameters, "FP", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.send(action, before_sending=lambda: None)


def told(simulator: Simulator) -> list[str]:
    """Status, classification and determination as they are at the simulator."""
    url = f"{simulator.url}/_simulator/tenants/{simulator.tenant_id}"
    found: list[str] = httpx.get(url, verify=simulator.trust).json()["classifications"][ALERT]
    return found


@pytest.mark.process
@pytest.mark.parametrize(
    ("classification", "determination"), [(each, word) for each, words in DETERMINATIONS.items() for word in words]
)
def test_every_pair_is_set_and_found_again(
    microsoft: Microsoft, seeded: Simulator, classification: str, determination: str
) -> None:
    asked = request(classification, determination)
    assert microsoft.look_up([asked]) == LookUp({})

    receipt = send(microsoft, asked)

    status = "resolved" if classification == "falsePositive" else "new"
    assert told(seeded) == [status, classification, determination]
    assert receipt == Receipt(ALERT, RemoteState.SUCCEEDED, f"Graph: {classification}, {determination}, {status}")
    assert microsoft.look_up([asked]) == LookUp({asked.action_id: receipt})


@pytest.mark.process
def test_a_lost_answer_is_found_again(microsoft: Microsoft, seeded: Simulator) -> None:
    asked = request()
    seeded.fault(kind="reset_after_accepting", path="alerts_v2", method="PATCH", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, asked)

    assert microsoft.look_up([asked]).found[asked.action_id].state is RemoteState.SUCCEEDED


@pytest.mark.process
@pytest.mark.parametrize("kind", ["about_another", "truncate", "html", "error_in_success"])
def test_an_answer_that_does_not_show_it_is_in_doubt(microsoft: Microsoft, seeded: Simulator, kind: str) -> None:
    seeded.fault(kind=kind, path="alerts_v2", method="PATCH")

    with pytest.raises(OutcomeUnknown):
        send(microsoft, request())


@pytest.mark.process
def test_an_alert_of_another_tenant_answers_nothing(microsoft: Microsoft, seeded: Simulator) -> None:
    asked = request()
    send(microsoft, asked)
    seeded.fault(kind="about_another", path="alerts_v2", method="GET")

    assert microsoft.look_up([asked]) == LookUp({}, frozenset({asked.action_id}))


@pytest.mark.process
@pytest.mark.parametrize(
    "wrong",
    [
        lambda: request("falsePositive", "malware"),
        lambda: request("truePositive", "apt"),
        lambda: request("unknown", "other"),
        lambda: request(alert_id=""),
        lambda: request(alert_id=".."),
    ],
)
def test_what_makes_no_sense_is_refused_at_home(
    microsoft: Microsoft, seeded: Simulator, wrong: Callable[[], ActionRequest]
) -> None:
    with pytest.raises(Refused) as caught:
        send(microsoft, wrong())

    assert caught.value.code == "InvalidInput"
    assert seeded.accepted() == []


@pytest.mark.process
def test_an_alert_that_is_gone_is_refused_and_absent(microsoft: Microsoft) -> None:
    asked = request(alert_id="da1_2/../x")

    with pytest.raises(Refused, match="404"):
        send(microsoft, asked)
    assert microsoft.look_up([asked]) == LookUp({})
