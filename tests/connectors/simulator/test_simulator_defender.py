"""Machines and machine actions: what is accepted, what is refused, and that a double shows."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

SHA1 = "9c1e5f7a1b9c3d4826e7f81209ab34cd56ef7812"


@pytest.mark.parametrize(
    ("verb", "body", "status", "kind", "field", "value"),
    [
        ("isolate", {"IsolationType": "Selective"}, 201, "Isolate", "isolation", "Selective"),
        ("restrictCodeExecution", {}, 201, "RestrictCodeExecution", "restricted", True),
        ("runAntiVirusScan", {"ScanType": "Quick"}, 201, "RunAntiVirusScan", "scans", 1),
        ("StopAndQuarantineFile", {"Sha1": SHA1}, 201, "StopAndQuarantineFile", "quarantinedFiles", [SHA1]),
        ("offboard", {}, 200, "Offboard", "offboarded", True),
    ],
)
def test_an_action_is_pending_first_and_done_by_the_clock(
    acme: Company,
    after_action: Callable[[], None],
    verb: str,
    body: Any,
    status: int,
    kind: str,
    field: str,
    value: object,
) -> None:
    answer = acme.act(verb, ExternalId="quell-7", **body)
    assert answer.status_code == status
    accepted = answer.json()
    assert (accepted["type"], accepted["status"], accepted["externalId"]) == (kind, "Pending", "quell-7")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", accepted["creationDateTimeUtc"])
    after_action()
    assert acme.defender.get(f"/api/machineactions/{accepted['id']}").json()["status"] == "Succeeded"
    assert acme.truth()["machines"][0][field] == value


def test_an_unfinished_action_has_not_touched_the_machine(acme: Company) -> None:
    acme.slow_down(60)
    acme.act("isolate")
    [action] = acme.actions()
    assert (action["status"], acme.truth()["machines"][0]["isolation"]) == ("Pending", None)


@pytest.mark.parametrize(
    ("act", "undo", "field", "free"),
    [
        ("isolate", "unisolate", "isolation", None),
        ("restrictCodeExecution", "unrestrictCodeExecution", "restricted", False),
    ],
)
def test_the_inverse_frees_the_machine(
    acme: Company, after_action: Callable[[], None], act: str, undo: str, field: str, free: object
) -> None:
    acme.act(act)
    after_action()
    assert acme.truth()["machines"][0][field] != free
    assert acme.act(undo).status_code == 201
    after_action()
    assert acme.truth()["machines"][0][field] == free


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("isolate", {"IsolationType": "Full"}, "MissingRequiredParameter"),
        ("isolate", {"comment": "wrong case", "IsolationType": "Full"}, "MissingRequiredParameter"),
        ("isolate", {"Comment": " ", "IsolationType": "Full"}, "MissingRequiredParameter"),
        ("isolate", {"Comment": "c", "isolationType": "Full"}, "InvalidRequestBody"),
        ("isolate", {"Comment": "c", "IsolationType": "full"}, "InvalidInput"),
        ("runAntiVirusScan", {"Comment": "c"}, "MissingRequiredParameter"),
        ("runAntiVirusScan", {"Comment": "c", "ScanType": "Deep"}, "InvalidInput"),
        ("StopAndQuarantineFile", {"Comment": "c", "Sha1": "abc"}, "InvalidHashValue"),
        ("StopAndQuarantineFile", {"Comment": "c", "Sha1": SHA1 * 2}, "InvalidHashValue"),
        ("offboard", {}, "MissingRequiredParameter"),
        ("unisolate", ["Comment"], "InvalidRequestBody"),
    ],
)
def test_a_body_microsoft_would_not_take_is_refused(acme: Company, verb: str, body: Any, code: str) -> None:
    answer = acme.defender.post(f"/api/machines/{acme.machines[0]}/{verb}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert acme.actions() == []
    [entry] = acme.log()
    assert (entry["accepted"], entry["status"], entry["body"]) == (False, 400, body)


def test_what_linux_cannot_do_is_refused(acme: Company) -> None:
    answer = acme.act("offboard", machine=2)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "OsPlatformNotSupported")
    assert acme.act("isolate", machine=2).status_code == 201


def test_the_same_work_under_way_is_400_and_other_work_is_not(acme: Company) -> None:
    acme.slow_down(60)
    assert acme.act("StopAndQuarantineFile", Sha1=SHA1).status_code == 201
    again = acme.act("StopAndQuarantineFile", Sha1=SHA1.upper())
    assert (again.status_code, again.json()["error"]["code"]) == (400, "ActiveRequestAlreadyExists")
    assert acme.act("StopAndQuarantineFile", Sha1=SHA1[::-1]).status_code == 201
    assert acme.act("StopAndQuarantineFile", machine=1, Sha1=SHA1).status_code == 201
    assert acme.act("isolate").status_code == 201
    assert len(acme.actions()) == 4


def test_a_double_is_two_rows_and_two_lines(
    simulator: RunningSimulator, acme: Company, after_action: Callable[[], None]
) -> None:
    first = acme.act("isolate", ExternalId="quell-42")
    after_action()
    second = acme.act("isolate", ExternalId="quell-42")
    twins = [row["id"] for row in acme.actions() if row["externalId"] == "quell-42"]
    assert twins == [second.json()["id"], first.json()["id"]]  # newest first
    logged = acme.log(external_id="quell-42")
    assert [(entry["accepted"], entry["remote_id"]) for entry in logged] == [(True, twins[1]), (True, twins[0])]
    on_disk = [json.loads(line) for line in (simulator.directory / "accepted.log").read_text().splitlines()]
    assert [entry for entry in on_disk if entry["tenant"] == acme.id] == acme.log()


def test_actions_are_filtered_and_paged(acme: Company) -> None:
    ids = [acme.act(verb).json()["id"] for verb in ("isolate", "restrictCodeExecution", "unisolate")]
    acme.act("isolate", machine=1)
    mine = f"machineId eq '{acme.machines[0]}' and creationDateTimeUtc ge 2020-01-01T00:00:00Z"
    page = acme.defender.get("/api/machineactions", params={"$filter": mine, "$top": "2"}).json()
    rest = acme.defender.get(page["@odata.nextLink"]).json()
    assert [row["id"] for row in page["value"] + rest["value"]] == ids[::-1]
    assert "@odata.nextLink" not in rest
    assert acme.actions(**{"$filter": "creationDateTimeUtc ge 2100-01-01"}) == []
    assert len(acme.actions(**{"$filter": "type eq 'Isolate' and status ne 'Failed'"})) == 2


@pytest.mark.parametrize("query", [{"$filter": "colour eq 'red'"}, {"$filter": "type eq"}, {"$top": "10001"}])
def test_a_query_it_does_not_know_is_refused_not_ignored(acme: Company, query: dict[str, str]) -> None:
    answer = acme.defender.get("/api/machineactions", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


def test_an_unfinished_action_can_be_cancelled_and_a_finished_one_not(
    acme: Company, after_action: Callable[[], None]
) -> None:
    finished = acme.act("isolate", machine=1).json()["id"]
    acme.slow_down(60)
    cancelled = acme.act("isolate").json()["id"]
    assert acme.defender.post(f"/api/machineactions/{cancelled}/cancel", json={}).status_code == 400
    answer = acme.defender.post(f"/api/machineactions/{cancelled}/cancel", json={"Comment": "no"})
    assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")
    after_action()
    assert [machine["isolation"] for machine in acme.truth()["machines"]] == [None, "Full", None]
    late = acme.defender.post(f"/api/machineactions/{finished}/cancel", json={"Comment": "no"})
    assert late.status_code == 400


def test_machines_are_listed_and_paths_are_case_blind(acme: Company, found_company: Callable[..., Company]) -> None:
    names = [row["computerDnsName"] for row in acme.defender.get("/API/Machines").json()["value"]]
    assert names == ["acme-1", "acme-2", "acme-linux"]
    one = acme.defender.get(f"/api/MACHINES/{acme.machines[0].upper()}").json()
    assert (one["computerDnsName"], one["rbacGroupId"], one["rbacGroupName"]) == ("acme-1", 0, None)
    assert found_company().defender.get("/api/machines").status_code == 404


def test_a_seed_with_an_unknown_property_is_refused(simulator: RunningSimulator, acme: Company) -> None:
    answer = simulator.admin.put(f"/_simulator/tenants/{acme.id}", json={"machines": [{"id": "a", "osVerson": "1"}]})
    assert (answer.status_code, "osVerson" in answer.json()["error"]) == (400, True)
