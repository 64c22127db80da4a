"""Posting to Slack, Teams and webhooks: one connection to an address that was checked, one deadline, no redirects.

Of the answer only the status and Retry-After are read; its body never is. Proxies named in the environment are not
used, since they would connect where nobody checked.
"""

import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import httpcore
from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from connectors.outbound.addresses import reachable_addresses, read_url
from connectors.outbound.outcomes import InDoubt, NotDelivered, Undeliverable
from connectors.retry_after import parse_retry_after
from connectors.transport import BoundedBackend, TransactionOpen, deadline, trust_bundle
from portal.secrets.secret_text import SecretText

GONE: Final = 410
USER_AGENT: Final = "Quell"


class _CheckedBackend(BoundedBackend):
    """Connects to the addresses that were checked, so that a name cannot lead elsewhere a moment later."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        *others, last = reachable_addresses(host, port)
        for address in others:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return super().connect_tcp(last, port, timeout, local_address, socket_options)


def post(address: SecretText, body: bytes, headers: Mapping[str, str]) -> int:
    """Post JSON and return the status, which is one of success. Raises DeliveryError, and TransactionOpen for a bug."""
    if connection.in_atomic_block:
        raise TransactionOpen("A notification was to be sent inside a database transaction; commit first, then send")
    try:
        with deadline(settings.OUTBOUND_DEADLINE_SECONDS):
            status, retry_after = _exchange(address, body, headers)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise NotDelivered(_why_not_connected(error)) from None
    except httpcore.TimeoutException:
        raise InDoubt(_("The receiver did not answer in time; it may have arrived all the same.")) from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise InDoubt(_("The connection broke off before an answer came; it may have arrived all the same.")) from None
    _refuse_unless_success(status, retry_after)
    return status


def _exchange(address: SecretText, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
    try:
        url = read_url(address.reveal())
    except ValueError as error:
        raise Undeliverable(str(error)) from None
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    sent: list[tuple[bytes | str, bytes | str]] = [
        ("Content-Type", "application/json"),
        ("User-Agent", USER_AGENT),
        *headers.items(),
    ]
    with (
        httpcore.ConnectionPool(ssl_context=trust_bundle(""), retries=0, network_backend=_CheckedBackend()) as pool,
        pool.stream("POST", target, headers=sent, content=body) as answer,
    ):
        found = {name.lower(): value for name, value in answer.headers}
        retry_after = found.get(b"retry-after")
        return answer.status, retry_after.decode("latin-1") if retry_after is not None else None


def _refuse_unless_success(status: int, retry_after: str | None) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        words = _(
            "The receiver answered %(status)d: it leads elsewhere, and Quell does not follow. Set its new address."
        )
        raise NotDelivered(words % {"status": status}, http_status=status)
    if status == GONE:
        words = _("The receiver answered 410: this address is gone for good. Set a new one.")
        raise Undeliverable(words, http_status=status)
    raise NotDelivered(
        _("The receiver answered %(status)d.") % {"status": status},
        http_status=status,
        retry_after=parse_retry_after(retry_after, now=datetime.now(UTC)),
    )


def _why_not_connected(error: Exception) -> str:
    if isinstance(error, httpcore.ConnectTimeout):
        return _("The receiver could not be reached in time.")
    if isinstance(error.__context__, ssl.SSLError):  # the pool raises again "from None"
        return _("The receiver's certificate is not to be trusted, or it speaks no TLS.")
    return _("The receiver could not be reached.")
