"""Each fault does what it says, to the tenant it is meant for, as often as it is meant to."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process


def read_all(connection: socket.socket) -> bytes:
    """Everything that arrives until the other side ends or is quiet."""
    received = b""
    with contextlib.suppress(TimeoutError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize("retry_after", ["7", "2.5", None])
def test_throttled_calls_are_not_accepted(acme: Company, globex: Company, retry_after: str | None) -> None:
    acme.fault("throttle", count=1, retry_after=retry_after)
    assert globex.act("isolate").status_code == 201
    struck = acme.act("isolate", ExternalId="a")
    assert (struck.status_code, struck.json()["error"]["code"]) == (429, "TooManyRequests")
    assert struck.headers.get("retry-after") == retry_after
    assert acme.actions() == []
    assert acme.act("isolate", ExternalId="a").status_code == 201
    assert [(entry["accepted"], entry["status"]) for entry in acme.log(external_id="a")] == [(False, 429), (True, 201)]


def test_retry_after_can_be_a_date(acme: Company) -> None:
    acme.fault("throttle", count=1, retry_after="date", seconds=60)
    ahead = parsedate_to_datetime(acme.act("isolate").headers["retry-after"]).timestamp() - time.time()
    assert 50 < ahead <= 61


def test_a_server_error_is_not_accepted_and_ends_when_deleted(acme: Company, simulator: RunningSimulator) -> None:
    fault = acme.fault("server_error", path="/isolate")
    assert [acme.act("isolate").status_code for _ in range(2)] == [503, 503]
    assert acme.act("unisolate").status_code == 201
    [shown] = simulator.admin.get("/_simulator/faults").json()["faults"]
    assert shown["struck"] == 2
    assert simulator.admin.delete(f"/_simulator/faults/{fault['id']}").json() == {"removed": 1}
    assert acme.act("isolate").status_code == 201


def test_a_stalled_call_is_held_before_anything_happens_and_carried_out_later(acme: Company) -> None:
    acme.fault("stall", count=1, seconds=1)
    url = f"/api/machines/{acme.machines[0]}/isolate"
    with pytest.raises(httpx.ReadTimeout):
        acme.defender.post(url, json={"Comment": "slow"}, timeout=0.2)
    assert acme.log() == []
    assert acme.actions() == []
    time.sleep(1.1)
    assert [entry["accepted"] for entry in acme.log()] == [True]
    assert len(acme.actions()) == 1


def test_a_late_answer_comes_after_the_work_was_accepted(acme: Company) -> None:
    acme.fault("answer_late", count=1, seconds=5)
    url = f"/api/machines/{acme.machines[0]}/isolate"
    with pytest.raises(httpx.ReadTimeout):
        acme.defender.post(url, json={"Comment": "late"}, timeout=0.2)
    assert [entry["accepted"] for entry in acme.log()] == [True]
    assert len(acme.actions()) == 1


def test_a_reset_cuts_the_connection_after_accepting(acme: Company) -> None:
    acme.fault("reset_after_accepting", count=1)
    with (
        acme.raw_act("isolate", ExternalId="cut") as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as below_tls,  # TLS reports a reset as a plain end
    ):
        below_tls.settimeout(5)
        with pytest.raises(ConnectionResetError):
            read_all(below_tls)
    [entry] = acme.log(external_id="cut")
    assert (entry["accepted"], entry["status"]) == (True, 201)
    assert [row["id"] for row in acme.actions()] == [entry["remote_id"]]


def test_hidden_actions_show_only_later_but_are_active_at_once(acme: Company) -> None:
    acme.slow_down(60)
    acme.fault("hide", count=1, seconds=1)
    hidden = acme.act("isolate").json()["id"]
    assert acme.actions() == []
    assert acme.defender.get(f"/api/machineactions/{hidden}").status_code == 404
    assert acme.act("isolate").json()["error"]["code"] == "ActiveRequestAlreadyExists"
    time.sleep(1)
    assert [row["id"] for row in acme.actions()] == [hidden]


def test_hidden_mail_changes_are_true_before_they_show(acme: Company, after_action: Callable[[], None]) -> None:
    acme.fault("hide", count=1, seconds=1)
    acme.remediate("mail-1", "softDelete")
    after_action()
    assert acme.truth()["emails"][0]["location"] == "others"
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "inbox_folder"
    time.sleep(1)
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "others"


def test_an_answer_can_come_twice_on_one_connection(acme: Company) -> None:
    acme.fault("answer_twice", count=1)
    with acme.raw_act("isolate", ExternalId="t") as connection:
        connection.settimeout(0.5)
        received = read_all(connection)
    nothing, first, second = received.split(b"HTTP/1.1 201 Created\r\n")
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in (first, second)]
    assert nothing == b""
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["externalId"] == "t"
    assert len(acme.log(external_id="t")) == 1
    assert len(acme.actions()) == 1


def test_expired_tokens_are_refused_until_a_new_one_is_made(simulator: RunningSimulator, acme: Company) -> None:
    acme.fault("expire_tokens")
    assert [acme.defender.get("/api/machines").status_code for _ in range(2)] == [401, 401]
    assert acme.act("isolate").status_code == 401
    assert acme.log() == []
    with simulator.client(acme.id, "https://api.securitycenter.microsoft.com") as renewed:
        assert renewed.get("/api/machines").status_code == 200


def test_a_truncated_answer_is_half_the_json(acme: Company) -> None:
    acme.fault("truncate", count=2)
    answer = acme.act("isolate")
    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    with pytest.raises(json.JSONDecodeError):
        acme.defender.get("/api/machineactions").json()
    assert len(acme.actions()) == 1


def test_the_login_is_struck_only_by_a_fault_that_names_it(simulator: RunningSimulator, acme: Company) -> None:
    acme.fault("throttle")
    assert simulator.ask_token(acme.id).status_code == 200
    acme.fault("throttle", path="/oauth2/", count=1)
    assert simulator.ask_token(acme.id).status_code == 429
    assert simulator.ask_token(acme.id).status_code == 200


@pytest.mark.parametrize(
    "wish",
    [{"kind": "explode"}, {"kind": "stall"}, {"kind": "hide", "seconds": -1}, {"kind": "throttle", "tenent": "x"}],
)
def test_a_fault_it_does_not_understand_is_refused(simulator: RunningSimulator, wish: dict[str, Any]) -> None:
    answer = simulator.admin.post("/_simulator/faults", json=wish)
    assert answer.status_code == 400
    assert simulator.admin.get("/_simulator/faults").json() == {"faults": []}
