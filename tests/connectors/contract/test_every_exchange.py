"""Every body the connector sends and every answer of every endpoint, held against Microsoft's own metadata.

The simulator writes down what passes while the real connector carries out each row of the catalogue and reads all there
is to read, and a plain client asks for the rest. An endpoint that nobody asked for, or that no line of the table below
knows, is red. Where Microsoft publishes no metadata the table says so.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route, compile_path

from connectors.microsoft.connector import Microsoft
from connectors.simulator.downloads import Results
from connectors.simulator.endpoints import api_routes
from connectors.simulator.exchanges import ExchangeBook
from connectors.simulator.faults import Faults
from connectors.simulator.gateway import Gateway
from connectors.simulator.log import AcceptedLog
from connectors.simulator.login import Tokens
from connectors.simulator.store import World
from remediation.catalogue import CATALOGUE
from tests.connectors.contract import metadata, recording, vulnerabilities
from tests.connectors.contract.metadata import DEFENDER, GRAPH
from tests.connectors.contract.recording import (
    ALERT,
    KEPT_MESSAGE,
    MACHINE,
    MESSAGE,
    PERSON,
    QUARANTINED_MESSAGE,
    SHA1,
    Recorded,
)

pytestmark = pytest.mark.process

NOTHING: Final = ""
UNPUBLISHED: Final = "no metadata"
"""Exchange's admin REST is no documented contract, the older hunting has no types, Graph beta is not in the excerpt.

Graph beta are threat submissions, and Intune's security tasks (deviceAppManagementTask and its kinds).
"""

_ACTIONS: Final = {
    "isolate": "Isolate",
    "unisolate": "Unisolate",
    "restrictcodeexecution": "RestrictCodeExecution",
    "unrestrictcodeexecution": "UnrestrictCodeExecution",
    "runantivirusscan": "RunAntiVirusScan",
    "stopandquarantinefile": "StopAndQuarantineFile",
    "offboard": "OffBoard",
    "collectinvestigationpackage": "CollectInvestigationPackage",
    "runliveresponse": "RunLiveResponse",
}
_EMAILS: Final = "/v1.0/security/collaboration/analyzedemails"
_RULES: Final = "/v1.0/users/{user}/mailfolders/inbox/messagerules"
_SECURITY: Final = "microsoft.graph.security"
_TASKS: Final = "/beta/deviceappmanagement/deviceappmanagementtasks"
TYPES: Final[Mapping[str, tuple[str, str, str]]] = {
    **{
        f"POST /api/machines/{{machine}}/{verb}": (DEFENDER, f"{name}Request", "MachineAction")
        for verb, name in _ACTIONS.items()
    },
    "GET /api/machines": (DEFENDER, NOTHING, "Machine"),
    "GET /api/machines/{machine}": (DEFENDER, NOTHING, "Machine"),
    "GET /api/machineactions": (DEFENDER, NOTHING, "MachineAction"),
    "GET /api/machineactions/{action}": (DEFENDER, NOTHING, "MachineAction"),
    "POST /api/machineactions/{action}/cancel": (DEFENDER, "CancelRequest", "MachineAction"),
    "GET /api/machineactions/{action}/getliveresponseresultdownloadlink(index={index:int})": (DEFENDER, NOTHING, ""),
    "GET /api/machineactions/{action}/getpackageuri": (DEFENDER, NOTHING, ""),
    "GET /api/files/{file}": (DEFENDER, NOTHING, "File"),
    "GET /api/libraryfiles": (DEFENDER, NOTHING, "LibraryFiles"),
    "POST /api/libraryfiles": (DEFENDER, NOTHING, "LibraryFiles"),
    "DELETE /api/libraryfiles/{file}": (DEFENDER, NOTHING, ""),
    "GET /api/indicators": (DEFENDER, NOTHING, "Indicator"),
    "POST /api/indicators": (DEFENDER, "Indicator", "Indicator"),
    "POST /api/indicators/import": (DEFENDER, "ImportRequest", ""),
    "POST /api/indicators/batchdelete": (DEFENDER, "BatchDeleteRequest", ""),
    "DELETE /api/indicators/{indicator}": (DEFENDER, NOTHING, ""),
    "GET /api/alerts": (DEFENDER, NOTHING, "Alert"),
    "GET /api/alerts/{alert}": (DEFENDER, NOTHING, "Alert"),
    "PATCH /api/alerts/{alert}": (DEFENDER, "Alert", "Alert"),
    "POST /api/alerts/batchupdate": (DEFENDER, "BatchUpdateRequest", ""),
    "POST /api/advancedqueries/run": (UNPUBLISHED, "", ""),
    "POST /api/advancedhunting/run": (UNPUBLISHED, "", ""),
    f"GET {_EMAILS}": (GRAPH, NOTHING, f"{_SECURITY}.analyzedEmail"),
    f"GET {_EMAILS}/{{email}}": (GRAPH, NOTHING, f"{_SECURITY}.analyzedEmail"),
    f"POST {_EMAILS}/remediate": (GRAPH, f"{_SECURITY}.remediateRequest", ""),
    f"POST {_EMAILS}/microsoft.graph.security.remediate": (GRAPH, f"{_SECURITY}.remediateRequest", ""),
    "GET /v1.0/security/alerts_v2": (GRAPH, NOTHING, f"{_SECURITY}.alert"),
    "GET /v1.0/security/alerts_v2/{alert}": (GRAPH, NOTHING, f"{_SECURITY}.alert"),
    "PATCH /v1.0/security/alerts_v2/{alert}": (GRAPH, f"{_SECURITY}.alert", f"{_SECURITY}.alert"),
    "POST /v1.0/security/alerts_v2/{alert}/comments": (
        GRAPH,
        f"{_SECURITY}.alertComment",
        f"{_SECURITY}.alertComment",
    ),
    "POST /v1.0/security/runhuntingquery": (
        GRAPH,
        f"{_SECURITY}.runHuntingQueryRequest",
        f"{_SECURITY}.huntingQueryResults",
    ),
    "POST /v1.0/security/microsoft.graph.security.runhuntingquery": (
        GRAPH,
        f"{_SECURITY}.runHuntingQueryRequest",
        f"{_SECURITY}.huntingQueryResults",
    ),
    "GET /v1.0/users/{user}/messages": (GRAPH, NOTHING, "microsoft.graph.message"),
    f"GET {_RULES}": (GRAPH, NOTHING, "microsoft.graph.messageRule"),
    f"GET {_RULES}/{{rule:path}}": (GRAPH, NOTHING, "microsoft.graph.messageRule"),
    f"PATCH {_RULES}/{{rule:path}}": (GRAPH, "microsoft.graph.messageRule", "microsoft.graph.messageRule"),
    **{
        f"GET /api/{path}": (DEFENDER, NOTHING, answer)
        for path, answer in (
            ("recommendations", "Recommendation"),
            ("recommendations/{recommendation}", "Recommendation"),
            ("recommendations/{recommendation}/machinereferences", "PublicAssetDto"),
            ("recommendations/{recommendation}/vulnerabilities", "PublicVulnerabilityDto"),
            ("remediationtasks", "RemediationTask"),
            ("remediationtasks/{task}", "RemediationTask"),
            ("remediationtasks/{task}/machinereferences", "PublicAssetDto"),
        )
    },
    "GET /v1.0/devicemanagement/manageddevices": (GRAPH, NOTHING, "microsoft.graph.managedDevice"),
    "GET /v1.0/devicemanagement/mobilethreatdefenseconnectors/{connector}": (
        GRAPH,
        NOTHING,
        "microsoft.graph.mobileThreatDefenseConnector",
    ),
    **{
        f"{method} {_TASKS}{end}": (UNPUBLISHED, "", "")
        for method, end in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{task}"),
            ("PATCH", "/{task}"),
            ("DELETE", "/{task}"),
            ("POST", "/{task}/updatestatus"),
            ("GET", "/{task}/{kind}"),
            ("GET", "/{task}/{kind}/manageddevices"),
        )
    },
    "POST /adminapi/beta/{organisation}/invokecommand": (UNPUBLISHED, "", ""),
    **{
        f"{method} /beta/security/threatsubmission/{kind}{end}": (UNPUBLISHED, "", "")
        for kind in ("emailthreats", "urlthreats")
        for method, end in (("POST", ""), ("GET", ""), ("GET", "/{submission}"))
    },
}
"""For each endpoint: whose metadata, the type of the body, the type of the answer or of the rows in its `value`."""

_MAILS: Final = (MESSAGE, KEPT_MESSAGE, QUARANTINED_MESSAGE)
_CALLED: Final = [name for name, kind in CATALOGUE.items() if name in Microsoft.action_types]
_INVERSES_LAST: Final = sorted(_CALLED, key=lambda name: any(kind.inverse == name for kind in CATALOGUE.values()))


@cache
def _routes() -> dict[str, re.Pattern[str]]:
    """Every endpoint of the simulated APIs, as method and path, with the pattern of its path."""
    return {
        f"{method} {route.path}": compile_path(route.path)[0]
        for route in api_routes(_gateway(), Results())
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def _gateway() -> Gateway:
    """A gateway that nobody calls."""
    return Gateway(World(), Tokens(), Faults(), cast(AcceptedLog, None), 0, ExchangeBook())


def _endpoint_of(exchange: Mapping[str, Any]) -> str:
    path = re.sub("^/api/v1.0/", "/api/", exchange["path"].lower())
    found = [
        name for name, pattern in _routes().items() if name.startswith(f"{exchange['method']} ") and pattern.match(path)
    ]
    return max(found, key=lambda name: (name.count("{") == 0, len(name)))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Everything the connector does, and the rest by a plain client, written down by a simulator of its own."""
    folder, tenant = tmp_path_factory.mktemp("contract"), str(uuid4())
    with recording.simulator(folder) as (url, ca_file):
        _seed(url, ca_file, tenant)
        connector = Microsoft(recording.settings(url, ca_file, tenant), deadline_seconds=10)
        receipts = recording.drive(connector, _INVERSES_LAST)
        recording.read_all(connector, receipts)
        vulnerabilities.drive(connector)
        _ask_plainly(url, ca_file, tenant)
        vulnerabilities.ask(url, ca_file, tenant)
        yield Recorded(recording.exchanges_in(folder), receipts)


def _seed(url: str, ca_file: str, tenant: str) -> None:
    rule = {
        "displayName": ".",
        "actions": {"forwardTo": [{"emailAddress": {"address": "x@evil.example"}}]},
    }
    world = {
        "machines": [{"id": MACHINE, "computerDnsName": "lap-01", "osPlatform": "Windows11"}],
        "emails": [{"networkMessageId": key, "recipientEmailAddress": PERSON} for key in _MAILS],
        "alerts": [{"id": ALERT, "evidence": [{"@odata.type": "#microsoft.graph.security.deviceEvidence"}]}],
        "files": [{"sha1": SHA1}],
        "mailboxes": [{"address": PERSON, "ForwardingSmtpAddress": "smtp:x@evil.example", "rules": [rule]}],
        "capabilities": ["move_to_quarantine"],
        **vulnerabilities.WORLD,
    }
    _put(url, ca_file, tenant, world)


def _put(url: str, ca_file: str, tenant: str, world: Mapping[str, Any]) -> None:
    trust = ssl.create_default_context(cafile=ca_file)
    httpx.put(f"{url}/_simulator/tenants/{tenant}", json=world, verify=trust).raise_for_status()


def _ask_plainly(url: str, ca_file: str, tenant: str) -> None:
    """Ask for what the connector has no use for, and other programs do."""
    with recording.client(url, ca_file, tenant, "https://api.securitycenter.microsoft.com") as defender:
        machine = defender.get(f"/api/machines/{MACHINE}").raise_for_status().json()
        action = defender.get("/api/machineactions").json()["value"][0]
        for path in (f"/api/machineactions/{action['id']}", "/api/alerts?$expand=evidence", f"/api/alerts/{ALERT}"):
            defender.get(path).raise_for_status()
        defender.patch(f"/api/alerts/{ALERT}", json={"status": "Resolved"}).raise_for_status()
        update = {"alertIds": [ALERT], "status": "InProgress"}
        defender.post("/api/alerts/batchUpdate", json=update).raise_for_status()
        indicator = {
            "indicatorValue": "evil2.example",
            "indicatorType": "DomainName",
            "action": "Block",
            "title": "t",
            "description": "d",
        }
        defender.post("/api/indicators/import", json={"Indicators": [indicator]}).raise_for_status()
        ids = [row["id"] for row in defender.get("/api/indicators").json()["value"]]
        defender.post("/api/indicators/BatchDelete", json={"IndicatorIds": ids[:1]}).raise_for_status()
        for path in ("/api/advancedqueries/run", "/api/advancedhunting/run"):
            defender.post(path, json={"Query": "DeviceInfo | take 1"}).raise_for_status()
        library = defender.get("/api/libraryfiles").json()["value"]
        defender.delete(f"/api/libraryfiles/{library[0]['fileName']}").raise_for_status()
        _put(url, ca_file, tenant, {"action_seconds": 60})
        started = defender.post(f"/api/machines/{machine['id']}/runAntiVirusScan", json=_scan()).raise_for_status()
        defender.post(f"/api/machineactions/{started.json()['id']}/cancel", json={"Comment": "no"}).raise_for_status()
    with recording.client(url, ca_file, tenant, "https://graph.microsoft.com") as graph:
        window = "startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z"
        mail = graph.get(f"{_EMAILS}?{window}").raise_for_status().json()["value"][0]
        graph.get(f"{_EMAILS}/{mail['id']}").raise_for_status()
        graph.get(f"/v1.0/security/alerts_v2/{ALERT}").raise_for_status()
        comment = {"@odata.type": "microsoft.graph.security.alertComment", "comment": "seen"}
        graph.post(f"/v1.0/security/alerts_v2/{ALERT}/comments", json=comment).raise_for_status()
        pair = {"networkMessageId": MESSAGE, "recipientEmailAddress": PERSON}
        move = {"displayName": "x", "severity": "low", "action": "moveToJunk", "analyzedEmails": [pair]}
        graph.post(f"{_EMAILS}/microsoft.graph.security.remediate", json=move).raise_for_status()
        query = {"query": "EmailEvents | take 1", "timespan": "P1D"}
        graph.post("/v1.0/security/microsoft.graph.security.runHuntingQuery", json=query).raise_for_status()
        rules = graph.get(f"/v1.0/users/{PERSON}/mailFolders/inbox/messageRules").raise_for_status().json()["value"]
        graph.get(f"/v1.0/users/{PERSON}/mailFolders/inbox/messageRules/{rules[0]['id']}").raise_for_status()
        for kind in ("emailThreats", "urlThreats"):
            made = graph.get(f"/beta/security/threatSubmission/{kind}").raise_for_status().json()["value"]
            graph.get(f"/beta/security/threatSubmission/{kind}/{made[0]['id']}").raise_for_status()


def _scan() -> dict[str, str]:
    return {"Comment": "plain", "ScanType": "Full"}


@pytest.mark.parametrize("action_type", sorted(Microsoft.action_types))
def test_every_type_is_sent_and_found_again(action_type: str, recorded: Recorded) -> None:
    assert recorded.receipts[action_type].remote_id


def test_every_endpoint_is_asked_for_and_answers(recorded: Recorded) -> None:
    answered = {_endpoint_of(exchange) for exchange in recorded.exchanges if exchange["status"] < 300}

    assert set(_routes()) == answered == set(TYPES)


@pytest.mark.skipif(not metadata.is_here(), reason="not held against Microsoft's metadata: ../shared is not here")
@pytest.mark.parametrize("endpoint", sorted(name for name, (whose, *_) in TYPES.items() if whose != UNPUBLISHED))
def test_every_body_and_answer_is_as_microsoft_declares_it(
    endpoint: str, recorded: Recorded, tmp_path: Path, whole_metadata: Mapping[str, Path]
) -> None:
    whose, body_type, answer_type = TYPES[endpoint]
    passed = [exchange for exchange in recorded.exchanges if _endpoint_of(exchange) == endpoint]
    assert passed
    taken = [exchange for exchange in passed if exchange["status"] < 300]
    bodies = [exchange["body"] for exchange in taken if body_type]
    answers = [row for exchange in taken if answer_type for row in _rows(exchange["answer"])]
    for kind, rows in ((body_type, bodies), (answer_type, answers)):
        if rows:
            assert metadata.findings(whole_metadata[whose], kind, rows, tmp_path) == ""


@pytest.fixture(scope="module")
def whole_metadata(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Microsoft's metadata, with types for what its actions take."""
    folder = tmp_path_factory.mktemp("metadata")
    return {name: metadata.with_requests(name, folder) for name in (DEFENDER, GRAPH)}


def _rows(answer: Any) -> list[Any]:
    if isinstance(answer, dict) and isinstance(answer.get("value"), list):
        return list(answer["value"])
    return [] if answer is None else [answer]
