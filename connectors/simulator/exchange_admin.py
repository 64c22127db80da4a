"""Exchange's ``InvokeCommand``: the cmdlets Quell uses, and every refusal that a wrong call of one would meet.

How Exchange words its refusals and which status it gives them is not documented (facts/graph.md 3.4); the shape is the
one its callers read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request

from connectors.simulator import url_list
from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.gateway import Api
from connectors.simulator.login import EXCHANGE
from connectors.simulator.mailboxes import Mailbox
from connectors.simulator.records import Email, MailChange

PATH = "/adminapi/beta/{organisation}/invokecommand"
ROLE = "Exchange.ManageAsApp"
PAGE = 1000

_TEXT: tuple[type, ...] = (str,)
_TEXT_OR_NONE: tuple[type, ...] = (str, type(None))
_FLAG: tuple[type, ...] = (bool,)
_NUMBER: tuple[type, ...] = (int,)
_TEXTS: tuple[type, ...] = (list,)


def exchange_error(refusal: Refusal, _: Request) -> Json:
    """A refusal as Exchange words it: what it means is in ``details`` and in the exception inside ``innererror``."""
    kind = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
    exception = {"message": refusal.message, "type": kind if refusal.status == 404 else "CmdletException"}
    return {
        "error": {
            "code": refusal.code,
            "message": "Error executing cmdlet",
            "details": [{"code": "Context", "target": "", "message": refusal.message}],
            "innererror": {"message": "Error executing cmdlet", "type": "Cmdlet", "internalException": exception},
        }
    }


EXCHANGE_API = Api(frozenset({EXCHANGE}), exchange_error)


def invoke(call: Call) -> Answer:
    """Run one cmdlet. Raises Refusal: 403 for another tenant's address, 400 or 404 for what it would not do."""
    if call.path_values["organisation"] != call.tenant.id:
        raise Refusal(403, "Forbidden", "The organization in the address is not the one of the access token.")
    command = body_object(call).get("CmdletInput")
    if not isinstance(command, dict) or not isinstance(command.get("CmdletName"), str):
        raise _bad("The request has no CmdletInput with a CmdletName.")
    cmdlet = CMDLETS.get(command["CmdletName"].lower())
    if cmdlet is None:
        raise _bad(f"The term '{command['CmdletName']}' is not recognized as the name of a cmdlet.")
    given = _checked(cmdlet, command.get("Parameters") or {})
    warnings: list[str] = []
    rows = cmdlet.run(call, given, warnings) if cmdlet.warns else cmdlet.run(call, given)
    return Answer(200, _page(call, rows, warnings), remote_id=_handle(given))


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet: what runs it, the types of its parameters, which of them it must have, and whether it warns."""

    run: Callable[..., list[Json]]
    parameters: Mapping[str, tuple[type, ...]]
    needs: tuple[str, ...] = ()
    warns: bool = False


def _checked(cmdlet: Cmdlet, parameters: object) -> Json:
    if not isinstance(parameters, dict):
        raise _bad("Parameters must be an object.")
    given: Json = {}
    names = {name.lower(): name for name in cmdlet.parameters}
    for name, value in parameters.items():
        known = names.get(name.lower())
        if known is None:
            raise _bad(f"A parameter cannot be found that matches parameter name '{name}'.")
        is_of_kind = isinstance(value, cmdlet.parameters[known]) and not (
            isinstance(value, bool) and cmdlet.parameters[known] == _NUMBER
        )
        if not is_of_kind or (isinstance(value, list) and not all(isinstance(each, str) for each in value)):
            raise _bad(f"Cannot process argument transformation on parameter '{known}'.")
        given[known] = value
    for name in cmdlet.needs:
        if name not in given:
            raise _bad(f"Cannot process command because of one or more missing mandatory parameters: {name}.")
    return given


def _page(call: Call, rows: list[Json], warnings: list[str]) -> Json:
    wanted = call.prefer.lower().replace(" ", "").partition("odata.maxpagesize=")[2].partition(",")[0]
    size = min(int(wanted), PAGE) if wanted.isdecimal() and int(wanted) else PAGE
    token = call.query.get("$skiptoken", "0")
    start = int(token) if token.isdecimal() else 0
    metadata = f"{call.origin}/adminapi/beta/{call.tenant.id}/$metadata"
    body: Json = {
        "@odata.context": f"{metadata}#Collection(Exchange.GenericHashTable)",
        "@adminapi.warnings": warnings,
        "value": rows[start : start + size],
    }
    if start + size < len(rows):
        body["@odata.nextLink"] = f"{call.origin}{call.path}?$skiptoken={start + size}"
    return body


def _handle(given: Json) -> str | None:
    """What the log knows the call's object by."""
    found = given.get("Identity") or given.get("Entries")
    return ", ".join(found) if isinstance(found, list) else found


def _get_mailbox(call: Call, given: Json) -> list[Json]:
    if "Identity" in given:
        return [_mailbox(call, given["Identity"]).as_row()]
    return [mailbox.as_row() for mailbox in call.tenant.mailboxes.values()]


def _set_mailbox(call: Call, given: Json, warnings: list[str]) -> list[Json]:
    mailbox = _mailbox(call, given["Identity"])
    wanted = {name: value or None for name, value in given.items() if name in mailbox.forwarding}
    if "DeliverToMailboxAndForward" in wanted:
        wanted["DeliverToMailboxAndForward"] = bool(wanted["DeliverToMailboxAndForward"])
    if address := wanted.get("ForwardingAddress"):
        _recipient(call, address)
    if address := wanted.get("ForwardingSmtpAddress"):
        if "@" not in address:
            raise _bad(f"The value '{address}' is not a valid SMTP address.")
        wanted["ForwardingSmtpAddress"] = address if address.lower().startswith("smtp:") else f"smtp:{address}"
    if wanted.items() <= mailbox.forwarding.items():
        warnings.append(
            f"The command completed successfully but no settings of '{mailbox.address}' have been modified."
        )
    mailbox.forwarding |= wanted
    return []


def _get_domains(call: Call, _: Json) -> list[Json]:
    return [
        {
            "Name": name,
            "DomainName": name,
            "DomainType": "Authoritative",
            "Default": number == 0,
            "MatchSubDomains": False,
        }
        for number, name in enumerate(call.tenant.accepted_domains)
    ]


def _get_recipient(call: Call, given: Json) -> list[Json]:
    return [_recipient(call, given["Identity"])]


def _recipient(call: Call, identity: str) -> Json:
    contact = call.tenant.contacts.get(identity.lower())
    if contact is not None:
        return contact
    row = _mailbox(call, identity).as_row()
    return {name: row[name] for name in ("Identity", "DisplayName", "RecipientType", "PrimarySmtpAddress")}


def _mailbox(call: Call, identity: str) -> Mailbox:
    wanted = identity.lower()
    for address, mailbox in call.tenant.mailboxes.items():
        if wanted in (address, address.partition("@")[0]):
            return mailbox
    raise Refusal(
        404, "NotFound", f"The operation couldn't be performed because object '{identity}' couldn't be found."
    )


def _get_quarantined(call: Call, given: Json) -> list[Json]:
    size, number = given.get("PageSize", 100), given.get("Page", 1)
    if not 1 <= size <= PAGE or not 1 <= number <= 1000:
        raise _bad("PageSize and Page must be between 1 and 1000.")
    people = {address.lower() for address in given.get("RecipientAddress", [])}
    rows = [
        _quarantined(email, call.now)
        for email in call.tenant.emails.values()
        if _is_quarantined(email, call.now)
        and (not people or email.properties["recipientEmailAddress"].lower() in people)
        and ("Identity" not in given or _identity(email) == given["Identity"].lower())
    ]
    return rows[(number - 1) * size : number * size]


def _release(call: Call, given: Json) -> list[Json]:
    if bool(given.get("ReleaseToAll")) == bool(given.get("User")):
        raise _bad("Exactly one of ReleaseToAll and User must be given.")
    for email in call.tenant.emails.values():
        if _is_quarantined(email, call.now) and _identity(email) == given["Identity"].lower():
            break
    else:
        raise Refusal(404, "NotFound", f"The quarantine message '{given['Identity']}' couldn't be found.")
    people = {address.lower() for address in given.get("User") or []}
    if people and people != {email.properties["recipientEmailAddress"].lower()}:
        raise _bad("The message was not sent to these users.")
    if _release_of(email) is not None and not given.get("Force"):
        raise _bad("The message was released already; use Force to release it again.")
    due = call.now + call.action_ticks
    email.changes.append(MailChange("release", "release: from quarantine", due, due + call.hidden_ticks))
    return []


def _is_quarantined(email: Email, now: int) -> bool:
    return email.location(now) == "quarantine" or _release_of(email) is not None


def _release_of(email: Email) -> MailChange | None:
    return next((change for change in email.changes if change.action == "release"), None)


def _identity(email: Email) -> str:
    properties = email.properties
    second = uuid5(NAMESPACE_URL, f"{properties['networkMessageId']}/{properties['recipientEmailAddress']}".lower())
    return f"{properties['networkMessageId']}\\{second}".lower()


def _quarantined(email: Email, now: int) -> Json:
    release, properties = _release_of(email), email.properties
    status = "NOTRELEASED"
    if release is not None:
        status = "RELEASED" if max(release.at, release.visible_from) <= now else "PREPARINGTORELEASE"
    return {
        "Identity": _identity(email),
        "MessageId": properties["internetMessageId"],
        "ReceivedTime": properties["loggedDateTime"],
        "SenderAddress": properties["senderDetail"]["fromAddress"],
        "RecipientAddress": [properties["recipientEmailAddress"]],
        "Subject": properties["subject"],
        "Type": "Phish",
        "ReleaseStatus": status,
        "SystemReleased": False,
    }


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


_LIST: dict[str, Any] = {"ListType": _TEXT, "ListSubType": _TEXT}
CMDLETS: Mapping[str, Cmdlet] = {
    "get-mailbox": Cmdlet(_get_mailbox, {"Identity": _TEXT}),
    "set-mailbox": Cmdlet(
        _set_mailbox,
        {
            "Identity": _TEXT,
            "ForwardingSmtpAddress": _TEXT_OR_NONE,
            "ForwardingAddress": _TEXT_OR_NONE,
            "DeliverToMailboxAndForward": _FLAG,
        },
        ("Identity",),
        warns=True,
    ),
    "get-accepteddomain": Cmdlet(_get_domains, {}),
    "get-recipient": Cmdlet(_get_recipient, {"Identity": _TEXT}, ("Identity",)),
    "get-quarantinemessage": Cmdlet(
        _get_quarantined, {"Identity": _TEXT, "RecipientAddress": _TEXTS, "PageSize": _NUMBER, "Page": _NUMBER}
    ),
    "release-quarantinemessage": Cmdlet(
        _release, {"Identity": _TEXT, "ReleaseToAll": _FLAG, "User": _TEXTS, "Force": _FLAG}, ("Identity",)
    ),
    "get-tenantallowblocklistitems": Cmdlet(
        url_list.get_entries,
        {**_LIST, "Entry": _TEXT, "Allow": _FLAG, "Block": _FLAG, "NoExpiration": _FLAG},
        ("ListType",),
    ),
    "new-tenantallowblocklistitems": Cmdlet(
        url_list.add_entries,
        {
            **_LIST,
            "Entries": _TEXTS,
            "Allow": _FLAG,
            "Block": _FLAG,
            "NoExpiration": _FLAG,
            "ExpirationDate": _TEXT,
            "Notes": _TEXT_OR_NONE,
        },
        ("ListType", "Entries"),
    ),
    "remove-tenantallowblocklistitems": Cmdlet(
        url_list.remove_entries, {**_LIST, "Entries": _TEXTS}, ("ListType", "Entries")
    ),
}
"""Every cmdlet that is played, by its lower-case name."""
