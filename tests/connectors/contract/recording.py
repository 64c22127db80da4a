"""Drives the real connector, and a plain client for what it does not use, against a simulator that writes all down."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from connectors.microsoft.connector import Microsoft
from connectors.protocol import ActionRequest, ConnectionSettings, ConnectorError, Receipt
from portal.secrets.secret_text import SecretText

MACHINE: Final = "a1" * 20
SHA1: Final = "5e" * 20
MESSAGE, KEPT_MESSAGE, QUARANTINED_MESSAGE = str(UUID(int=7)), str(UUID(int=8)), str(UUID(int=9))
PERSON: Final = "ada@acme.example"
ALERT: Final = "da639058112345678901_-201174455"
_MESSAGES: Final = [{"network_message_id": MESSAGE, "recipient": PERSON}]
_KEPT: Final = [{"network_message_id": KEPT_MESSAGE, "recipient": PERSON}]
_QUARANTINED: Final = [{"network_message_id": QUARANTINED_MESSAGE, "recipient": PERSON}]
_INDICATOR: Final = {"indicator_type": "FileSha1", "value": SHA1}

PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "isolate_device": {"isolation_type": "Selective"},
    "run_antivirus_scan": {"scan_type": "Quick"},
    "stop_and_quarantine_file": {"sha1": SHA1},
    "release_from_quarantine": {"sha1": SHA1},
    "request_sample": {"path": r"C:\Temp\a.exe"},
    "delete_file": {"path": r"C:\Temp\a.exe", "sha1": SHA1},
    "stop_process": {"process_id": "4711", "process_name": "a.exe"},
    "remove_scheduled_task": {"task_name": r"\Updater"},
    "get_file_information": {"sha1": SHA1},
    "block_url": {"url": "evil.example/login"},
    "unblock_url": {"url": "evil.example/login"},
    "turn_off_forwarding": {"mailbox": PERSON},
    "allow_indicator": {**_INDICATOR, "days": 30},
    "block_indicator": {"indicator_type": "DomainName", "value": "evil.example"},
    "remove_indicator": _INDICATOR,
    "classify_alert": {"alert_id": ALERT, "classification": "falsePositive", "determination": "notMalicious"},
    "quarantine_email": {"messages": _QUARANTINED},
    "release_email": {"messages": _QUARANTINED},
    "submit_email": {"messages": _KEPT, "category": "notJunk"},
    "submit_url": {"url": "https://evil.example/login", "category": "phishing"},
}
"""What each action type is tried with; mail types without an entry act on one message, device types need nothing."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Every exchange, and the receipt of each action type that was sent."""

    exchanges: list[dict[str, Any]]
    receipts: dict[str, Receipt]


@contextmanager
def simulator(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a simulator that keeps its exchanges in `folder`; yield its address and the certificate to trust."""
    command = [sys.executable, "-m", "connectors.simulator", "--data", str(folder), "--action-seconds", "0"]
    process = subprocess.Popen([*command, "--exchanges", str(folder / "exchanges.ndjson")], stdout=subprocess.DEVNULL)
    note = folder / "simulator.json"
    ends_at = time.monotonic() + 30
    while not note.exists():
        assert process.poll() is None, "the simulator ended at once"
        assert time.monotonic() < ends_at, "the simulator did not start within 30 s"
        time.sleep(0.05)
    told = json.loads(note.read_text())
    try:
        yield told["url"], told["ca_file"]
    finally:
        process.terminate()
        process.wait(10)


def settings(url: str, ca_file: str, tenant: str) -> ConnectionSettings:
    """A connection to the simulator, for a tenant that has all that Quell knows of."""
    return ConnectionSettings(
        kind="microsoft",
        entra_tenant_id=tenant,
        client_id="quell-demo",
        client_secret=SecretText("demo-secret"),
        login_url=url,
        defender_url=url,
        graph_url=url,
        exchange_url=url,
        ca_file=ca_file,
        capabilities=frozenset({"move_to_quarantine"}),
    )


def drive(connector: Microsoft, types: list[str]) -> dict[str, Receipt]:
    """Prepare, send and look up one action of each type, in this order; return the receipts of the look-ups."""
    receipts: dict[str, Receipt] = {}
    for name in types:
        parameters = PARAMETERS.get(name, {"messages": _MESSAGES})
        if name == "restore_forwarding":
            parameters = {"mailbox": PERSON, "former": receipts["turn_off_forwarding"].data}
        request = ActionRequest(uuid4(), name, MACHINE, parameters, "contract")
        findings = connector.prepare(request)
        receipt = connector.send(replace(request, findings=findings), before_sending=lambda: None)
        found = connector.look_up([replace(request, findings=findings, sent_at=_now(), remote_id=receipt.remote_id)])
        receipts[name] = found.found.get(request.action_id, receipt)
        if name == "turn_off_forwarding":
            receipts[name] = replace(receipts[name], data=findings)
    return receipts


def read_all(connector: Microsoft, receipts: Mapping[str, Receipt]) -> None:
    """Ask for everything that is only read, downloads too, and for a few things that are not there."""
    list(connector.devices())
    list(connector.alerts(None))
    connector.check()
    connector.hunt("DeviceInfo | take 1", timespan="P7D", most_rows=10)
    for name in ("collect_investigation_package", "request_sample"):
        connector.download_link(ActionRequest(uuid4(), name, MACHINE, {}, "", remote_id=receipts[name].remote_id))
    for request in _odd_ones():
        for ask in (connector.cancel, connector.download_link):
            try:
                ask(request)
            except ConnectorError:
                continue


def _odd_ones() -> list[ActionRequest]:
    unknown = ActionRequest(uuid4(), "isolate_device", MACHINE, {}, "contract", remote_id=str(uuid4()))
    return [unknown, replace(unknown, type="collect_investigation_package"), replace(unknown, type="request_sample")]


def exchanges_in(folder: Path) -> list[dict[str, Any]]:
    """Return what the simulator wrote down so far."""
    return [json.loads(line) for line in (folder / "exchanges.ndjson").read_text().splitlines()]


def client(url: str, ca_file: str, tenant: str, audience: str) -> httpx.Client:
    """A plain client with a bearer for one API."""
    trust = ssl.create_default_context(cafile=ca_file)
    form = {
        "grant_type": "client_credentials",
        "client_id": "quell-demo",
        "client_secret": "demo-secret",
        "scope": f"{audience}/.default",
    }
    token = httpx.post(f"{url}/{tenant}/oauth2/v2.0/token", data=form, verify=trust).json()["access_token"]
    return httpx.Client(base_url=url, verify=trust, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def _now() -> datetime:
    return datetime.now(UTC)
