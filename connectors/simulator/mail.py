"""Graph's ``analyzedEmails`` and their remediation (facts/graph.md 3.2)."""

import json
from uuid import uuid4

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.moments import ticks_of
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.records import DELIVERY_AFTER, Email, MailChange

PAGE = 100
LARGEST_PAGE = 1000
SEVERITIES = frozenset({"low", "medium", "high"})
PARAMETERS = frozenset({"displayName", "description", "severity", "action", "remediateSendersCopy", "analyzedEmails"})
ACTIONS = frozenset(DELIVERY_AFTER) - {"release"}
FIELDS: dict[str, FieldKind] = {
    "networkMessageId": "address",
    "recipientEmailAddress": "address",
    "internetMessageId": "text",
    "subject": "text",
}


def list_emails(call: Call) -> Answer:
    """A page of the mails logged between ``startTime`` and ``endTime``. Raises Refusal (400), also without the two."""
    start, end = _moment(call, "startTime"), _moment(call, "endTime")
    rows = [
        email.as_json(call.now)
        for email in call.tenant.emails.values()
        if start <= ticks_of(email.properties["loggedDateTime"]) <= end
    ]
    body = page(call, filtered(call, rows, FIELDS), size=PAGE, largest=LARGEST_PAGE)
    context = f"{call.origin}/v1.0/$metadata#security/collaboration/analyzedEmails"
    return Answer(200, {"@odata.context": context, **body})


def get_email(call: Call) -> Answer:
    """One mail by its id. Raises Refusal (404)."""
    wanted = call.path_values["email"]
    for email in call.tenant.emails.values():
        if email.properties["id"].lower() == wanted:
            context = f"{call.origin}/v1.0/$metadata#security/collaboration/analyzedEmails/$entity"
            return Answer(200, {"@odata.context": context, **email.as_json(call.now)})
    raise Refusal(404, "ResourceNotFound", f"Analyzed email {wanted} was not found.")


def remediate(call: Call) -> Answer:
    """Accept one remediation of one or more mails; each moves when its time is up.

    A pair that names no mail of the tenant is accepted and does nothing: Microsoft decides later, and tells nobody.
    Raises Refusal (400) for a body Microsoft would not take.
    """
    body = body_object(call)
    action, pairs = _checked(call, body), _pairs(body)
    bulk_id = str(uuid4())
    for network_message_id, recipient in pairs:
        email = call.tenant.email(network_message_id, recipient)
        if email is not None:
            email.changes.append(_change(call, email, action, body))
    filters = json.dumps({"bulkId": [bulk_id]}, separators=(",", ":"))
    location = f"https://security.microsoft.com/action-center/history?filters={filters}&tid={call.tenant.id}"
    return Answer(202, None, {"Location": location}, remote_id=bulk_id)


def _change(call: Call, email: Email, action: str, body: Json) -> MailChange:
    due = call.now + call.action_ticks
    visible_from = due + call.hidden_ticks
    if email.changes:  # what is accepted later shows later, or the timeline would tell another order
        visible_from = max(visible_from, email.changes[-1].visible_from)
    details = f"{action}: {body.get('displayName') or 'no name'}"
    return MailChange(action, details, due, visible_from)


def _checked(call: Call, body: Json) -> str:
    for name in body.keys() - PARAMETERS:
        raise _bad(f"The parameter '{name}' is not a valid parameter for the operation 'remediate'.")
    for name in ("displayName", "description"):
        if not isinstance(body.get(name), str | None):
            raise _bad(f"The parameter '{name}' must be a string.")
    if body.get("severity") not in SEVERITIES:
        raise _bad(f"severity '{body.get('severity')}' is not one of low, medium, high.")
    if not isinstance(body.get("remediateSendersCopy", False), bool):
        raise _bad("Cannot convert the value of 'remediateSendersCopy' to the expected type 'Edm.Boolean'.")
    action = body.get("action")
    if action == "moveToQuarantine" and "move_to_quarantine" not in call.tenant.capabilities:
        raise _bad("The action 'moveToQuarantine' is not supported at present.")
    if not isinstance(action, str) or action not in ACTIONS:
        raise _bad(f"action '{action}' is not one of {', '.join(sorted(ACTIONS))}.")
    return action


def _pairs(body: Json) -> list[tuple[str, str]]:
    emails = body.get("analyzedEmails")
    if not isinstance(emails, list) or not emails:
        raise _bad("The parameter 'analyzedEmails' must be a collection of at least one email.")
    pairs = []
    for email in emails:
        message_id = email.get("networkMessageId") if isinstance(email, dict) else None
        recipient = email.get("recipientEmailAddress") if isinstance(email, dict) else None
        if not isinstance(message_id, str) or not isinstance(recipient, str) or not message_id or not recipient:
            raise _bad("Each of 'analyzedEmails' needs 'networkMessageId' and 'recipientEmailAddress'.")
        pairs.append((message_id, recipient))
    return pairs


def _moment(call: Call, name: str) -> int:
    try:
        return ticks_of(call.query[name])
    except KeyError as error:
        raise _bad(f"The required parameter '{name}' is missing.") from error
    except ValueError as error:
        raise _bad(f"The value of '{name}' is wrong: {error}.") from error


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
