"""Try what a connection is for: sign in, compare permissions, and read one thing of each API. Acts on nothing."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.microsoft import exchange, hunting
from connectors.microsoft.classification import ALERTS
from connectors.microsoft.http import Api, with_query
from connectors.microsoft.mail import EMAILS
from connectors.microsoft.permissions import (
    DEFENDER,
    EXCHANGE,
    GRAPH,
    HUNT,
    PERMISSIONS,
    READ_ALERTS,
    READ_DEVICES,
    READ_MAIL,
    missing,
)
from connectors.microsoft.sign_in import claims_of
from connectors.protocol import ConnectorError, Finding, NotSent, Refused

_WITHIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """One cheap read of an API: what it shows to work, and which reading of the table of permissions it is."""

    what: str
    read: Callable[[], object]
    use: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One API, by its name in the table of permissions, and what is read of it."""

    name: str
    api: Api
    readings: tuple[Reading, ...]


def check(services: Collection[Service], *, lacking: Collection[str] = ()) -> list[Finding]:
    """Say of each API whether its sign-in, permissions and reads work, and what to do where they do not. Never raises.

    `lacking` names permissions that the tenant's cloud has no use for.
    """
    return [finding for service in services for finding in _checked(service, lacking)]


def of_defender(api: Api) -> Service:
    """Return what is tried of Defender for Endpoint."""
    return Service(DEFENDER, api, (Reading("Reading devices", lambda: _first_device(api), READ_DEVICES),))


def of_graph(api: Api) -> Service:
    """Return what is tried of Graph."""
    readings = (
        Reading("Reading alerts", lambda: api.get(with_query(ALERTS, {"$top": "1"})).value(), READ_ALERTS),
        Reading("Reading where mail lies", lambda: api.get(with_query(EMAILS, _lately())).value(), READ_MAIL),
        Reading("Hunting", lambda: hunting.hunt(api, "DeviceInfo | take 1", timespan="P1D", most_rows=1), HUNT),
    )
    return Service(GRAPH, api, readings)


def of_exchange(api: Api) -> Service:
    """Return what is tried of Exchange's administration."""
    readings = (Reading("Reading mail domains", lambda: exchange.read(api, "Get-AcceptedDomain", {})),)
    return Service(EXCHANGE, api, readings)


def _checked(service: Service, lacking: Collection[str]) -> Iterator[Finding]:
    signed_in = f"Sign-in to {service.name}"
    try:
        roles = claims_of(service.api.token()).get("roles") or []
    except ConnectorError as error:
        yield _trouble(signed_in, error)
        return
    yield Finding(signed_in, works=True, words="A token for this very tenant was given.")
    absent = missing(service.name, roles if isinstance(roles, list) else [], lacking=lacking)
    yield from _permissions(service.name, absent)
    told = {use for row in PERMISSIONS if row.name in absent for use in row.readings}
    for reading in service.readings:
        if reading.use in told:  # its permission is named already, and that it does not work
            continue
        try:
            reading.read()
        except ConnectorError as error:
            yield _trouble(reading.what, error)
        else:
            yield Finding(reading.what, works=True, words=f"{service.name} answered.")


def _permissions(api: str, absent: Collection[str]) -> Iterator[Finding]:
    if not absent:
        yield Finding(f"Permissions of {api}", works=True, words="All that Quell uses are granted.")
    for name in absent:
        uses = sorted(use for row in PERMISSIONS if row.name == name for use in (*row.readings, *row.action_types))
        words = f"Not granted, so these do not work: {', '.join(uses)}. Give admin consent again."
        yield Finding(f"Permission {name} of {api}", works=False, words=words, code=name)


def _trouble(what: str, error: ConnectorError) -> Finding:
    if isinstance(error, NotSent):
        return Finding(what, works=False, words=f"{error} Try again later.", code=error.code or "NotSent")
    code = error.code if isinstance(error, Refused) else "OutcomeUnknown"
    return Finding(what, works=False, words=str(error), code=code)


def _first_device(api: Api) -> None:
    """Read one device. A 404 means that none were seen lately (Defender "List machines API")."""
    try:
        api.get(with_query("/api/machines", {"$top": "1"})).value()
    except Refused as error:
        if error.code not in {"404", "NotFound", "ResourceNotFound"}:
            raise


def _lately() -> dict[str, str]:
    now = datetime.now(UTC)
    moments = {"startTime": now - _WITHIN, "endTime": now}
    return {**{name: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in moments.items()}, "$top": "1"}
