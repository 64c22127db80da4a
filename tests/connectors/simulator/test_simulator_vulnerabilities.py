"""Recommendations at the simulator: who is exposed, who is fixed, and what reads say of it."""

import time
from typing import Any

import httpx
import pytest

from tests.connectors.simulator.conftest import ZIP, Company

pytestmark = pytest.mark.process

PATH = f"/api/recommendations/{ZIP}"


def references(company: Company, path: str = PATH) -> list[str]:
    rows: list[dict[str, Any]] = company.defender.get(f"{path}/machineReferences").raise_for_status().json()["value"]
    return [row["id"] for row in rows]


def change(company: Company, verb: str, **body: Any) -> dict[str, Any]:
    answer = company.simulator.admin.post(
        f"/_simulator/tenants/{company.id}/{verb}", json={"recommendation": ZIP, **body}
    )
    changed: dict[str, Any] = answer.raise_for_status().json()
    return changed


def test_the_counts_are_those_of_the_references(weak: Company) -> None:
    weak.seed(machines=[{"id": weak.machines[0], "deviceValue": "High"}])

    row = weak.defender.get(PATH).json()

    assert (row["exposedMachinesCount"], row["exposedCriticalDevices"], row["weaknesses"]) == (3, 1, 1)
    assert references(weak) == weak.machines
    assert [row["id"] for row in weak.defender.get(f"{PATH}/vulnerabilities").json()["value"]] == ["CVE-2025-0411"]


def test_a_reference_says_what_the_machine_is_now(weak: Company) -> None:
    assert references(weak) == weak.machines
    weak.seed(machines=[{"id": weak.machines[0], "rbacGroupName": "Finance"}])

    rows = weak.defender.get(f"{PATH}/machineReferences").json()["value"]
    assert [row["rbacGroupName"] for row in rows] == ["Finance", None, None]


def test_a_machine_not_seen_for_thirty_days_does_not_count(weak: Company) -> None:
    weak.seed(machines=[{"id": weak.machines[0], "lastSeen": "2020-01-01T00:00:00Z"}])

    assert references(weak) == weak.machines[1:]
    assert weak.defender.get(PATH).json()["exposedMachinesCount"] == 2


def test_a_fixed_machine_reports_anew_and_can_be_exposed_again(weak: Company) -> None:
    before = weak.defender.get(f"/api/machines/{weak.machines[0]}").json()["lastSeen"]

    assert change(weak, "fix", count=1) == {"fixed": weak.machines[:1]}
    assert references(weak) == weak.machines[1:]
    assert weak.defender.get(f"/api/machines/{weak.machines[0]}").json()["lastSeen"] > before
    assert change(weak, "expose", machines=weak.machines[:2]) == {"exposed": weak.machines[:1]}
    assert sorted(references(weak)) == weak.machines


def test_devices_are_fixed_as_time_goes_by(weak: Company) -> None:
    weak.seed(recommendations=[{"id": ZIP, "fixing": {"devices": 1, "every_seconds": 1}}])
    assert references(weak) == weak.machines
    time.sleep(1.1)
    assert references(weak) == references(weak) == weak.machines[1:]
    weak.seed(recommendations=[{"id": ZIP, "fixing": {"devices": 2, "every_seconds": 0.1}}])
    time.sleep(0.15)
    assert references(weak) == []


def test_defenders_activity_follows_its_recommendation_and_ends_with_it(weak: Company) -> None:
    [task] = weak.defender.get("/api/remediationTasks").json()["value"]
    path = f"/api/remediationTasks/{task['id']}"
    assert (task["targetDevices"], task["fixedDevices"], task["status"]) == (2, 0, "Active")

    change(weak, "fix", machines=weak.machines[:1])
    assert references(weak, path) == weak.machines[1:2]
    change(weak, "fix", machines=weak.machines[1:2])

    ended = weak.defender.get(path).json()
    assert (ended["fixedDevices"], ended["status"], ended["completionMethod"]) == (2, "Completed", "Automatic")
    assert weak.defender.get("/api/remediationTasks?$filter=status eq 'Active'").json()["value"] == []


def test_lists_come_in_pages_and_follow_the_filter(weak: Company) -> None:
    weak.seed(page_size=2)
    first = weak.defender.get(f"{PATH}/machineReferences").json()
    second = weak.defender.get(first["@odata.nextLink"]).json()

    assert [row["id"] for row in [*first["value"], *second["value"]]] == weak.machines
    assert "@odata.nextLink" not in second
    query = {"$filter": "severityScore ge 8 and remediationType eq 'Update'"}
    assert [row["id"] for row in weak.defender.get("/api/recommendations", params=query).json()["value"]] == [ZIP]
    refused = weak.defender.get("/api/recommendations", params={"$filter": "weaknesses ge 8"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")


def test_nobody_reads_without_the_permission_or_another_tenants(weak: Company, globex: Company) -> None:
    assert globex.defender.get(PATH).status_code == 404
    assert globex.defender.get("/api/recommendations").json()["value"] == []
    weak.seed(withheld_roles=["Vulnerability.Read.All"])
    with weak.simulator.client(weak.id, "https://api.securitycenter.microsoft.com") as defender:
        assert defender.get(f"{PATH}/vulnerabilities").status_code == 403
        assert defender.get(PATH).status_code == 200


def test_a_large_tenant_is_made_from_numbers(weak: Company) -> None:
    weak.seed(generate={"machines": 60, "recommendations": 20, "exposures": 200, "cves": 2, "managed_devices": 5})

    rows = weak.defender.get("/api/recommendations").json()["value"]
    made = [row for row in rows if row["id"] not in (ZIP, "sca-_-scid-2011")]
    assert {(row["exposedMachinesCount"], row["weaknesses"]) for row in made} == {(10, 2)}
    assert len({tuple(references(weak, f"/api/recommendations/{row['id']}")) for row in made}) == 20
    machines = weak.defender.get("/api/machines").json()["value"]
    managed = weak.graph.get("/v1.0/deviceManagement/managedDevices").json()["value"]
    assert len({row["azureADDeviceId"] for row in managed} & {row["aadDeviceId"] for row in machines}) == 7


def test_a_hundred_thousand_exposures_are_seeded_and_read_within_seconds(weak: Company) -> None:
    began = time.monotonic()
    weak.simulator.admin.put(
        f"/_simulator/tenants/{weak.id}",
        json={"generate": {"machines": 5_000, "recommendations": 200, "exposures": 100_000}},
        timeout=60,
    ).raise_for_status()
    rows = weak.defender.get("/api/recommendations").json()["value"]
    counted = sum(row["exposedMachinesCount"] for row in rows)
    read = sum(len(references(weak, f"/api/recommendations/{row['id']}")) for row in rows[:20])

    assert counted == 100_003
    assert read > 9_000
    assert time.monotonic() - began < 10


def test_the_feed_is_not_sent_twice_and_can_be_changed_or_broken(simulator: Any) -> None:
    web: httpx.Client = simulator.admin
    whole = web.get("/_simulator/kev.json")
    listed = whole.json()["vulnerabilities"]
    assert whole.json()["count"] == len(listed) > 24
    assert {row["cveID"] for row in listed} == {
        line.partition(",")[0] for line in web.get("/_simulator/kev.csv").text.splitlines()[1:]
    }
    same = {"If-None-Match": whole.headers["etag"]}
    assert web.get("/_simulator/kev.json", headers=same).status_code == 304
    try:
        web.put("/_simulator/kev", json={"vulnerabilities": listed[:1]})
        assert web.get("/_simulator/kev.json", headers=same).json()["vulnerabilities"] == listed[:1]
        web.put("/_simulator/kev", json={"status": 503})
        assert web.get("/_simulator/kev.json").status_code == 503
        web.put("/_simulator/kev", json={"text": "<html>"})
        assert web.get("/_simulator/kev.json").text == "<html>"
    finally:
        web.put("/_simulator/kev", json={})
    assert web.get("/_simulator/kev.json").json()["vulnerabilities"] == listed


def test_an_inbox_keeps_what_came_and_fails_as_told(simulator: Any) -> None:
    web: httpx.Client = simulator.admin
    web.put("/_simulator/inbox/acme", json={"status": 500, "times": 1})

    answered = [web.post("/_simulator/inbox/acme", content=b'{"n": 1}', headers={"X-Sign": "abc"}) for _ in range(2)]

    assert [answer.status_code for answer in answered] == [500, 202]
    kept = web.get("/_simulator/inbox/acme").json()["messages"]
    assert [(row["status"], row["text"], row["headers"]["x-sign"]) for row in kept] == [
        (500, '{"n": 1}', "abc"),
        (202, '{"n": 1}', "abc"),
    ]
    assert web.delete("/_simulator/inbox/acme").json() == {"removed": 2}
    assert web.get("/_simulator/inbox/acme").json() == {"messages": []}
