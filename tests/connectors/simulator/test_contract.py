"""What the simulator answers, held against Microsoft's own metadata."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.simulator.conftest import Company

pytestmark = pytest.mark.process

Check = Callable[[str, str, list[dict[str, Any]]], subprocess.CompletedProcess[str]]

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
EVIDENCE = "#microsoft.graph.security."


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Runs the checker over answers and gives back what it found."""
    checker = SHARED / "bin" / "contract-check"
    if not checker.exists():
        pytest.skip("not checked against Microsoft's metadata: ../shared is not here")

    def run(metadata: str, kind: str, rows: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        assert rows
        answers = tmp_path / "answers.ndjson"
        answers.write_text("\n".join(json.dumps(row) for row in rows))
        command = [sys.executable, str(checker), str(SHARED / "contracts" / metadata), kind, str(answers), "--missing"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_machines_are_as_declared(check: Check, acme: Company) -> None:
    rows = acme.defender.get("/api/machines").json()["value"] + [
        acme.defender.get(f"/api/machines/{acme.machines[0]}").json()
    ]
    found = check("mde-metadata.xml", "Machine", rows)
    assert found.returncode == 0, found.stdout


def test_machine_actions_are_as_declared(check: Check, acme: Company, after_action: Callable[[], None]) -> None:
    sha1 = "9c1e5f7a1b9c3d4826e7f81209ab34cd56ef7812"
    posted = [
        acme.act("isolate", IsolationType="Full", ExternalId="e", Title="t", RequestSource="PublicApi"),
        acme.act("unisolate"),
        acme.act("restrictCodeExecution"),
        acme.act("unrestrictCodeExecution"),
        acme.act("runAntiVirusScan", ScanType="Full"),
        acme.act("StopAndQuarantineFile", Sha1=sha1),
        acme.act("offboard"),
    ]
    rows = [answer.json() for answer in posted]
    rows.append(acme.defender.post(f"/api/machineactions/{rows[0]['id']}/cancel", json={"Comment": "cancel"}).json())
    after_action()
    rows += acme.actions()
    found = check("mde-metadata.xml", "MachineAction", rows)
    assert found.returncode == 0, found.stdout
    assert {row["status"] for row in rows} == {"Pending", "Cancelled", "Succeeded"}


def test_alerts_are_as_declared(check: Check, found_company: Callable[..., Company]) -> None:
    evidence = [
        {"@odata.type": f"{EVIDENCE}deviceEvidence", "remediationStatus": "active"},
        {"@odata.type": f"{EVIDENCE}fileEvidence", "fileDetails": {"fileName": "a.exe", "filePath": "C:\\temp"}},
        {"@odata.type": f"{EVIDENCE}analyzedMessageEvidence", "networkMessageId": "m"},
    ]
    company = found_company(alerts=[{"evidence": evidence}, {"serviceSource": "microsoftSentinel"}])
    plain = company.graph.get("/v1.0/security/alerts_v2").json()["value"]
    prefer = {"Prefer": "include-unknown-enum-members"}
    rows = plain + company.graph.get("/v1.0/security/alerts_v2", headers=prefer).json()["value"]
    rows.append(company.graph.get(f"/v1.0/security/alerts_v2/{rows[0]['id']}").json())
    found = check("graph-v1-excerpt.csdl", "microsoft.graph.security.alert", rows)
    assert found.returncode == 0, found.stdout


def test_mails_are_as_declared(check: Check, acme: Company, after_action: Callable[[], None]) -> None:
    rows = [acme.mail("mail-1")]
    for action in ("moveToJunk", "moveToDeletedItems", "moveToInbox", "softDelete", "hardDelete"):
        acme.remediate("mail-1", action)
    after_action()
    rows.append(acme.mail("mail-1"))
    rows.append(acme.graph.get(f"/v1.0/security/collaboration/analyzedEmails/{rows[0]['id']}").json())
    assert len(rows[-1]["timelineEvents"]) == 5
    found = check("graph-v1-excerpt.csdl", "microsoft.graph.security.analyzedEmail", rows)
    assert found.returncode == 0, found.stdout
