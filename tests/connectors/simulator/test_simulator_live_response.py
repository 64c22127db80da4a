"""Live response, its library, and what can be fetched: what is accepted, what is refused, and when."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.simulator import live_response
from connectors.simulator.exchange import Call, Refusal
from connectors.simulator.store import Tenant
from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

GET_FILE = ("GetFile", {"Path": "C:\\x.exe"})
SCRIPT = ("RunScript", {"ScriptName": "a.ps1"})


def fetch(company: Company, link: str) -> httpx.Response:
    return httpx.get(link, verify=company.simulator.tls, trust_env=False)


def link_of(company: Company, action: str, index: int = 0) -> httpx.Response:
    return company.defender.get(f"/api/machineactions/{action}/GetLiveResponseResultDownloadLink(index={index})")


def test_a_session_runs_its_commands_in_turn_and_each_has_a_result(
    acme: Company, after_action: Callable[[], None]
) -> None:
    acme.upload("a.ps1", b"Write-Output 'one'\nif ($x) {\n    Write-Output 'never'\n}\nWrite-Output 'two'\n")
    session = acme.run(("PutFile", {"FileName": "a.ps1"}), SCRIPT, GET_FILE, ExternalId="quell-9")
    assert session.status_code == 201
    row = session.json()
    assert (row["type"], row["status"], row["externalId"]) == ("LiveResponse", "Pending", "quell-9")
    assert [command["commandStatus"] for command in row["commands"]] == ["Created"] * 3
    assert link_of(acme, row["id"], 1).status_code == 404
    after_action()
    done = acme.defender.get(f"/api/machineactions/{row['id']}").json()
    assert [command["commandStatus"] for command in done["commands"]] == ["Completed"] * 3
    assert [link_of(acme, row["id"], index).status_code for index in (0, 3)] == [404, 404]
    transcript = fetch(acme, link_of(acme, row["id"], 1).json()["value"]).json()
    assert (transcript["script_name"], transcript["exit_code"]) == ("a.ps1", 0)
    assert [word in transcript["script_output"] for word in ("one", "two", "never")] == [True, True, False]
    assert fetch(acme, link_of(acme, row["id"], 2).json()["value"]).content == b"content of C:\\x.exe"
    assert [command["type"] for command in acme.truth()["machines"][0]["liveResponses"]] == [
        "PutFile",
        "RunScript",
        "GetFile",
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MissingRequiredParameter"),
        ({"Commands": []}, "MissingRequiredParameter"),
        ({"commands": [{"type": "GetFile", "params": []}]}, "InvalidRequestBody"),
        ({"Commands": [{"Type": "GetFile", "params": []}]}, "InvalidRequestBody"),
        ({"Commands": [{"type": "getfile", "params": []}]}, "InvalidInput"),
        ({"Commands": [{"type": "RunPowerShell", "params": []}]}, "InvalidInput"),
        ({"Commands": [{"type": "GetFile", "params": []}]}, "MissingRequiredParameter"),
        ({"Commands": [{"type": "GetFile", "params": [{"key": "path", "value": "C:\\x"}]}]}, "InvalidInput"),
        ({"Commands": [{"type": "GetFile", "params": {"Path": "C:\\x"}}]}, "InvalidRequestBody"),
        ({"Commands": [{"type": "RunScript", "params": [{"key": "ScriptName", "value": "no.ps1"}]}]}, "InvalidInput"),
    ],
)
def test_a_session_microsoft_would_not_take_is_refused(acme: Company, body: Any, code: str) -> None:
    answer = acme.defender.post(f"/api/machines/{acme.machines[0]}/runliveresponse", json={"Comment": "c", **body})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert acme.actions() == []


@pytest.mark.parametrize("commands", [[GET_FILE, SCRIPT], [("RunScript", {"ScriptName": "a.ps1", "Args": "$(x)"})]])
def test_the_wrong_order_and_what_a_shell_would_read_are_refused(acme: Company, commands: Any) -> None:
    acme.upload("a.ps1")
    assert acme.run(*commands).json()["error"]["code"] == "InvalidInput"
    assert acme.actions() == []


def test_an_unknown_machine_is_404_and_a_missing_comment_is_taken(acme: Company) -> None:
    commands = [{"type": "GetFile", "params": [{"key": "Path", "value": "C:\\x"}]}]
    stranger = acme.defender.post(f"/api/machines/{'f' * 40}/runliveresponse", json={"Commands": commands})
    assert stranger.status_code == 404
    known = acme.defender.post(f"/api/machines/{acme.machines[0]}/runliveresponse", json={"Commands": commands})
    assert known.status_code == 201


def test_one_session_a_machine(acme: Company, after_action: Callable[[], None]) -> None:
    assert acme.run(GET_FILE).status_code == 201
    again = acme.run(GET_FILE)
    assert (again.status_code, again.json()["error"]["code"]) == (400, "ActiveRequestAlreadyExists")
    assert acme.run(GET_FILE, machine=1).status_code == 201
    after_action()
    assert acme.run(GET_FILE).status_code == 201


def test_ten_calls_a_minute(found_company: Callable[..., Company]) -> None:
    company = found_company(machines=[{"computerDnsName": f"m-{n}"} for n in range(12)], action_seconds=60)
    assert [company.run(GET_FILE, machine=n).status_code for n in range(10)] == [201] * 10
    refused = company.run(GET_FILE, machine=10)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TooManyRequests")
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert company.act("isolate", machine=10).status_code == 201


def test_twenty_five_sessions_at_once() -> None:
    tenant = Tenant("t", machines={f"m{n}": {"id": f"m{n}", "computerDnsName": None} for n in range(26)})
    body = {"Commands": [{"type": "GetFile", "params": [{"key": "Path", "value": "C:\\x"}]}]}

    def run(machine: str, now: int) -> int:
        values = {"machine": machine}
        return live_response.run(Call(tenant, "c", frozenset(), "", "", values, {}, "", body, now, 10, 0)).status

    assert {run(f"m{n}", 0) for n in range(25)} == {201}
    with pytest.raises(Refusal) as caught:
        run("m25", 0)
    assert caught.value.status == 429
    assert run("m25", 10) == 201


def test_everyday_quotas_bind_where_they_are_asked_for(acme: Company, globex: Company) -> None:
    acme.seed(enforce_quotas=True)
    statuses = [acme.defender.get("/api/machines").status_code for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    assert acme.defender.get("/api/machineactions").status_code == 200
    assert [globex.defender.get("/api/machines").status_code for _ in range(101)] == [200] * 101


def test_a_command_that_fails_ends_the_session(acme: Company, after_action: Callable[[], None]) -> None:
    acme.seed(command_results=[{"of": "C:\\x", "errors": ["not found"]}])
    row = acme.run(GET_FILE, GET_FILE).json()
    after_action()
    ended = acme.defender.get(f"/api/machineactions/{row['id']}").json()
    assert ended["status"] == "Failed"
    assert [(command["commandStatus"], command["errors"]) for command in ended["commands"]] == [
        ("Failed", ["not found"]),
        ("Created", []),
    ]
    assert link_of(acme, row["id"]).status_code == 404


def test_links_take_no_bearer_and_end(acme: Company, after_action: Callable[[], None]) -> None:
    row = acme.run(GET_FILE).json()
    after_action()
    link = link_of(acme, row["id"]).json()["value"]
    assert acme.defender.get(link).status_code == 400
    assert fetch(acme, link).status_code == 200
    assert fetch(acme, link[:-3]).status_code == 403
    acme.seed(link_seconds=0)
    assert fetch(acme, link_of(acme, row["id"]).json()["value"]).status_code == 403


def test_a_package_has_a_link_in_quotes_twice_a_minute(acme: Company, after_action: Callable[[], None]) -> None:
    package = acme.act("collectInvestigationPackage").json()
    assert acme.act("collectInvestigationPackage").json()["error"]["code"] == "ActiveRequestAlreadyExists"
    uri = f"/api/machineactions/{package['id']}/getPackageUri"
    assert acme.defender.get(uri).status_code == 404
    after_action()
    value = acme.defender.get(uri).json()["value"]
    assert value == f'"{value[1:-1]}"'
    assert fetch(acme, value.strip('"')).content == b"package of acme-1"
    assert acme.defender.get(uri).status_code == 429
    assert acme.truth()["machines"][0]["packages"] == 1


def test_the_library_keeps_what_it_is_given_and_replaces_only_when_told(acme: Company, globex: Company) -> None:
    assert acme.defender.get("/api/libraryfiles").json()["value"] == []
    first = acme.upload("a.ps1", b"one")
    assert (first.status_code, first.json()["createdBy"]) == (200, "quell-demo")
    assert acme.upload("a.ps1", b"two").status_code == 400
    assert acme.upload("A.ps1", b"two", OverrideIfExists="true").json()["sha256"] != first.json()["sha256"]
    assert len(acme.defender.get("/api/libraryfiles").json()["value"]) == 1
    assert globex.defender.get("/api/libraryfiles").json()["value"] == []
    assert acme.defender.delete("/api/libraryfiles/a.ps1").status_code == 204
    assert acme.defender.delete("/api/libraryfiles/a.ps1").status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a b.ps1", b"x", {}),
        ("a.ps1", b"", {}),
        ("a.ps1", b"x", {"Overwrite": "true"}),
        ("a.ps1", b"x", {"HasParameters": "1"}),
    ],
)
def test_a_form_microsoft_would_not_take_is_refused(
    acme: Company, name: str, content: bytes, form: dict[str, str]
) -> None:
    assert acme.upload(name, content, **form).status_code == 400
    assert acme.defender.post("/api/libraryfiles", json={"File": "x"}).status_code == 400
    assert acme.truth()["library"] == []


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("Library.Manage", "GET", "/api/libraryfiles"),
        ("Machine.LiveResponse", "POST", "/api/machines/{machine}/runliveresponse"),
        ("Machine.CollectForensics", "POST", "/api/machines/{machine}/collectInvestigationPackage"),
        ("File.Read.All", "GET", "/api/files/" + "5" * 40),
    ],
)
def test_each_needs_its_own_permission(
    found_company: Callable[..., Company], role: str, method: str, path: str
) -> None:
    company = found_company(machines=[{"computerDnsName": "m"}], withheld_roles=[role])
    answer = company.defender.request(method, path.format(machine=company.machines[0]), json={"Comment": "c"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")


def test_a_file_is_known_by_sha1_and_sha256_to_its_tenant_alone(acme: Company, globex: Company) -> None:
    acme.seed(files=[{"sha1": "5" * 40, "sha256": "6" * 64, "determinationType": "Malware"}])
    for name in ("5" * 40, "6" * 64):
        assert acme.defender.get(f"/api/files/{name}").json()["determinationType"] == "Malware"
    assert globex.defender.get(f"/api/files/{'5' * 40}").status_code == 404


@pytest.mark.parametrize("path", ["/api/v1.0/machineactions", "/API/V1.0/MachineActions", "/api/machineActions"])
def test_both_prefixes_in_any_case_lead_to_the_same(acme: Company, path: str) -> None:
    acme.act("isolate")
    acme.act("unisolate")
    page = acme.defender.get(path, params={"$top": "1"}).json()
    assert len(page["value"]) == 1
    assert acme.defender.get(page["@odata.nextLink"]).json()["value"][0]["type"] == "Isolate"


@pytest.mark.parametrize("host", ["api.securitycenter.microsoft.com", "api.security.microsoft.com"])
def test_both_host_names_are_answered_with_a_certificate_and_tokens_of_their_own(
    simulator: RunningSimulator, acme: Company, host: str
) -> None:
    form = simulator.ask_token(acme.id, scope=f"https://{host}/.default").json()
    answer = simulator.admin.get(
        "/api/machines",
        headers={"Host": host, "Authorization": f"Bearer {form['access_token']}"},
        extensions={"sni_hostname": host},
    )
    assert answer.status_code == 200


def test_the_older_token_endpoint_takes_a_resource(simulator: RunningSimulator, acme: Company) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "quell-demo",
        "client_secret": "demo-secret",
        "resource": "https://api.securitycenter.microsoft.com/",
    }
    answer = simulator.admin.post(f"/{acme.id}/oauth2/token", data=form).json()
    assert (answer["expires_in"], answer["token_type"]) == ("3599", "Bearer")
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert simulator.admin.get("/api/machines", headers=bearer).status_code == 200
    assert simulator.admin.post(f"/{acme.id}/oauth2/token", data={**form, "resource": "x"}).status_code == 400
