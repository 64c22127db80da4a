"""All that the simulator knows, in memory: tenants with their machines, actions, alerts and mails, and the clients."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.simulator.assertions import Registrations
from connectors.simulator.exposures import Exposures
from connectors.simulator.records import Email, MachineAction

if TYPE_CHECKING:
    from connectors.simulator.library import LibraryFile
    from connectors.simulator.mailboxes import Mailbox
    from connectors.simulator.submissions import Submission

ActionKey = tuple[str, str, str | None]


@dataclass(slots=True)
class Tenant:
    """One customer's Microsoft tenant. Nothing in it can be reached with another tenant's token.

    ``action_seconds`` is how long its actions take, ``link_seconds`` how long links to results are good; None for what
    is usual. ``calls`` holds when each limited API was called; ``enforce_quotas`` limits all of them, to
    ``quota_percent`` of what is usual. Where consent was revoked the application gets no token. ``references`` are the
    rendered references to machines; lists about vulnerabilities and from Intune come in pages of ``page_size`` at most.
    """

    id: str
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    actions: dict[str, MachineAction] = field(default_factory=dict)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    emails: dict[tuple[str, str], Email] = field(default_factory=dict)
    withheld_roles: set[str] = field(default_factory=set)
    is_consent_revoked: bool = False
    action_seconds: float | None = None
    library: "dict[str, LibraryFile]" = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    mailboxes: "dict[str, Mailbox]" = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    accepted_domains: list[str] = field(default_factory=list)
    urls: dict[str, dict[str, Any]] = field(default_factory=dict)
    url_limit: int = 500
    capabilities: set[str] = field(default_factory=set)
    command_results: list[dict[str, Any]] = field(default_factory=list)
    link_seconds: float | None = None
    enforce_quotas: bool = False
    indicators: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    submissions: "list[Submission]" = field(default_factory=list)
    hunting: dict[str, Any] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    quota_percent: int = 100
    calls: dict[str, deque[int]] = field(default_factory=dict)
    exposures: Exposures = field(init=False)
    references: dict[str, bytes] = field(default_factory=dict)
    page_size: int = 10_000
    remediation_tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    security_tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    managed_devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    intune: dict[str, Any] = field(default_factory=dict)
    _latest: dict[ActionKey, MachineAction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exposures = Exposures(self.machines)

    def add_action(self, action: MachineAction) -> None:
        """Keep one more machine action; equal ones stay side by side."""
        self.actions[action.id] = action
        self._latest[(action.machine_id, action.type, action.sha1)] = action

    def latest_action(self, machine_id: str, kind: str, sha1: str | None) -> MachineAction | None:
        """The newest action of this type on this machine (and file), the only one that can still be under way."""
        return self._latest.get((machine_id, kind, sha1))

    def email(self, network_message_id: str, recipient: str) -> Email | None:
        """The mail with this message id in this person's mailbox, whatever the case of the letters."""
        return self.emails.get(email_key(network_message_id, recipient))


def email_key(network_message_id: str, recipient: str) -> tuple[str, str]:
    """What tells one delivered mail from another."""
    return network_message_id.lower(), recipient.lower()


@dataclass(slots=True)
class World:
    """Every seeded tenant by its lower-case id, and the secrets and certificates of every registered client."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    registrations: Registrations = field(default_factory=Registrations)

    def knows_client(self, client_id: str) -> bool:
        """Whether an application with this id is registered."""
        return client_id in self.clients or client_id in self.registrations.certificates

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant with this id, if it was seeded."""
        return self.tenants.get(tenant_id.lower())

    def ensure_tenant(self, tenant_id: str) -> Tenant:
        """The tenant with this id, made when it is new."""
        return self.tenants.setdefault(tenant_id.lower(), Tenant(tenant_id.lower()))
