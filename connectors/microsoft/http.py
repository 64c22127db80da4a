"""One API of one tenant: send a request once, and say yes, no or unknown.

Microsoft branches on HTTP status, then `error.code`; the message is free text that may change and is
only shown (Defender for Endpoint "Common REST API error codes", Graph "Error responses").
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import httpcore
import httpx

from connectors import quotas
from connectors.microsoft.error_words import words_of
from connectors.microsoft.quotas import quota_of_call
from connectors.microsoft.sign_in import Resource
from connectors.protocol import AlreadyInProgress, ConnectorError, NotSent, OutcomeUnknown, Refused, Throttled
from connectors.retry_after import parse_retry_after
from connectors.storable import as_storable
from connectors.transport import TransactionOpen, client, deadline

__all__ = ["Answer", "Api", "TransactionOpen", "classify", "leads_to_microsoft", "with_query"]

logger = logging.getLogger(__name__)

THROTTLED_SECONDS = 30.0
"""How long an API rests that says 429 and not for how long (Graph does so for some services)."""

LONGEST_WORDS = 200
WRAPPED_AT_MOST = 3

LARGEST_ANSWER = 64 * 1024 * 1024
"""More bytes than this are never read of one answer, whoever sends them."""

# Raised before a byte of the request was written, and whatever may come after that.
_NEVER_LEFT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpx.HTTPError)

# Where results lie (Defender "Get package SAS URI", "Get live response results"); the clouds of governments too.
_STORAGE_HOSTS = (
    ".microsoft.com",
    ".windows.com",
    ".windows.net",
    ".azureedge.net",
    ".microsoft.us",
    ".usgovcloudapi.net",
)

_ADVICE = {
    400: "check the action's parameters and whether the device can do this",
    403: "the application lacks a permission; give admin consent again",
    404: "it is not known there; it may have been removed",
}


class TooLarge(OutcomeUnknown):
    """The answer was longer than `LARGEST_ANSWER`; reading it was stopped."""


class Tokens(Protocol):
    """Where a token comes from."""

    def token(self, resource: Resource) -> str: ...

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is {} when there was none and None when it is no JSON object."""

    status: int
    headers: httpx.Headers
    body: dict[str, Any] | None

    def value(self) -> list[dict[str, Any]]:
        """Return the rows of a list answer. Raises OutcomeUnknown when it is not one."""
        rows = (self.body or {}).get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise OutcomeUnknown("Microsoft answered a list request with something else; try again later.")
        return rows


class Api:
    """One API (Defender, Graph) of one tenant, at one address."""

    def __init__(
        self, url: str, *, resource: Resource, tokens: Tokens, tenant_id: str, ca_file: str, deadline_seconds: float
    ) -> None:
        self._url = url
        self._resource = resource
        self._tokens = tokens
        self._tenant_id = tenant_id
        self._ca_file = ca_file
        self._deadline_seconds = deadline_seconds

    @property
    def tenant_id(self) -> str:
        """The customer's Entra tenant."""
        return self._tenant_id

    @property
    def url(self) -> str:
        """The address of the API, without a trailing slash."""
        return self._url

    def token(self) -> str:
        """Return a token for this API, to be read and not to be used. Raises Refused, NotSent."""
        return self._tokens.token(self._resource)

    def post(
        self, path: str, body: Mapping[str, Any], *, action_id: object, before_sending: Callable[[], None]
    ) -> Answer:
        """Send one acting request, once, and return its 2xx answer.

        `before_sending` is called with the token in hand; what it raises is passed on. Raises Refused and
        its kinds when nothing happened for certain, OutcomeUnknown when it may have.
        """
        return self.act("POST", path, body, action_id=action_id, before_sending=before_sending)

    def act(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        action_id: object,
        before_sending: Callable[[], None],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one acting request of any method, as `post` does."""
        self._spend(method, path)
        token = self._tokens.token(self._resource)
        before_sending()
        answer = self._call(method, self._url + path, token, body=body, headers=headers, action_id=str(action_id))
        return self._accepted(answer, f"{method} {path}", token)

    def ask(self, path: str, body: Mapping[str, Any], *, take: Callable[[bytes], object]) -> None:
        """Post a question that changes nothing, and hand over the bytes of its 2xx answer piece by piece.

        What `take` raises is passed on. Raises TooLarge and ConnectorError.
        """
        self._spend("POST", path)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        self._read("POST", self._url + path, body=body, headers=headers, take=take)

    def inquire(self, url: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Answer:
        """Post a question that changes nothing, to a path of this API or a full link of its own host.

        Raises ConnectorError.
        """
        link = self._own(url)
        self._spend("POST", httpx.URL(link).path)
        return self._read("POST", link, body=body, headers=headers)

    def upload(self, path: str, parts: Mapping[str, tuple[str | None, str | bytes]]) -> Answer:
        """Post a multipart form, once: for what acts on no device. A part is (file name or None, content).

        Raises ConnectorError.
        """
        self._spend("POST", path)
        token = self._tokens.token(self._resource)
        return self._accepted(self._call("POST", self._url + path, token, form=parts), f"POST {path}", token)

    def fetch(self, link: str, *, most_bytes: int) -> bytes:
        """Read what a link that Microsoft gave leads to, without our token: the link is its own key.

        Raises Refused for a link that is over or leads to more than `most_bytes`, OutcomeUnknown for other trouble.
        """
        if not leads_to_microsoft(link, self._url):
            raise OutcomeUnknown(f"{self._resource.name} of tenant {self._tenant_id} gave a link to a strange host.")
        what = f"A result of tenant {self._tenant_id}"
        content = b""
        try:
            with deadline(self._deadline_seconds), client(self._ca_file).stream("GET", link) as response:
                if response.status_code != 200:
                    kind = Refused if response.status_code in (403, 404) else OutcomeUnknown
                    raise kind(f"{what} could not be fetched (HTTP {response.status_code}); ask for a fresh link.")
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > most_bytes:
                        raise Refused(f"{what} is larger than {most_bytes} bytes; it was not read.", code="TooLarge")
        except _BROKEN as error:
            raise OutcomeUnknown(f"{what} could not be fetched ({type(error).__name__}); try again later.") from error
        return content

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Read `url`, a path of this API or a full link of its own host. A 401 gets one fresh token.

        Raises ConnectorError.
        """
        link = self._own(url)
        self._spend("GET", httpx.URL(link).path)
        return self._read("GET", link, headers=headers)

    def pages(
        self, path: str, query: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list, by `@odata.nextLink`, or by `$skip` until a short page if `query` has `$top`.

        Microsoft gives a link on Graph and on some Defender lists; the others want `$skip` (Defender "Get
        machines API"). Raises ConnectorError.
        """
        size, seen, link = int(query.get("$top", 0)), int(query.get("$skip", 0)), with_query(path, query)
        followed: set[str] = set()
        while link:
            followed.add(link)
            answer = self.get(link, headers=headers)
            rows = answer.value()
            yield rows
            seen += len(rows)
            following = str((answer.body or {}).get("@odata.nextLink") or "")
            if not following and "$skip" in query and len(rows) >= size > 0:
                following = with_query(path, {**query, "$skip": str(seen)})
            if following in followed:
                raise OutcomeUnknown(f"The list {path} of tenant {self._tenant_id} goes in circles; try again later.")
            link = following

    def _spend(self, method: str, path: str) -> None:
        """Count the call. Raises NotSent when the tenant has used up what Microsoft allows."""
        quotas.spend(self._tenant_id, quota_of_call(method, path))

    def _read(self, method: str, link: str, **details: Any) -> Answer:
        """Do an exchange that changes nothing, again with a fresh token after a 401. Raises ConnectorError."""
        token = self._tokens.token(self._resource)
        answer = self._call(method, link, token, **details)
        if answer.status == 401:
            self._tokens.forget()
            token = self._tokens.token(self._resource)
            answer = self._call(method, link, token, **details)
        return self._accepted(answer, f"{method} {httpx.URL(link).path}", token)

    def _own(self, url: str) -> str:
        """Return the full address, refusing links to any other host: the token goes nowhere else."""
        if url.startswith("/"):
            return self._url + url
        if origin_of(url) != origin_of(self._url):
            raise OutcomeUnknown(
                f"{self._resource.name} of tenant {self._tenant_id} linked to another host; the link was not followed."
            )
        return url

    def _call(
        self,
        method: str,
        url: str,
        token: str,
        *,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, tuple[str | None, str | bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        action_id: str = "-",
        take: Callable[[bytes], object] | None = None,
    ) -> Answer:
        """Do one HTTP exchange within one deadline; whatever status comes back is an answer.

        With `take` a 2xx answer goes there, and its `body` here is {}.
        """
        web = client(self._ca_file)
        wanted = {"Accept": "application/json", **(headers or {}), **_bearer(token)}
        request = web.build_request(method, url, json=body, files=form, headers=wanted)
        what = f"{method} {request.url.path} for tenant {self._tenant_id}"
        try:
            with deadline(self._deadline_seconds), closing(web.send(request, stream=True)) as response:
                content = _content(response, take, what)
        except _NEVER_LEFT as error:
            logger.warning("%s, action %s: not sent, %s", what, action_id, type(error).__name__)
            raise NotSent(f"{what} was not sent: no connection. It can be tried again.", code="NoConnection") from error
        except _BROKEN as error:
            logger.warning("%s, action %s: broke off, %s", what, action_id, type(error).__name__)
            raise OutcomeUnknown(
                f"{what} broke off ({type(error).__name__}) before a whole answer came; look it up before trying again."
            ) from error
        logger.info("%s, action %s: HTTP %s", what, action_id, response.status_code)
        return Answer(response.status_code, response.headers, _json_object(content))

    def _accepted(self, answer: Answer, what: str, token: str) -> Answer:
        """Return a 2xx answer; raise what any other means. A token turned away is dropped from the cache."""
        if answer.status in (401, 403):
            self._tokens.forget()
        error = classify(answer, f"{what} for tenant {self._tenant_id}", secret=token)
        if isinstance(error, Throttled):
            method, _, path = what.partition(" ")
            quotas.rest(self._tenant_id, quota_of_call(method, path), error.retry_after or THROTTLED_SECONDS)
        if error is not None:
            raise error
        return answer


def leads_to_microsoft(link: str, own_url: str) -> bool:
    """Tell whether a link goes to Microsoft's storage, or to the very address that gave it; over https in any case."""
    scheme, host, _ = origin_of(link)
    return scheme == "https" and (host.endswith(_STORAGE_HOSTS) or origin_of(link) == origin_of(own_url))


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port (None for the scheme's own); empty for what is no address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "", "", None
    return parsed.scheme, parsed.host, parsed.port


def classify(answer: Answer, what: str, *, secret: str = "") -> ConnectorError | None:
    """Say what an answer means: None for a readable 2xx, else the error to raise, without `secret` in it.

    408, 3xx and 5xx prove nothing about what happened behind the gateway that sent them.
    """
    if 200 <= answer.status < 300:
        return None if answer.body is not None else OutcomeUnknown(f"{what}: the answer is unreadable; look it up.")
    code, words = _vendor_error(answer, secret)
    said = f"HTTP {answer.status}" + (f", {code}" if code else "") + (f": {words}" if words else "")
    if answer.status == 408 or not 400 <= answer.status < 500:
        return OutcomeUnknown(f"{what} ended without a clear answer ({said}); look it up before trying again.")
    if answer.status == 429:
        wait = parse_retry_after(answer.headers.get("Retry-After"), now=datetime.now(UTC))
        return Throttled(f"{what} came too soon ({said}); wait.", code=code or "429", retry_after=wait)
    if answer.status == 401:
        return NotSent(
            f"{what}: the token was turned away ({said}); a fresh one is used next time.", code=code or "401"
        )
    if answer.status == 400 and code == "ActiveRequestAlreadyExists":
        return AlreadyInProgress(f"{what}: the device is busy with such an action ({said}); look it up.", code=code)
    advice = _ADVICE.get(answer.status, "see the vendor's code")
    return Refused(f"{what} was refused ({said}); {advice}.", code=code or str(answer.status), status=answer.status)


def with_query(path: str, query: Mapping[str, str]) -> str:
    """Append an OData query; spaces as %20, which every Microsoft gateway reads."""
    return f"{path}?{urlencode(query, quote_via=quote, safe='$,:')}" if query else path


def quoted(text: str) -> str:
    """Write an OData string; a quote inside is doubled."""
    return "'" + text.replace("'", "''") + "'"


def _content(response: httpx.Response, take: Callable[[bytes], object] | None, what: str) -> bytes:
    """Read a body to its end and return what was not handed over. Raises TooLarge."""
    kept, length = bytearray(), 0
    put = take if take is not None and response.is_success else kept.extend
    for piece in response.iter_bytes():
        length += len(piece)
        if length > LARGEST_ANSWER:
            raise TooLarge(f"{what}: the answer is larger than {LARGEST_ANSWER} bytes and was not read to its end.")
        put(piece)
    return bytes(kept)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _json_object(content: bytes) -> dict[str, Any] | None:
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):  # what is nested too deep to be read is no answer either
        return None
    return body if isinstance(body, dict) else None


def _vendor_error(answer: Answer, secret: str) -> tuple[str, str]:
    """Return the vendor's code and its words, each on one short line without `secret`; empty where there are none."""
    error = (answer.body or {}).get("error")
    if not isinstance(error, dict):
        return "", ""
    told = (as_storable(str(error.get("code") or "")), as_storable(_unwrapped(words_of(error))))
    code, words = (" ".join((text.replace(secret, "…") if secret else text).split()) for text in told)
    return code[:100], words[:LONGEST_WORDS]


def _unwrapped(message: str) -> str:
    """Return what a message says: Intune puts JSON with the words into it, twice over, activity id and all."""
    for _depth in range(WRAPPED_AT_MOST):
        try:
            inner = json.loads(message)
        except (ValueError, RecursionError):
            return message
        if not isinstance(inner, dict):
            return message
        found = next((str(value) for name, value in inner.items() if name.lower() == "message"), "")
        if not found:
            return message
        message = found
    return message
