"""What the simulator answers, held against Microsoft's own metadata."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import ActionRequest, ConnectionSettings
from portal.secrets.secret_text import SecretText
from tests.connectors.simulator.conftest import ZIP, Company

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


def test_live_responses_are_as_declared(check: Check, acme: Company, after_action: Callable[[], None]) -> None:
    acme.upload("a.ps1")
    acme.seed(command_results=[{"of": "C:\\gone", "errors": ["The file was not found."]}])
    script = {"type": "RunScript", "params": [{"key": "ScriptName", "value": "a.ps1"}, {"key": "Args", "value": "x"}]}
    sample = {"type": "GetFile", "params": [{"key": "Path", "value": "C:\\gone.exe"}]}
    rows = [acme.act("runLiveResponse", Commands=[script, sample, sample], ExternalId="e").json()]
    rows.append(acme.act("collectInvestigationPackage", machine=1).json())
    after_action()
    rows += acme.actions()
    found = check("mde-metadata.xml", "MachineAction", rows)
    assert found.returncode == 0, found.stdout
    [session] = [row for row in rows if row["status"] == "Failed"]
    assert [command["commandStatus"] for command in session["commands"]] == ["Completed", "Failed", "Created"]


def test_the_library_and_files_are_as_declared(check: Check, acme: Company) -> None:
    acme.upload("a.ps1", description=None)
    rows = [acme.upload("b.ps1").json(), *acme.defender.get("/api/libraryfiles").json()["value"]]
    found = check("mde-metadata.xml", "LibraryFiles", rows)
    assert found.returncode == 0, found.stdout
    acme.seed(files=[{"sha1": "5" * 40, "determinationType": "Pua"}])
    found = check("mde-metadata.xml", "File", [acme.defender.get(f"/api/files/{'5' * 40}").json()])
    assert found.returncode == 0, found.stdout


def test_the_commands_the_connector_sends_are_as_declared(check: Check, acme: Company) -> None:
    url, ca_file = acme.simulator.url, acme.simulator.ca_file
    settings = ConnectionSettings(
        "microsoft", acme.id, "quell-demo", SecretText("demo-secret"), url, url, url, ca_file=ca_file
    )
    actions: list[tuple[str, dict[str, str]]] = [
        ("request_sample", {"path": "C:\\x.exe"}),
        ("delete_file", {"path": "C:\\x.exe"}),
        ("stop_process", {"process_id": "4711"}),
        ("remove_scheduled_task", {"task_name": "\\x"}),
        ("release_from_quarantine", {"sha1": "5" * 40}),
    ]
    acme.seed(action_seconds=0)
    for action_type, parameters in actions:
        request = ActionRequest(uuid4(), action_type, acme.machines[0], parameters, "why")
        Microsoft(settings, deadline_seconds=5).send(request, before_sending=lambda: None)
    sent = [entry["body"]["Commands"] for entry in acme.log() if entry["path"].endswith("runliveresponse")]
    assert len(sent) == len(actions)
    found = check("mde-metadata.xml", "CustomPlaybookCommand", [command for commands in sent for command in commands])
    assert found.returncode == 0, found.stdout


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


def test_mails_in_quarantine_are_as_declared(
    check: Check, found_company: Callable[..., Company], after_action: Callable[[], None]
) -> None:
    mail = {"networkMessageId": "mail-1", "recipientEmailAddress": "ada@acme.example"}
    company = found_company(emails=[mail], capabilities=["move_to_quarantine"])
    company.remediate("mail-1", "moveToQuarantine")
    after_action()
    rows = [company.mail("mail-1")]
    body = {"CmdletName": "Get-QuarantineMessage", "Parameters": {"RecipientAddress": ["ada@acme.example"]}}
    path = f"/adminapi/beta/{company.id}/InvokeCommand"
    with company.simulator.client(company.id, "https://outlook.office365.com") as exchange:
        [quarantined] = exchange.post(path, json={"CmdletInput": body}).json()["value"]
        release = {"Identity": quarantined["Identity"], "User": ["ada@acme.example"]}
        body = {"CmdletName": "Release-QuarantineMessage", "Parameters": release}
        assert exchange.post(path, json={"CmdletInput": body}).status_code == 200
    after_action()
    rows.append(company.mail("mail-1"))
    assert [row["latestDelivery"]["location"] for row in rows] == ["quarantine", "inbox_folder"]
    found = check("graph-v1-excerpt.csdl", "microsoft.graph.security.analyzedEmail", rows)
    assert found.returncode == 0, found.stdout


def test_inbox_rules_are_as_declared(check: Check, acme: Company) -> None:
    recipient = {"emailAddress": {"name": "x", "address": "x@evil.example"}}
    actions = {"forwardTo": [recipient], "redirectTo": [recipient], "delete": True, "stopProcessingRules": True}
    rules = [{"id": "one", "actions": actions, "conditions": {"subjectContains": ["invoice"]}}]
    acme.seed(mailboxes=[{"address": "ada@acme.example", "rules": rules}])
    path = "/v1.0/users/ada@acme.example/mailFolders/inbox/messageRules"
    rows = acme.graph.get(path).json()["value"]
    rows.append(acme.graph.patch(f"{path}/one", json={"isEnabled": False}).json())
    found = check("graph-v1-excerpt.csdl", "microsoft.graph.messageRule", rows)
    assert found.returncode == 0, found.stdout


def test_recommendations_and_what_belongs_to_them_are_as_declared(check: Check, weak: Company) -> None:
    path = f"/api/recommendations/{ZIP}"
    rows = weak.defender.get("/api/recommendations").json()["value"]
    for kind, answers in (
        ("Recommendation", [*rows, weak.defender.get(path).json()]),
        ("PublicAssetDto", weak.defender.get(f"{path}/machineReferences").json()["value"]),
        ("PublicVulnerabilityDto", weak.defender.get(f"{path}/vulnerabilities").json()["value"]),
        ("RemediationTask", weak.defender.get("/api/remediationTasks").json()["value"]),
    ):
        found = check("mde-metadata.xml", kind, answers)
        assert found.returncode == 0, found.stdout
