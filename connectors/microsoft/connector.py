"""The Microsoft connector: Defender for Endpoint for devices, Graph for mail and alerts."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from connectors.microsoft import alerts, defender, downloads, file_information, live_response, machines, mail
from connectors.microsoft.http import Api
from connectors.microsoft.sign_in import DEFENDER, GRAPH, Resource, SignIn
from connectors.protocol import ActionRequest, ConnectionSettings, DownloadLink, LookUp, Receipt, Refused

logger = logging.getLogger(__name__)

_PACKAGE: Final = "collect_investigation_package"
_ON_DEVICES: Final = frozenset(defender.ROUTES) | live_response.ACTIONS
"""The types that become machine actions, and are found again in their list."""


class Microsoft:
    """One customer's Microsoft services. Every HTTP exchange, signing in included, ends within the deadline."""

    kind: ClassVar[str] = "microsoft"
    action_types: ClassVar[frozenset[str]] = _ON_DEVICES | file_information.ACTIONS | frozenset(mail.ACTIONS)
    download_types: ClassVar[frozenset[str]] = live_response.ACTIONS | {_PACKAGE}

    def __init__(self, settings: ConnectionSettings, *, deadline_seconds: float) -> None:
        """Remember where to go; nothing is called yet. Raises ValueError for an address that is not https."""
        for url in (settings.login_url, settings.defender_url, settings.graph_url):
            if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
                raise ValueError(f"{url!r} is no https address; tokens and secrets travel over https only.")
        self._settings = settings
        self._deadline_seconds = deadline_seconds
        self._tokens = SignIn(settings, deadline_seconds=deadline_seconds)
        self._defender = self._api(settings.defender_url, DEFENDER)
        self._graph = self._api(settings.graph_url, GRAPH)

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
        if request.type in defender.ROUTES:
            return defender.send(self._defender, request, before_sending=before_sending)
        if request.type in live_response.ACTIONS:
            return live_response.send(self._defender, request, before_sending=before_sending)
        if request.type in file_information.ACTIONS:
            return file_information.send(self._defender, request, before_sending=before_sending)
        if request.type in mail.ACTIONS:
            return mail.send(self._graph, request, before_sending=before_sending)
        raise Refused(f"Microsoft is not asked to {request.type}: it is not connected.", code="UnknownAction")

    def look_up(self, requests: Sequence[ActionRequest]) -> LookUp:
        """Say what became of earlier requests. A failed read, whatever the reason, leaves them unanswered."""
        on_devices = [request for request in requests if request.type in _ON_DEVICES]
        on_files = [request for request in requests if request.type in file_information.ACTIONS]
        on_mail = [request for request in requests if request.type in mail.ACTIONS]
        others = frozenset(request.action_id for request in requests if request.type not in self.action_types)
        listed = defender.look_up(self._defender, on_devices)
        devices = live_response.conclude(self._defender, on_devices, listed)
        files = file_information.look_up(self._defender, on_files)
        messages = mail.look_up(self._graph, on_mail)
        unanswered = devices.unanswered | files.unanswered | messages.unanswered | others
        if unanswered:
            logger.warning("tenant %s: look-up left %d unanswered", self._settings.entra_tenant_id, len(unanswered))
        return LookUp({**devices.found, **files.found, **messages.found}, unanswered)

    def download_link(self, request: ActionRequest, *, index: int = 0) -> DownloadLink:
        """Ask for a fresh link to a package, a sample or a transcript. Raises Refused, ConnectorError."""
        if request.type == _PACKAGE:
            return downloads.package_link(self._defender, request)
        if request.type in live_response.ACTIONS:
            return downloads.command_link(self._defender, request, index)
        raise Refused(f"{request.type} brings back nothing to fetch.", code="NoResult")

    def devices(self) -> Iterator[Mapping[str, Any]]:
        """Yield the tenant's machines. Raises ConnectorError."""
        return machines.devices(self._defender)

    def alerts(self, since: datetime | None) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield pages of alerts last updated at or after `since`, oldest first. Raises ConnectorError."""
        return alerts.pages(self._graph, since)
