"""Mailboxes: how they forward, and their inbox rules as Graph lists and changes them (facts/graph.md 3.4)."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.odata import page

CHANGEABLE = frozenset({"displayName", "sequence", "isEnabled", "conditions", "exceptions", "actions"})
PAGE = 50


@dataclass(slots=True)
class Mailbox:
    """One mailbox: its address, how it forwards by Exchange's names, and its rules by lower-case id."""

    address: str
    forwarding: Json = field(
        default_factory=lambda: {
            "ForwardingSmtpAddress": None,
            "ForwardingAddress": None,
            "DeliverToMailboxAndForward": False,
        }
    )
    rules: dict[str, Json] = field(default_factory=dict)

    def put_rule(self, given: Json) -> None:
        """Add a rule, or change the one with its id."""
        rule_id = str(given.get("id") or f"AQAA{uuid4().hex[:12]}=")
        base = self.rules.get(rule_id.lower(), _rule_defaults(len(self.rules) + 1))
        self.rules[rule_id.lower()] = {**base, **given, "id": rule_id}

    def as_row(self) -> Json:
        """The mailbox as Get-Mailbox shows it."""
        name = self.address.partition("@")[0]
        return {
            "Identity": name,
            "DisplayName": name,
            "UserPrincipalName": self.address,
            "PrimarySmtpAddress": self.address,
            "RecipientType": "UserMailbox",
            **self.forwarding,
        }


def _rule_defaults(sequence: int) -> dict[str, Any]:
    return {
        "displayName": ".",
        "sequence": sequence,
        "conditions": None,
        "actions": {},
        "exceptions": None,
        "isEnabled": True,
        "isReadOnly": False,
        "hasError": False,
    }


def list_rules(call: Call) -> Answer:
    """A page of a mailbox's inbox rules. Raises Refusal (404) for an unknown mailbox."""
    rules = list(_mailbox(call).rules.values())
    context = f"{call.origin}/v1.0/$metadata#users('{call.path_values['user']}')/mailFolders('inbox')/messageRules"
    return Answer(200, {"@odata.context": context, **page(call, rules, size=PAGE, largest=PAGE)})


def get_rule(call: Call) -> Answer:
    """One rule. Raises Refusal (404)."""
    return Answer(200, _rule(call))


def change_rule(call: Call) -> Answer:
    """Change what the body names. Raises Refusal: 404; 400 for another property; 403 for a rule that cannot change."""
    rule, wanted = _rule(call), body_object(call)
    if rule["isReadOnly"] or rule["hasError"]:
        raise Refusal(403, "ErrorAccessDenied", "The rule is read-only or has an error and cannot be changed.")
    if unknown := wanted.keys() - CHANGEABLE:
        raise Refusal(400, "RequestBodyRead", f"Cannot be changed in a message rule: {', '.join(sorted(unknown))}.")
    if not isinstance(wanted.get("isEnabled", True), bool):
        raise Refusal(400, "RequestBodyRead", "Cannot convert the value of 'isEnabled' to 'Edm.Boolean'.")
    rule |= wanted
    return Answer(200, dict(rule), remote_id=rule["id"])


def _mailbox(call: Call) -> Mailbox:
    mailbox = call.tenant.mailboxes.get(call.path_values["user"])
    if mailbox is None:
        raise Refusal(404, "ErrorInvalidUser", f"The requested user '{call.path_values['user']}' is invalid.")
    return mailbox


def _rule(call: Call) -> Json:
    rule = _mailbox(call).rules.get(call.path_values["rule"])
    if rule is None:
        raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return rule
