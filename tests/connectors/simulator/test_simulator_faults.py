"""Each fault does what it says, to the tenant it is meant for, as often as it is meant to."""

import json
import socket
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest


@pytest.mark.parametrize("retry_after", ["7", "2.5", None])
def test_throttled_calls_are_not_accepted(acme, globex, retry_after):
    acme.fault("throttle", count=1, retry_after=retry_after)
    assert globex.act("isolate").status_code == 201
    struck = acme.act("isolate", ExternalId="a")
    assert (struck.status_code, struck.json()["error"]["code"]) == (429, "TooManyRequests")
    assert struck.headers.get("retry-after") == retry_after
    assert acme.actions() == []
    assert acme.act("isolate", ExternalId="a").status_code == 201
    assert [(entry["accepted"], entry["status"]) for entry in acme.log(external_id="a")] == [(False, 429), (True, 201)]


def test_retry_after_can_be_a_date(acme):
    acme.fault("throttle", count=1, retry_after="date", seconds=60)
    ahead = parsedate_to_datetime(acme.act("isolate").headers["retry-after"]).timestamp() - time.time()
    assert 50 < ahead <= 61


def test_a_server_error_is_not_accepted_and_ends_when_deleted(acme, simulator):
    fault = acme.fault("server_error", path="/isolate")
    assert [acme.act("isolate").status_code for _ in range(2)] == [503, 503]
    assert acme.act("unisolate").status_code == 201
    [shown] = simulator.admin.get("/_simulator/faults").json()["faults"]
    assert shown["struck"] == 2
    assert simulator.admin.delete(f"/_simulator/faults/{fault['id']}").json() == {"removed": 1}
    assert acme.act("isolate").status_code == 201


def test_a_stalled_call_is_held_before_anything_happens_and_carried_out_later(acme):
    acme.fault("stall", count=1, seconds=0.5)
    url = f"/api/machines/{acme.machines[0]}/isolate"
    with pytest.raises(httpx.ReadTimeout):
        acme.defender.post(url, json={"Comment": "slow"}, timeout=0.2)
    assert acme.log() == []
    assert acme.actions() == []
    time.sleep(0.6)
    assert [entry["accepted"] for entry in acme.log()] == [True]
    assert len(acme.actions()) == 1


def test_a_late_answer_comes_after_the_work_was_accepted(acme):
    acme.fault("answer_late", count=1, seconds=5)
    url = f"/api/machines/{acme.machines[0]}/isolate"
    with pytest.raises(httpx.ReadTimeout):
        acme.defender.post(url, json={"Comment": "late"}, timeout=0.2)
    assert [entry["accepted"] for entry in acme.log()] == [True]
    assert len(acme.actions()) == 1


def test_a_reset_cuts_the_connection_after_accepting(acme):
    acme.fault("reset_after_accepting", count=1)
    with pytest.raises(httpx.ReadError) as caught:
        acme.act("isolate", ExternalId="cut")
    assert "reset" in str(caught.value).lower()
    [entry] = acme.log(external_id="cut")
    assert (entry["accepted"], entry["status"]) == (True, 201)
    assert [row["id"] for row in acme.actions()] == [entry["remote_id"]]


def test_hidden_actions_show_only_later_but_are_active_at_once(acme):
    acme.fault("hide", count=1, seconds=0.6)
    hidden = acme.act("isolate").json()["id"]
    assert acme.actions() == []
    assert acme.defender.get(f"/api/machineactions/{hidden}").status_code == 404
    assert acme.act("isolate").json()["error"]["code"] == "ActiveRequestAlreadyExists"
    time.sleep(0.7)
    assert [row["id"] for row in acme.actions()] == [hidden]


def test_hidden_mail_changes_are_true_before_they_show(acme, after_action):
    acme.fault("hide", count=1, seconds=0.8)
    acme.remediate("mail-1", "softDelete")
    after_action()
    assert acme.truth()["emails"][0]["location"] == "others"
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "inbox_folder"
    time.sleep(0.8)
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "others"


def test_an_answer_can_come_twice_on_one_connection(simulator, acme):
    acme.fault("answer_twice", count=1)
    body = json.dumps({"Comment": "twice", "ExternalId": "t"})
    request = (
        f"POST /api/machines/{acme.machines[0]}/isolate HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {acme.defender.headers['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    address = httpx.URL(simulator.url)
    with (
        socket.create_connection((address.host, address.port), timeout=5) as plain,
        simulator.tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(request.encode())
        connection.settimeout(0.5)
        received = b""
        with pytest.raises(TimeoutError):
            while chunk := connection.recv(65536):
                received += chunk
    answers = received.split(b"HTTP/1.1 201 Created\r\n")
    assert [len(answers), answers[0]] == [3, b""]
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers[1:]]
    assert bodies[0] == bodies[1] == bodies[0].strip()
    assert len(acme.log(external_id="t")) == 1
    assert len(acme.actions()) == 1


def test_expired_tokens_are_refused_until_a_new_one_is_made(simulator, acme):
    acme.fault("expire_tokens")
    assert [acme.defender.get("/api/machines").status_code for _ in range(2)] == [401, 401]
    assert acme.act("isolate").status_code == 401
    assert acme.log() == []
    with simulator.client(acme.id, "https://api.securitycenter.microsoft.com") as renewed:
        assert renewed.get("/api/machines").status_code == 200


def test_a_truncated_answer_is_half_the_json(acme):
    acme.fault("truncate", count=2)
    answer = acme.act("isolate")
    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    with pytest.raises(json.JSONDecodeError):
        acme.defender.get("/api/machineactions").json()
    assert len(acme.actions()) == 1


def test_the_login_is_struck_only_by_a_fault_that_names_it(simulator, acme):
    acme.fault("throttle")
    assert simulator.ask_token(acme.id).status_code == 200
    acme.fault("throttle", path="/oauth2/", count=1)
    assert simulator.ask_token(acme.id).status_code == 429
    assert simulator.ask_token(acme.id).status_code == 200


@pytest.mark.parametrize(
    "wish",
    [{"kind": "explode"}, {"kind": "stall"}, {"kind": "hide", "seconds": -1}, {"kind": "throttle", "tenent": "x"}],
)
def test_a_fault_it_does_not_understand_is_refused(simulator, wish):
    answer = simulator.admin.post("/_simulator/faults", json=wish)
    assert answer.status_code == 400
    assert simulator.admin.get("/_simulator/faults").json() == {"faults": []}
