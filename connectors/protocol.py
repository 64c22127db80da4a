"""What every vendor's connector promises: plain values in, plain values out, three outcomes a call.

*Yes* is a `Receipt`, *no* is `Refused` (nothing happened, for certain), everything else is
`OutcomeUnknown`. A connector never retries a call that acts, and never guesses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol
from uuid import UUID

from connectors.vulnerability_protocol import Intune, Vulnerabilities
from portal.secrets.secret_text import SecretText

CAPABILITIES: Final = ("move_to_quarantine",)
"""What a tenant may have that Microsoft does not offer everywhere."""


WAS_THERE: Final = "was_there_before"
"""In a receipt's `data`: what was asked for was so already, by somebody else's doing, and must not be taken back."""


class RemoteState(StrEnum):
    """How far the vendor has come with something it accepted."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Where one customer's services are and who we are there.

    `entra_tenant_id` is the customer's Microsoft Entra tenant; a token whose `tid` differs is never used.
    URLs carry no trailing slash. `ca_file` is a PEM bundle to trust instead of the system's ("" for the system's).
    `client_certificate` is PEM, private key and certificate, and is used instead of the secret. `capabilities` names
    what this tenant has and others lack (`CAPABILITIES`); `cloud` is one of `connectors.clouds.Cloud`.
    """

    kind: str
    entra_tenant_id: str
    client_id: str
    client_secret: SecretText
    login_url: str
    defender_url: str
    graph_url: str
    exchange_url: str = "https://outlook.office365.com"
    ca_file: str = ""
    client_certificate: SecretText | None = None
    capabilities: frozenset[str] = frozenset()
    cloud: str = "global"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one API of one tenant takes: calls a minute, and an hour (None: no such limit)."""

    name: str
    per_minute: int
    per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action as it leaves the house; `action_id` travels with it so that a look-up can recognise it.

    `type` is the action's name in the catalogue. `machine_id` is Defender's 40 hex digits, "" for mail.
    `sent_at` (UTC) is when the action was claimed and `remote_id` what the vendor called it; both are
    for look-ups and empty before the first send. `findings` is what `prepare` found, None where it found nothing.
    `undoes` is the action that this one takes back, None for one that was asked for by itself.
    """

    action_id: UUID
    type: str
    machine_id: str
    parameters: Mapping[str, Any]
    comment: str
    sent_at: datetime | None = None
    remote_id: str = ""
    findings: Mapping[str, Any] | None = None
    undoes: UUID | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The vendor has it: its own id for the action, how far it is, and its words about that.

    `data` is what an action that only reads has read, in the vendor's own field names; None for all others.
    """

    remote_id: str
    state: RemoteState
    detail: str = ""
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """Where an action's result can be fetched without signing in, for a short while.

    The address is itself the key to the result: it goes to the one person who asked, and is never stored or logged.
    `valid_seconds` is None where the vendor only says "a short time".
    """

    url: str = field(repr=False)
    valid_seconds: int | None


@dataclass(frozen=True, slots=True)
class HuntingResult:
    """What a hunting query found: column names with Microsoft's types, and at most as many rows as were wanted.

    `row_count` is how many came; where it is larger than the number of `rows`, the rest was left out.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Mapping[str, Any]]
    row_count: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a connection's check: what was tried, whether it works, and what to do about it if not.

    `code` is the vendor's error code or the missing permission, "" where it works.
    """

    what: str
    works: bool
    words: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a look-up found. An action asked for that is in neither field is absent, for certain."""

    found: Mapping[UUID, Receipt]
    unanswered: frozenset[UUID] = frozenset()


class ConnectorError(Exception):
    """A call that did not end in a plain yes. The message is safe to show and holds no secret."""


class OutcomeUnknown(ConnectorError):
    """The request may or may not have been carried out: a time-out, a reset, a 5xx, an unreadable answer."""


class Refused(ConnectorError):
    """The vendor said no and nothing happened. `code` is the vendor's error code, for branching.

    `status` is the HTTP status it came with, 0 where there was none; Intune's code is often `UnknownError` for all.
    """

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NotSent(Refused):
    """The request never left the house, or was turned away at the door: try again after `retry_after` seconds."""

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Throttled(NotSent):
    """Too many calls (429); the whole tenant should wait `retry_after` seconds (None: the vendor did not say)."""


class AlreadyInProgress(Refused):
    """The device is busy with an action of this type, ours or another's: only a look-up can tell."""


class Connector(Protocol):
    """One vendor, for one tenant.

    `cancellable_types` names the action types that it may stop after it accepted them, `download_types` those that
    bring back something to fetch.
    """

    kind: ClassVar[str]
    cancellable_types: ClassVar[frozenset[str]]
    download_types: ClassVar[frozenset[str]]

    def send(self, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        """Ask the vendor to act, once.

        `before_sending` is called when everything is ready and the next step is the socket; what it
        raises is passed on and nothing is sent. Raises Refused (and its kinds) or OutcomeUnknown.
        """

    def quota_of(self, action_type: str) -> Quota | None:
        """Return what sending an action of this type counts against, None where nothing is called."""

    def prepare(self, request: ActionRequest) -> Mapping[str, Any] | None:
        """Read what has to be kept before this action changes it, None for most. Acts on nothing.

        Called once per action, before its first send. Raises Refused, NotSent and their kinds.
        """

    def cancel(self, request: ActionRequest) -> None:
        """Ask the vendor to stop an action it accepted; what came of it, a look-up tells. Asking twice is harmless.

        Raises Refused where the vendor does not allow it (any more), and ConnectorError.
        """

    def look_up(self, requests: Sequence[ActionRequest]) -> LookUp:
        """Say what became of earlier requests, by remote id where known, else by our marker. Acts on nothing."""

    def download_link(self, request: ActionRequest, *, index: int = 0) -> DownloadLink:
        """Ask for a fresh link to what command `index` of an earlier action brought back. Acts on nothing.

        Needs the request's `remote_id`. Raises Refused where there is nothing to fetch (yet), and ConnectorError.
        """

    def hunt(self, query: str, *, timespan: str, most_rows: int) -> HuntingResult:
        """Run one hunting query (KQL) over `timespan` (ISO 8601) and return its first `most_rows` rows.

        Raises Refused with the vendor's words for a query that fails, Throttled, and OutcomeUnknown.
        """

    def check(self) -> Sequence[Finding]:
        """Try what the connection is for, one read per API, and say what works and what is missing. Never raises."""

    @property
    def vulnerabilities(self) -> Vulnerabilities:
        """The tenant's vulnerability management."""

    @property
    def intune(self) -> Intune:
        """The tenant's Intune."""

    def devices(self) -> Iterator[Mapping[str, Any]]:
        """Yield the tenant's devices as the vendor describes them. Raises ConnectorError."""

    def alerts(self, since: datetime | None) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield pages of alerts last updated at or after `since` (UTC), oldest first. Raises ConnectorError."""
