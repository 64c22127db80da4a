"""The simulator as its operator sees it: told what there is and what shall go wrong, asked what was done."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from portal.demo.companies import Company
from portal.demo.processes import Premises

Json = dict[str, Any]


class Simulator:
    """The simulator's own view: what it was asked, what is true at it, and what shall go wrong."""

    def __init__(self, premises: Premises) -> None:
        trust = ssl.create_default_context(cafile=str(premises.ca_file))
        url = f"{premises.simulator_url}/_simulator"
        self._web = httpx.Client(base_url=url, verify=trust, timeout=20, trust_env=False)

    def tell(self, company: Company, scene: Json) -> None:
        """Add machines, alerts and mails to a company's tenant."""
        self._web.put(f"/tenants/{company.entra_tenant_id}", json=scene).raise_for_status()

    def break_once(self, kind: str, path: str, **details: object) -> None:
        """Let the next POST to a path that holds this text go wrong."""
        fault = {"kind": kind, "path": path, "count": 1, "method": "POST", **details}
        self._web.post("/faults", json=fault).raise_for_status()

    def start_storm(self, company: Company, path: str, retry_after: int) -> str:
        """Answer 429 to every POST of a company's whose path holds this text; return the storm's name."""
        fault = {
            "kind": "throttle",
            "path": path,
            "tenant": str(company.entra_tenant_id),
            "retry_after": str(retry_after),
        }
        storm: str = self._web.post("/faults", json=fault).raise_for_status().json()["id"]
        return storm

    def end_storm(self, storm: str) -> None:
        """Let a storm be over."""
        self._web.delete(f"/faults/{storm}").raise_for_status()

    def requests_of(self, action: Mapping[str, Any]) -> list[Json]:
        """Return every request it received for an action, oldest first, accepted or not."""
        answer = self._web.get("/log", params={"external_id": action["id"]}).raise_for_status()
        entries: list[Json] = answer.json()["entries"]
        return entries

    def requests_to(self, path: str) -> list[Json]:
        """Return every request it received whose path holds this text."""
        entries: list[Json] = self._web.get("/log").raise_for_status().json()["entries"]
        return [entry for entry in entries if path.lower() in entry["path"].lower()]

    def machine(self, company: Company, machine: Mapping[str, Any]) -> Json:
        """Return what was done to one machine."""
        machines: list[Json] = self.tenant(company)["machines"]
        return next(row for row in machines if row["id"] == machine["id"])

    def mailbox(self, company: Company, address: str) -> Json:
        """Return how a mailbox forwards, and its rules."""
        mailboxes: list[Json] = self.tenant(company)["mailboxes"]
        return next(row for row in mailboxes if row["address"] == address)

    def email(self, company: Company, message_id: str) -> Json:
        """Return one mail and where it lies."""
        emails: list[Json] = self.tenant(company)["emails"]
        return next(row for row in emails if row["networkMessageId"] == message_id)

    def fix(self, company: Company, recommendation_id: str, **which: object) -> list[str]:
        """Let devices be exposed no longer: `count` of them, or those of `machines`; return their ids."""
        return self._change(company, "fix", recommendation_id, which)

    def expose(self, company: Company, recommendation_id: str, **which: object) -> list[str]:
        """Let devices be exposed: `count` more of them, or those of `machines`; return their ids."""
        return self._change(company, "expose", recommendation_id, which)

    def generated_recommendation(self, company: Company) -> str:
        """Return the id of a recommendation that was generated: the one with the most exposed devices."""
        counts: dict[str, int] = self.tenant(company)["recommendations"]
        return max(counts, key=counts.__getitem__)

    def task(self, company: Company, task_id: str) -> Json:
        """Return a security task as Intune has it, with its devices."""
        task: Json = self._web.get(_task(company, task_id)).raise_for_status().json()
        return task

    def move_task(self, company: Company, task_id: str, status: str, note: str = "") -> None:
        """Be the IT admin who accepts ("active"), rejects or completes a security task."""
        self._web.post(_task(company, task_id), json={"status": status, "note": note}).raise_for_status()

    def delete_task(self, company: Company, task_id: str) -> None:
        """Be the IT admin who deletes a security task."""
        self._web.delete(_task(company, task_id)).raise_for_status()

    def change_known_exploited(self, changes: Json) -> None:
        """Replace the list of known exploited vulnerabilities or break it; {} brings back what it began with."""
        self._web.put("/kev", json=changes).raise_for_status()

    def inbox_url(self, name: str) -> str:
        """Return the address that somebody's messages can be posted to."""
        return f"{self._web.base_url}inbox/{name}"

    def inbox(self, name: str) -> list[Json]:
        """Return what came to an inbox, oldest first, each with its headers, text, body and how it was answered."""
        messages: list[Json] = self._web.get(f"/inbox/{name}").raise_for_status().json()["messages"]
        return messages

    def fail_inbox(self, name: str, **trouble: object) -> None:
        """Let an inbox answer the next `times` messages with `status`, after so many `seconds`."""
        self._web.put(f"/inbox/{name}", json=trouble).raise_for_status()

    def device_changes(self, company: Company) -> list[Json]:
        """Return every request it received that would change a company's device, accepted or not."""
        answer = self._web.get("/log", params={"tenant": str(company.entra_tenant_id)}).raise_for_status()
        entries: list[Json] = answer.json()["entries"]
        return [entry for entry in entries if "/machines/" in entry["path"].lower()]

    def _change(self, company: Company, verb: str, recommendation_id: str, which: Mapping[str, object]) -> list[str]:
        path = f"/tenants/{company.entra_tenant_id}/{verb}"
        answer = self._web.post(path, json={"recommendation": recommendation_id, **which}).raise_for_status()
        [changed] = answer.json().values()
        return [str(machine) for machine in changed]

    def tenant(self, company: Company) -> Json:
        """Return all that is true in a company's tenant."""
        tenant: Json = self._web.get(f"/tenants/{company.entra_tenant_id}").raise_for_status().json()
        return tenant


def _task(company: Company, task_id: str) -> str:
    return f"/tenants/{company.entra_tenant_id}/tasks/{task_id}"
