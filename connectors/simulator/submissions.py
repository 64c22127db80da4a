"""Graph beta's threat submissions: messages and URLs to be looked at again (facts/graph.md 4.4).

Field names and words are those of the resource pages of ``emailThreatSubmission`` and ``urlThreatSubmission``; the
throttle is the one documented for submissions of the older API.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final
from urllib.parse import unquote
from uuid import uuid4

from connectors.simulator.exchange import Answer, Call, Handler, Json, Refusal, body_object
from connectors.simulator.moments import TICKS_PER_SECOND, moment_text
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.records import Email
from connectors.simulator.store import Tenant

CATEGORIES: Final = ("notJunk", "spam", "phishing", "malware")
QUARTER: Final = 900
DAY: Final = 86_400
TENANT_LIMITS: Final = ((QUARTER, 150), (DAY, 10_000))
MESSAGE_LIMITS: Final = ((QUARTER, 1), (DAY, 3))
PAGE: Final = 100
LARGEST_PAGE: Final = 1000
FIELDS: Final[dict[str, FieldKind]] = {
    "createdDateTime": "moment",
    "category": "text",
    "status": "text",
    "source": "text",
    "recipientEmailAddress": "address",
}
MESSAGE_FIELDS: Final[dict[str, FieldKind]] = {"internetMessageId": "text", "subject": "text"}

_MESSAGE_URL: Final = re.compile(r"https://[^/]+/(?:v1\.0|beta)/users/([^/]+)/messages/([^/]+)/?", re.IGNORECASE)
_SPACE: Final = "#microsoft.graph.security."
_FOLDERS: Final = {"inbox_folder": "inbox", "junkFolder": "junkemail", "deletedFolder": "deleteditems"}


@dataclass(frozen=True, slots=True)
class Submission:
    """One accepted submission: what it says for ever, when it was made and when Microsoft has looked."""

    kind: str
    properties: Json
    about: str
    created: int
    finishes: int

    def as_json(self, now: int) -> Json:
        """The submission as Graph would show it at this moment."""
        half = (self.created + self.finishes) // 2
        status = "succeeded" if now >= self.finishes else "running" if now >= half else "notStarted"
        found = {"category": self.properties["category"], "detail": "underInvestigation"}
        if status == "succeeded":
            found = {**found, "detail": "none", "detectedUrls": [], "detectedFiles": []}
        return {**self.properties, "status": status, "result": found}


def submit(kind: str) -> Handler:
    """The handler that takes a submission of one kind, ``emailThreats`` or ``urlThreats``. Raises Refusal."""

    def handle(call: Call) -> Answer:
        body = body_object(call)
        category = body.get("category")
        if category not in CATEGORIES:
            raise _bad(f"category '{category}' is not one of {', '.join(CATEGORIES)}.")
        own, about = _email(call, body) if kind == "emailThreats" else _url(body)
        _charge(call, about)
        made = Submission(kind, {**_common(call, category), **own}, about, call.now, call.now + call.action_ticks)
        call.tenant.submissions.append(made)
        context = f"{call.origin}/beta/$metadata#security/threatSubmission/{kind}/$entity"
        answer = {"@odata.context": context, **made.as_json(call.now)}
        return Answer(201, answer, remote_id=made.properties["id"])

    return handle


def list_submissions(kind: str) -> Handler:
    """The handler that lists the tenant's submissions of one kind, newest first."""

    def handle(call: Call) -> Answer:
        rows = [each.as_json(call.now) for each in reversed(call.tenant.submissions) if each.kind == kind]
        body = page(call, filtered(call, rows, FIELDS), size=PAGE, largest=LARGEST_PAGE)
        return Answer(200, {"@odata.context": f"{call.origin}/beta/$metadata#security/threatSubmission/{kind}", **body})

    return handle


def get_submission(kind: str) -> Handler:
    """The handler that shows one submission of one kind. Raises Refusal (404)."""

    def handle(call: Call) -> Answer:
        wanted = call.path_values["submission"]
        for each in call.tenant.submissions:
            if each.kind == kind and each.properties["id"] == wanted:
                return Answer(200, each.as_json(call.now))
        raise Refusal(404, "ResourceNotFound", f"Submission {wanted} was not found.")

    return handle


def list_messages(call: Call) -> Answer:
    """The mails that lie in one person's mailbox now, as far as finding them needs. Raises Refusal (400, 404)."""
    mailbox = call.path_values["user"]
    mails = [email for (_, recipient), email in call.tenant.emails.items() if recipient == mailbox]
    if not mails:
        raise Refusal(404, "ErrorInvalidUser", f"The requested user '{mailbox}' is invalid.")
    rows = [_message(email, call.now) for email in mails if email.location(call.now) in _FOLDERS]
    context = f"{call.origin}/v1.0/$metadata#users('{mailbox}')/messages"
    body = page(call, filtered(call, rows, MESSAGE_FIELDS), size=10, largest=LARGEST_PAGE)
    return Answer(200, {"@odata.context": context, **body})


def _message(email: Email, now: int) -> Json:
    mail = email.as_json(now)
    return {
        "id": mailbox_id(email),
        "internetMessageId": mail["internetMessageId"],
        "subject": mail["subject"],
        "receivedDateTime": mail["loggedDateTime"],
        "parentFolderId": _FOLDERS[email.location(now)],
    }


def mailbox_id(email: Email) -> str:
    """What the mailbox calls a mail."""
    return base64.urlsafe_b64encode(f"message:{email.properties['id']}".encode()).decode()


def _email(call: Call, body: Json) -> tuple[Json, str]:
    kind = str(body.get("@odata.type", "")).rpartition(".")[2]
    recipient = _text(body, "recipientEmailAddress")
    if kind == "emailContentThreatSubmission":
        internet_id, subject = _content(_text(body, "fileContent"))
        own: Json = {"subject": subject, "sender": None, "receivedDateTime": None}
    elif kind == "emailUrlThreatSubmission":
        mail = _addressed(call, _text(body, "messageUrl"), recipient).properties
        internet_id = mail["internetMessageId"]
        sender = mail["senderDetail"]
        own = {
            "subject": mail["subject"],
            "sender": sender.get("fromAddress"),
            "senderIP": sender.get("ipv4"),
            "receivedDateTime": mail["loggedDateTime"],
        }
    else:
        raise _bad(f"'{kind}' is not a type of submission of an email.")
    own |= {"contentType": "email", "originalCategory": "notJunk", "attackSimulationInfo": None}
    own |= {"internetMessageId": internet_id, "recipientEmailAddress": recipient, "@odata.type": f"{_SPACE}{kind}"}
    own |= {"tenantAllowOrBlockListAction": body.get("tenantAllowOrBlockListAction")}
    return own, f"{internet_id}/{recipient.lower()}"


def _addressed(call: Call, url: str, recipient: str) -> Email:
    match = _MESSAGE_URL.fullmatch(url)
    if match is None or unquote(match[1]).lower() != recipient.lower():
        raise _bad("messageUrl is not the address of a message of this recipient.")
    for (_, owner), email in call.tenant.emails.items():
        is_there = email.location(call.now) in _FOLDERS
        if owner == recipient.lower() and mailbox_id(email) == unquote(match[2]) and is_there:
            return email
    raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def _content(text: str) -> tuple[str, str]:
    try:
        head = base64.b64decode(text, validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise _bad("fileContent is not base64.") from error
    found = {name.lower(): value for name, value in re.findall(r"(?m)^([\w-]+):[ \t]*(.*?)\r?$", head)}
    return found.get("message-id", f"<{uuid4()}@unknown>"), found.get("subject", "")


def _url(body: Json) -> tuple[Json, str]:
    if not str(body.get("@odata.type", "")).endswith(".urlThreatSubmission"):
        raise _bad("The property '@odata.type' must name urlThreatSubmission.")
    url = _text(body, "webUrl")
    if not re.fullmatch(r"https?://\S+", url):
        raise _bad(f"webUrl '{url}' is not a URL.")
    return {"@odata.type": f"{_SPACE}urlThreatSubmission", "contentType": "url", "webUrl": url}, url


def _charge(call: Call, about: str) -> None:
    """Refuse (429) one submission too many of the tenant, or of the same message to the same person."""
    everything = call.tenant.submissions
    same = [each for each in everything if each.about == about and each.kind == "emailThreats"]
    for made, limits in ((everything, TENANT_LIMITS), (same, MESSAGE_LIMITS)):
        for seconds, most in limits:
            lately = [each.created for each in made if each.created > call.now - seconds * TICKS_PER_SECOND]
            if len(lately) >= most:
                wait = seconds - (call.now - lately[-most]) / TICKS_PER_SECOND
                text = "Too many submissions; the same message can be submitted once in 15 minutes."
                raise Refusal(429, "TooManyRequests", text, {"Retry-After": str(ceil(wait))})


def _common(call: Call, category: str) -> Json:
    user: Mapping[str, Any] = {"identity": call.caller, "displayName": call.caller, "email": None}
    return {
        "id": str(uuid4()),
        "tenantId": call.tenant.id,
        "createdDateTime": moment_text(call.now),
        "category": category,
        "source": "administrator",
        "clientSource": "other",
        "createdBy": {"user": user},
        "adminReview": None,
    }


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _bad(f"The property '{name}' is missing.")
    return value


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def made_in(tenant: Tenant) -> list[str]:
    """What the tenant's submissions are about, oldest first, for looking behind the scenes."""
    return [each.about for each in tenant.submissions]
