"""The endpoints under ``/_simulator`` that Microsoft does not have: seeding, looking behind the scenes, faults, log.

They need no sign-in and answer to this machine only.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.simulator.admin_requests import AdminHandler, Wrong, guarded, json_of, tenant_id_of, tenant_of
from connectors.simulator.exchange import Json
from connectors.simulator.faults import Faults
from connectors.simulator.generated import generate
from connectors.simulator.log import AcceptedLog
from connectors.simulator.moments import now_ticks
from connectors.simulator.records import MachineAction
from connectors.simulator.seeds import (
    command_result,
    hunting_trouble,
    put_accepted_domain,
    put_alert,
    put_contact,
    put_email,
    put_event,
    put_file,
    put_indicator,
    put_machine,
    put_mailbox,
)
from connectors.simulator.store import Tenant, World
from connectors.simulator.submissions import made_in
from connectors.simulator.vulnerability_seeds import (
    intune_state,
    put_managed_device,
    put_recommendation,
    put_remediation_task,
    put_security_task,
)

SEED_KEYS = frozenset(
    {
        "machines",
        "alerts",
        "emails",
        "files",
        "command_results",
        "mailboxes",
        "contacts",
        "accepted_domains",
        "url_limit",
        "capabilities",
        "withheld_roles",
        "consent_revoked",
        "action_seconds",
        "link_seconds",
        "enforce_quotas",
        "quota_percent",
        "indicators",
        "hunting",
        "events",
        "recommendations",
        "remediation_tasks",
        "security_tasks",
        "managed_devices",
        "intune",
        "page_size",
        "generate",
    }
)


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin endpoints over one world, its faults and its log."""

    world: World
    faults: Faults
    log: AcceptedLog

    def routes(self) -> list[BaseRoute]:
        """Every admin route, below ``/_simulator``."""
        table: list[tuple[str, str, AdminHandler]] = [
            ("GET", "/health", self.health),
            ("GET", "/state", self.state),
            ("GET", "/log", self.read_log),
            ("GET", "/faults", self.list_faults),
            ("POST", "/faults", self.add_fault),
            ("DELETE", "/faults", self.remove_faults),
            ("DELETE", "/faults/{fault}", self.remove_faults),
            ("PUT", "/clients/{client}", self.put_client),
            ("GET", "/tenants/{tenant}", self.get_tenant),
            ("PUT", "/tenants/{tenant}", self.put_tenant),
            ("DELETE", "/tenants/{tenant}", self.delete_tenant),
            ("POST", "/tenants/{tenant}/alerts", self.add_alerts),
        ]
        return [Route(f"/_simulator{path}", guarded(handler), methods=[verb]) for verb, path, handler in table]

    async def health(self, _: Request) -> Response:
        """Say that the simulator is up."""
        return JSONResponse({"status": "ok"})

    async def state(self, _: Request) -> Response:
        """How much there is of everything, over all tenants; machine actions by status."""
        now = now_ticks()
        tenants = self.world.tenants.values()
        actions = Counter(action.status(now) for tenant in tenants for action in tenant.actions.values())
        counts = {
            "tenants": sorted(self.world.tenants),
            "machines": sum(len(tenant.machines) for tenant in tenants),
            "alerts": sum(len(tenant.alerts) for tenant in tenants),
            "emails": sum(len(tenant.emails) for tenant in tenants),
            "machine_actions": dict(actions),
            "faults": len(self.faults.all()),
        }
        return JSONResponse(counts)

    async def read_log(self, request: Request) -> Response:
        """The log's entries, oldest first, of one tenant and one external id when asked."""
        query = request.query_params
        wanted = {"tenant": query.get("tenant"), "external_id": query.get("external_id")}
        entries = await asyncio.to_thread(self.log.entries, **wanted)
        return JSONResponse({"entries": entries})

    async def list_faults(self, _: Request) -> Response:
        """Every fault that is on."""
        return JSONResponse({"faults": [fault.as_json() for fault in self.faults.all()]})

    async def add_fault(self, request: Request) -> Response:
        """Switch a fault on; answers with its id."""
        return JSONResponse(self.faults.add(await json_of(request)).as_json(), 201)

    async def remove_faults(self, request: Request) -> Response:
        """Switch one fault off, or all."""
        return JSONResponse({"removed": self.faults.remove(request.path_params.get("fault"))})

    async def put_client(self, request: Request) -> Response:
        """Register a client by id with ``client_secret`` or one more ``certificate`` (PEM), or change its secret."""
        body = await json_of(request)
        sent = body if isinstance(body, dict) else {}
        secret, pem = sent.get("client_secret"), sent.get("certificate")
        client_id = request.scope["original_path"].rpartition("/")[2]
        if isinstance(pem, str):
            try:
                self.world.registrations.register(client_id, pem)
            except ValueError as error:
                raise Wrong("certificate is no certificate in PEM") from error
        elif not isinstance(secret, str) or not secret:
            raise Wrong("client_secret is missing")
        else:
            self.world.clients[client_id] = secret
        return JSONResponse({"registered": True})

    async def put_tenant(self, request: Request) -> Response:
        """Make a tenant, or add to it and change what it has."""
        body = await json_of(request)
        if not isinstance(body, dict) or body.keys() - SEED_KEYS:
            raise Wrong(f"a tenant is a JSON object with some of {', '.join(sorted(SEED_KEYS))}")
        tenant = self.world.ensure_tenant(tenant_id_of(request))
        if "generate" in body:
            generate(tenant, body["generate"])
        for name, put in _SEEDED_ROWS.items():
            for row in _rows(body, name):
                put(tenant, row)
        _set_up(tenant, body)
        return JSONResponse(_tenant_view(tenant))

    async def delete_tenant(self, request: Request) -> Response:
        """Take a tenant away with all it has, as when a customer closes it."""
        return JSONResponse({"removed": self.world.tenants.pop(tenant_of(self.world, request).id).id})

    async def add_alerts(self, request: Request) -> Response:
        """Add one alert or a list of them, replacing those with the same id; answers with the ids."""
        tenant = tenant_of(self.world, request)
        body = await json_of(request)
        return JSONResponse(
            {"ids": [put_alert(tenant, alert) for alert in (body if isinstance(body, list) else [body])]}
        )

    async def get_tenant(self, request: Request) -> Response:
        """What is true in a tenant now, hidden or not: what was done to each machine, where each mail lies."""
        return JSONResponse(_tenant_view(tenant_of(self.world, request)))


_SEEDED_ROWS: dict[str, Callable[[Tenant, object], object]] = {
    "machines": put_machine,
    "alerts": put_alert,
    "emails": put_email,
    "files": put_file,
    "mailboxes": put_mailbox,
    "contacts": put_contact,
    "accepted_domains": put_accepted_domain,
    "indicators": put_indicator,
    "events": put_event,
    "managed_devices": put_managed_device,
    "recommendations": put_recommendation,
    "remediation_tasks": put_remediation_task,
    "security_tasks": put_security_task,
}


def _set_up(tenant: Tenant, body: Json) -> None:
    """Change how the tenant behaves, as far as the seed says."""
    if "hunting" in body:
        tenant.hunting = hunting_trouble(body["hunting"])
    if "intune" in body:
        tenant.intune = {**tenant.intune, **intune_state(body["intune"])}
    if "command_results" in body:
        tenant.command_results = [command_result(row) for row in _rows(body, "command_results")]
    if "withheld_roles" in body:
        tenant.withheld_roles = {str(role) for role in _rows(body, "withheld_roles")}
    if "capabilities" in body:
        tenant.capabilities = {str(name) for name in _rows(body, "capabilities")}
    tenant.url_limit = int(body.get("url_limit", tenant.url_limit))
    tenant.is_consent_revoked = bool(body.get("consent_revoked", tenant.is_consent_revoked))
    if "action_seconds" in body:
        tenant.action_seconds = _seconds(body["action_seconds"])
    if "link_seconds" in body:
        tenant.link_seconds = _seconds(body["link_seconds"])
    tenant.enforce_quotas = bool(body.get("enforce_quotas", tenant.enforce_quotas))
    tenant.page_size = int(body.get("page_size", tenant.page_size))
    tenant.quota_percent = int(body.get("quota_percent", tenant.quota_percent))


def _rows(body: Json, name: str) -> list[object]:
    rows = body.get(name, [])
    if not isinstance(rows, list):
        raise Wrong(f"{name} must be a list")
    return rows


def _seconds(value: object) -> float | None:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value < 0):
        raise Wrong("a length of time must be a number of at least 0, or null")
    return value


def _tenant_view(tenant: Tenant) -> Json:
    now = now_ticks()
    done: dict[str, list[MachineAction]] = defaultdict(list)
    for action in tenant.actions.values():
        done[action.machine_id].append(action)
    emails = [
        {
            "id": email.properties["id"],
            "networkMessageId": email.properties["networkMessageId"],
            "recipientEmailAddress": email.properties["recipientEmailAddress"],
            "subject": email.properties["subject"],
            "location": email.location(now),
            "remediations": [change.action for change in email.changes],
        }
        for email in tenant.emails.values()
    ]
    return {
        "id": tenant.id,
        "machines": [_machine_view(machine, done[machine_id], now) for machine_id, machine in tenant.machines.items()],
        "emails": emails,
        "alerts": list(tenant.alerts),
        "classifications": {
            alert["id"]: [alert["status"], alert["classification"], alert["determination"]]
            for alert in tenant.alerts.values()
        },
        "indicators": list(tenant.indicators.values()),
        "submissions": made_in(tenant),
        "library": sorted(tenant.library),
        "urls": sorted(row["Value"] for row in tenant.urls.values() if row["Action"] == "Block"),
        "mailboxes": [
            {"address": mailbox.address, **mailbox.forwarding, "rules": list(mailbox.rules.values())}
            for mailbox in tenant.mailboxes.values()
        ],
        "recommendations": {
            weakness.properties["id"]: len(tenant.exposures.counted(weakness, now))
            for weakness in tenant.exposures.all(now)
        },
        "security_tasks": list(tenant.security_tasks.values()),
    }


def _machine_view(machine: Json, actions: list[MachineAction], now: int) -> Json:
    view: Json = {
        "id": machine["id"],
        "computerDnsName": machine["computerDnsName"],
        "isolation": None,
        "restricted": False,
        "offboarded": False,
        "scans": 0,
        "quarantinedFiles": [],
        "packages": 0,
        "liveResponses": [],
        "actions": [
            {"id": a.id, "type": a.type, "status": a.status(now), "externalId": a.external_id} for a in actions
        ],
    }
    for action in actions:
        if action.done(now):
            _apply(view, action)
    return view


_COUNTED = {"RunAntiVirusScan": "scans", "CollectInvestigationPackage": "packages"}


def _apply(view: Json, action: MachineAction) -> None:
    match action.type:
        case "Isolate" | "Unisolate":
            view["isolation"] = action.scope
        case "RestrictCodeExecution" | "UnrestrictCodeExecution":
            view["restricted"] = action.type == "RestrictCodeExecution"
        case "Offboard":
            view["offboarded"] = True
        case "RunAntiVirusScan" | "CollectInvestigationPackage":
            view[_COUNTED[action.type]] += 1
        case "LiveResponse":
            view["liveResponses"] += [{"type": command.type, **dict(command.params)} for command in action.commands]
        case "StopAndQuarantineFile":
            if action.sha1 not in view["quarantinedFiles"]:
                view["quarantinedFiles"].append(action.sha1)
