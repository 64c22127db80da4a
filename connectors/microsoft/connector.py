"""The Microsoft connector: Defender for Endpoint for devices, Graph for mail and alerts, Exchange for mailboxes."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from connectors.clouds import lacking, reason_against
from connectors.microsoft import (
    alerts,
    cancelling,
    checking,
    classification,
    defender,
    downloads,
    file_information,
    forwarding,
    hunting,
    indicators,
    live_response,
    machines,
    mail,
    quarantine,
    submissions,
    url_blocks,
)
from connectors.microsoft.http import Api
from connectors.microsoft.intune import Intune
from connectors.microsoft.quotas import quota_of_call
from connectors.microsoft.sign_in import DEFENDER, EXCHANGE, GRAPH, Resource, SignIn
from connectors.microsoft.vulnerabilities import Vulnerabilities
from connectors.protocol import (
    ActionRequest,
    ConnectionSettings,
    DownloadLink,
    Finding,
    HuntingResult,
    LookUp,
    Quota,
    Receipt,
    Refused,
)
from connectors.storable import as_storable

logger = logging.getLogger(__name__)

_PACKAGE: Final = "collect_investigation_package"
_ON_DEVICES: Final = frozenset(defender.ROUTES) | live_response.ACTIONS
"""The types that become machine actions, and are found again in their list."""

_REMEDIATE: Final = ("POST", f"{mail.EMAILS}/remediate")
_INVOKE: Final = ("POST", "/adminapi/beta/*/InvokeCommand")
_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    **{name: ("POST", f"/api/machines/*/{route.path}") for name, route in defender.ROUTES.items()},
    **dict.fromkeys(live_response.ACTIONS, ("POST", "/api/machines/*/runliveresponse")),
    **dict.fromkeys(file_information.ACTIONS, ("GET", "/api/files/*")),
    **dict.fromkeys(mail.ACTIONS, _REMEDIATE),
    **dict.fromkeys(url_blocks.ACTIONS | quarantine.ACTIONS | forwarding.ACTIONS, _INVOKE),
    **dict.fromkeys(("allow_indicator", "block_indicator"), ("POST", "/api/indicators")),
    "remove_indicator": ("DELETE", "/api/indicators/*"),
    "classify_alert": ("PATCH", "/v1.0/security/alerts_v2/*"),
    "submit_email": ("POST", "/beta/security/threatSubmission/emailThreats"),
    "submit_url": ("POST", "/beta/security/threatSubmission/urlThreats"),
}
"""The acting call of each action type; what counts against the same quota has the same."""


class _Way(Protocol):
    """One module's way of doing some action types over one API."""

    def send(self, api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt: ...

    def look_up(self, api: Api, requests: Sequence[ActionRequest]) -> LookUp: ...


class _OnDevices:
    """Machine actions of both kinds: sent in two ways, found again in one list."""

    @staticmethod
    def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        if request.type in live_response.ACTIONS:
            return live_response.send(api, request, before_sending=before_sending)
        return defender.send(api, request, before_sending=before_sending)

    @staticmethod
    def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
        return live_response.conclude(api, requests, defender.look_up(api, requests))


_OVER_DEFENDER: Final[Sequence[tuple[frozenset[str], _Way]]] = (
    (_ON_DEVICES, _OnDevices),
    (file_information.ACTIONS, file_information),
    (indicators.ACTIONS, indicators),
)
_OVER_GRAPH: Final[Sequence[tuple[frozenset[str], _Way]]] = (
    (frozenset(mail.ACTIONS), mail),
    (classification.ACTIONS, classification),
    (submissions.ACTIONS, submissions),
)
_OVER_EXCHANGE: Final[Sequence[tuple[frozenset[str], _Way]]] = (
    (url_blocks.ACTIONS, url_blocks),
    (quarantine.ACTIONS, quarantine),
)
_NEEDS: Final = {"quarantine_email": "move_to_quarantine"}
"""The types that Microsoft does only for tenants with a capability."""


class Microsoft:
    """One customer's Microsoft services. Every HTTP exchange, signing in included, ends within the deadline."""

    kind: ClassVar[str] = "microsoft"
    action_types: ClassVar[frozenset[str]] = frozenset[str]().union(
        forwarding.ACTIONS, *(types for types, _ in (*_OVER_DEFENDER, *_OVER_GRAPH, *_OVER_EXCHANGE))
    )
    cancellable_types: ClassVar[frozenset[str]] = cancelling.CANCELLABLE_TYPES
    download_types: ClassVar[frozenset[str]] = live_response.ACTIONS | {_PACKAGE}

    def __init__(self, settings: ConnectionSettings, *, deadline_seconds: float) -> None:
        """Remember where to go; nothing is called yet. Raises ValueError for an address that is not https."""
        for url in (settings.login_url, settings.defender_url, settings.graph_url, settings.exchange_url):
            if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
                raise ValueError(f"{url!r} is no https address; tokens and secrets travel over https only.")
        self._settings = settings
        self._deadline_seconds = deadline_seconds
        self._tokens = SignIn(settings, deadline_seconds=deadline_seconds)
        self._defender = self._api(settings.defender_url, DEFENDER)
        self._graph = self._api(settings.graph_url, GRAPH)
        self._exchange = self._api(settings.exchange_url, EXCHANGE)
        self._forwarding = forwarding.Forwarding(self._graph)
        self._ways = [
            *((types, way, self._defender) for types, way in _OVER_DEFENDER),
            *((types, way, self._graph) for types, way in _OVER_GRAPH),
            *((types, way, self._exchange) for types, way in _OVER_EXCHANGE),
            (forwarding.ACTIONS, self._forwarding, self._exchange),
        ]

    def _api(self, url: str, resource: Resource) -> Api:
        return Api(
            url,
            resource=resource,
            tokens=self._tokens,
            tenant_id=self._settings.entra_tenant_id,
            ca_file=self._settings.ca_file,
            deadline_seconds=self._deadline_seconds,
        )

    def send(self, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        """Ask Microsoft to act, once. Raises Refused and its kinds, or OutcomeUnknown."""
        if (needed := _NEEDS.get(request.type)) and needed not in self._settings.capabilities:
            raise Refused(f"Microsoft does not {request.type} in this tenant ({needed} is missing).", code="NotOffered")
        against = reason_against(request.type, self._settings.cloud)
        if against is not None:
            raise Refused(str(against), code="NotInThisCloud")
        for types, way, api in self._ways:
            if request.type in types:
                return _storable(way.send(api, request, before_sending=before_sending))
        raise Refused(f"Microsoft is not asked to {request.type}: it is not connected.", code="UnknownAction")

    def prepare(self, request: ActionRequest) -> Mapping[str, Any] | None:
        """Return how a mailbox forwards before that is turned off, None for all other types. Raises Refused's kinds."""
        if request.type != forwarding.TURN_OFF:
            return None
        found: dict[str, Any] = as_storable(self._forwarding.prepare(self._exchange, request))
        return found

    def quota_of(self, action_type: str) -> Quota | None:
        """Return what sending an action of this type counts against, None for one that is never sent."""
        call = _CALLS.get(action_type)
        return quota_of_call(*call) if call else None

    def look_up(self, requests: Sequence[ActionRequest]) -> LookUp:
        """Say what became of earlier requests. A failed read, whatever the reason, leaves them unanswered."""
        found: dict[UUID, Receipt] = {}
        unanswered = {request.action_id for request in requests if request.type not in self.action_types}
        for types, way, api in self._ways:
            if asked := [request for request in requests if request.type in types]:
                answer = way.look_up(api, asked)
                found |= {action_id: _storable(receipt) for action_id, receipt in answer.found.items()}
                unanswered |= answer.unanswered
        if unanswered:
            logger.warning("tenant %s: look-up left %d unanswered", self._settings.entra_tenant_id, len(unanswered))
        return LookUp(found, frozenset(unanswered))

    def cancel(self, request: ActionRequest) -> None:
        """Ask Defender to stop a machine action it accepted. Raises Refused when it has ended, and ConnectorError."""
        cancelling.cancel(self._defender, request)

    def hunt(self, query: str, *, timespan: str, most_rows: int) -> HuntingResult:
        """Run one KQL query; see `hunting.hunt`. Open the connection with time for it (HUNTING_DEADLINE_SECONDS)."""
        return hunting.hunt(self._graph, query, timespan=timespan, most_rows=most_rows)

    def check(self) -> Sequence[Finding]:
        """Say of each API whether it works, and what to do where it does not, with fresh tokens. Never raises."""
        self._tokens.forget()
        services = [
            checking.of_defender(self._defender),
            checking.of_graph(self._graph),
            checking.of_exchange(self._exchange),
        ]
        return checking.check(services, lacking=lacking(self._settings.cloud))

    def download_link(self, request: ActionRequest, *, index: int = 0) -> DownloadLink:
        """Ask for a fresh link to a package, a sample or a transcript. Raises Refused, ConnectorError."""
        if request.type == _PACKAGE:
            return downloads.package_link(self._defender, request)
        if request.type in live_response.ACTIONS:
            return downloads.command_link(self._defender, request, index)
        raise Refused(f"{request.type} brings back nothing to fetch.", code="NoResult")

    @property
    def intune(self) -> Intune:
        """The tenant's Intune."""
        return Intune(self._graph)

    @property
    def vulnerabilities(self) -> Vulnerabilities:
        """The tenant's vulnerability management, over Defender for Endpoint."""
        return Vulnerabilities(self._defender)

    def devices(self) -> Iterator[Mapping[str, Any]]:
        """Yield the tenant's machines. Raises ConnectorError."""
        return machines.devices(self._defender)

    def alerts(self, since: datetime | None) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield pages of alerts last updated at or after `since`, oldest first. Raises ConnectorError."""
        return alerts.pages(self._graph, since)


def _storable(receipt: Receipt) -> Receipt:
    """Return the receipt as the database can hold it: names in it may be an attacker's."""
    return replace(
        receipt,
        remote_id=as_storable(receipt.remote_id),
        detail=as_storable(receipt.detail),
        data=as_storable(receipt.data),
    )
