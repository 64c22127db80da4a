"""What a mailbox forwards out of the organisation, as Exchange and Graph say it now.

Two places forward: the mailbox itself (Exchange) and inbox rules (Graph). "Out" is any address whose domain is not one
of the tenant's accepted domains. Doubts kept from the facts:

- `ForwardingAddress` is a recipient of the directory, named as Exchange names it; where its mail goes is read with
  Get-Recipient, and so is an address in a rule that has no domain. Which field of it leads out is not stated: both its
  external and its primary address are looked at.
- Hidden rules and rules of the server are not in Graph's list.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from connectors.microsoft import exchange
from connectors.microsoft.http import Api
from connectors.protocol import OutcomeUnknown

ADDRESSES: Final = ("ForwardingSmtpAddress", "ForwardingAddress")
DELIVER_TOO: Final = "DeliverToMailboxAndForward"
_FORWARDS: Final = ("forwardTo", "forwardAsAttachmentTo", "redirectTo")


class Mailboxes:
    """The mailboxes of one tenant, for as long as one piece of work takes: its accepted domains are read once."""

    def __init__(self, exchange_api: Api, graph: Api) -> None:
        self._exchange = exchange_api
        self._graph = graph
        self._domains: list[str] | None = None

    def setting(self, mailbox: str) -> dict[str, Any]:
        """Return how the mailbox itself forwards, by Exchange's names. Raises ConnectorError."""
        rows = exchange.read(self._exchange, "Get-Mailbox", {"Identity": mailbox})
        if len(rows) != 1 or mailbox.lower() not in _addresses_of(rows[0]):
            # Another mailbox's setting would be put into this one by an undo; and Exchange takes `*` in a name.
            raise OutcomeUnknown(f"Exchange answered with {len(rows)} mailboxes, and not with {mailbox} alone.")
        setting = {name: rows[0].get(name) or None for name in ADDRESSES}
        return {**setting, DELIVER_TOO: bool(rows[0].get(DELIVER_TOO))}

    def rules(self, mailbox: str) -> list[dict[str, Any]]:
        """Return the inbox rules Graph lists. Raises ConnectorError."""
        return [rule for page in self._graph.pages(rules_path(mailbox), {}) for rule in page]

    def forwarding(self, mailbox: str) -> dict[str, Any]:
        """Return what leads out of the organisation now.

        `mailbox` holds each property that turning it off changes, with its value now ({} where the mailbox itself sends
        nothing out); `rules` holds id, displayName, isEnabled, isChangeable and the addresses outside of each rule that
        has some. Raises ConnectorError.
        """
        return {"mailbox": self._leading_out(self.setting(mailbox)), "rules": self._rules_leading_out(mailbox)}

    def _leading_out(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        inside = [name for name in ADDRESSES if setting[name] and not self._is_outside(setting[name])]
        outside = [name for name in ADDRESSES if setting[name] and name not in inside]
        if not outside:
            return {}
        if inside:  # what goes on inside goes on as it is
            return {name: setting[name] for name in outside}
        return dict(setting)

    def _rules_leading_out(self, mailbox: str) -> list[dict[str, Any]]:
        leading_out = []
        for rule in self.rules(mailbox):
            outside = [address for address in _targets(rule) if self._is_outside(address)]
            if outside:
                leading_out.append(
                    {
                        "id": str(rule.get("id") or ""),
                        "displayName": str(rule.get("displayName") or ""),
                        "isEnabled": bool(rule.get("isEnabled")),
                        "isChangeable": not (rule.get("isReadOnly") or rule.get("hasError")),
                        "outside": outside,
                    }
                )
        return leading_out

    def _is_outside(self, address: str) -> bool:
        """Tell whether mail to an address, or to a recipient of the directory, leaves the organisation."""
        if "@" in address:
            return not self._is_accepted(address)
        if "*" in address:
            return True  # no recipient's name: Get-Recipient would take it for a pattern and list everybody
        rows = exchange.read(self._exchange, "Get-Recipient", {"Identity": address})
        found = [str(row.get(name) or "") for row in rows for name in ("ExternalEmailAddress", "PrimarySmtpAddress")]
        return any("@" in text and not self._is_accepted(text) for text in found)

    def _is_accepted(self, address: str) -> bool:
        domain = address.rpartition("@")[2].lower()
        return any(
            domain == accepted.removeprefix("*.") or (accepted.startswith("*.") and domain.endswith(accepted[1:]))
            for accepted in self._accepted_domains()
        )

    def _accepted_domains(self) -> list[str]:
        """Return the tenant's domains in lower case; one whose subdomains are accepted too begins with `*.`."""
        if self._domains is None:
            rows = exchange.read(self._exchange, "Get-AcceptedDomain", {})
            if not rows:
                raise OutcomeUnknown("Exchange named no accepted domain; what lies outside cannot be told.")
            self._domains = [
                ("*." if row.get("MatchSubDomains") else "")
                + str(row.get("DomainName") or "").lower().removeprefix("*.")
                for row in rows
            ]
        return self._domains


def rules_path(mailbox: str) -> str:
    """Return where Graph has the inbox rules of a mailbox."""
    return f"/v1.0/users/{quote(mailbox, safe='@')}/mailFolders/inbox/messageRules"


def _addresses_of(row: Mapping[str, Any]) -> set[str]:
    """Return every address by which Exchange knows a mailbox, in lower case."""
    aliases = row.get("EmailAddresses")
    named = [
        row.get("UserPrincipalName"),
        row.get("PrimarySmtpAddress"),
        *(aliases if isinstance(aliases, list) else []),
    ]
    return {str(name).lower().removeprefix("smtp:") for name in named if name}


def _targets(rule: Mapping[str, Any]) -> list[str]:
    """Return every address a rule sends to."""
    actions = rule.get("actions")
    recipients = [row for name in _FORWARDS for row in (actions if isinstance(actions, dict) else {}).get(name) or []]
    mail = [row.get("emailAddress") for row in recipients if isinstance(row, dict)]
    return [str(each["address"]) for each in mail if isinstance(each, dict) and each.get("address")]
