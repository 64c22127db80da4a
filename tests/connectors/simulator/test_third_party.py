"""Clients that know only Microsoft's own addresses work against the simulator once their resolver leads here.

Each runs in a process of its own: `requests` and Microsoft's own `msal`, unchanged, told nothing but whom to trust.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

_RESOLVER = """
import os, socket
PORT = int(os.environ["SIMULATOR_PORT"])
found = socket.getaddrinfo
def lead_here(host, port, *rest, **more):
    if str(host).endswith((".microsoftonline.com", ".windows.net", ".microsoft.com", ".windows.com", ".office365.com")):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", PORT))]
    return found(host, port, *rest, **more)
socket.getaddrinfo = lead_here
TENANT, MACHINE, NAME = os.environ["TENANT"], os.environ["MACHINE"], os.environ["MACHINE_NAME"]
import requests
web = requests.Session()
web.verify = os.environ["CA_FILE"]
"""

_V1_SCRIPT = """
form = {"resource": "https://api.securitycenter.windows.com", "client_id": "quell-demo",
        "client_secret": "demo-secret", "grant_type": "client_credentials"}
token = web.post(f"https://login.windows.net/{TENANT}/oauth2/token", data=form).json()["access_token"]
web.headers["Authorization"] = "Bearer " + token
base = "https://api.securitycenter.windows.com/api"
machine = web.get(f"{base}/machines/{NAME}").json()
assert machine["id"] == MACHINE, machine
answer = web.post(f"{base}/machines/{MACHINE}/isolate", json={"Comment": "INC-1", "IsolationType": "Selective"})
assert answer.status_code == 201, answer.text
again = web.post(f"{base}/v1.0/Machines/{MACHINE}/Isolate", json={"Comment": "INC-1"})
assert (again.status_code, again.json()["error"]["code"]) == (400, "ActiveRequestAlreadyExists"), again.text
wrong = web.post(f"{base}/machines/{MACHINE}/runAntiVirusScan", json={"comment": "INC-1", "scanType": "Quick"})
assert wrong.status_code == 400, wrong.text
listed = web.get(f"{base}/MachineActions", params={"$filter": f"machineId eq '{MACHINE}'"}).json()["value"]
assert [row["type"] for row in listed] == ["Isolate"], listed
"""

_V2_SCRIPT = """
import msal
app = msal.ConfidentialClientApplication(
    "quell-demo", client_credential="demo-secret",
    authority=f"https://login.microsoftonline.com/{TENANT}", http_client=web)
def bearer(scope):
    answer = app.acquire_token_for_client([scope])
    return {"Authorization": "Bearer " + answer["access_token"]}
defender = bearer("https://api.securitycenter.microsoft.com/.default")
for host in ("api.securitycenter.microsoft.com", "api.security.microsoft.com"):
    for prefix in ("/api", "/api/v1.0"):
        rows = web.get(f"https://{host}{prefix}/machines?$top=1", headers=defender).json()
        assert len(rows["value"]) == 1 and rows["@odata.nextLink"].startswith(f"https://{host}"), rows
        rest = web.get(rows["@odata.nextLink"], headers=defender)
        assert rest.status_code == 200, rest.text
graph = bearer("https://graph.microsoft.com/.default")
emails = "https://graph.microsoft.com/v1.0/security/collaboration/analyzedEmails"
mail = {"displayName": "x", "description": "x", "severity": "low", "action": "softDelete",
        "remediateSendersCopy": False,
        "analyzedEmails": [{"networkMessageId": "m", "recipientEmailAddress": "a@b.example"}]}
for name in ("remediate", "microsoft.graph.security.remediate"):
    answer = web.post(f"{emails}/{name}", json=mail, headers=graph)
    assert answer.status_code == 202 and "bulkId" in answer.headers["Location"], answer.text
hunts = "https://graph.microsoft.com/v1.0/security"
for name in ("runHuntingQuery", "microsoft.graph.security.runHuntingQuery"):
    answer = web.post(f"{hunts}/{name}", json={"Query": "DeviceInfo | take 1"}, headers=graph)
    assert answer.status_code == 200 and answer.json()["schema"] is not None, answer.text
assert web.get(f"{hunts}/alerts_v2", headers=defender).status_code == 401
"""


def _run(script: str, simulator: RunningSimulator, company: Company, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(_RESOLVER + script)
    environment = {
        "PATH": os.environ["PATH"],
        "SIMULATOR_PORT": simulator.url.rpartition(":")[2],
        "CA_FILE": simulator.ca_file,
        "TENANT": company.id,
        "MACHINE": company.machines[0],
        "MACHINE_NAME": company.defender.get(f"/api/machines/{company.machines[0]}").json()["computerDnsName"],
    }
    command = [sys.executable, str(program)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("script", [_V1_SCRIPT, _V2_SCRIPT], ids=["v1 token, requests", "v2 token, msal"])
def test_a_client_of_microsofts_works_unmodified(script, simulator, acme, tmp_path):
    _run(script, simulator, acme, tmp_path)
