"""Turn off what a mailbox forwards out of the organisation, and set again exactly what was turned off.

`prepare` keeps the setting as it was, and that is all that `send` changes: what somebody adds meanwhile is found by the
look-up, which names it, and is another action's. Rules are switched off, never deleted. Doubts kept from the facts:

- Rules that are read-only or have an error cannot be changed through Graph: they are named, and the action has failed.
- Whether a name of a recipient, as it was read, can always be set again is not stated.
- How soon a read shows a change is not stated.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from connectors.microsoft import exchange, steps
from connectors.microsoft.http import Api
from connectors.microsoft.mailboxes import DELIVER_TOO, Mailboxes, rules_path
from connectors.protocol import ActionRequest, ConnectorError, LookUp, Receipt, Refused, RemoteState

TURN_OFF: Final = "turn_off_forwarding"
RESTORE: Final = "restore_forwarding"
ACTIONS: Final = frozenset({TURN_OFF, RESTORE})

SHOWS_WITHIN: Final = timedelta(minutes=15)
"""How long reads may take to show what was accepted; then something else has changed it."""


class Forwarding:
    """The two actions. Exchange is handed in with each call, as elsewhere; Graph, which has the rules, is kept."""

    def __init__(self, graph: Api) -> None:
        self._graph = graph

    def prepare(self, api: Api, request: ActionRequest) -> dict[str, Any]:
        """Return what leads out of the organisation now (`Mailboxes.forwarding`). Raises Refused and its kinds."""
        with exchange.before_acting():
            return Mailboxes(api, self._graph).forwarding(_mailbox(request))

    def send(self, api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        """Turn off what `prepare` found, or set again what it had found; whether it worked, a look-up reads back.

        Raises Refused, NotSent or OutcomeUnknown.
        """
        former = _former(request)
        todo: list[steps.Step] = []
        if former["mailbox"]:
            todo.append(partial(_set_mailbox, api, request, _wanted(request, former["mailbox"])))
        todo += [partial(_switch, self._graph, request, rule) for rule in _changeable(former["rules"])]
        fixed = _fixed(former["rules"]) if request.type == TURN_OFF else []
        if not todo:
            before_sending()
            return Receipt(_mailbox(request), _end(fixed), _ended(request, fixed))
        refusals = steps.take(todo, before_sending=before_sending)
        if refusals:
            return Receipt(_mailbox(request), RemoteState.FAILED, f"A part was done; refused: {'; '.join(refusals)}")
        return Receipt(_mailbox(request), RemoteState.PENDING, "Exchange and Graph accepted the change")

    def look_up(self, api: Api, requests: Sequence[ActionRequest]) -> LookUp:
        """Read each mailbox and its rules back: done when nothing leads outside, or when all is as it was.

        Not so is in progress for a while when it had been accepted, else absent; a read that failed is unanswered.
        """
        found: dict[UUID, Receipt] = {}
        unanswered: set[UUID] = set()
        mailboxes = Mailboxes(api, self._graph)
        for request in requests:
            try:
                missing, fixed = (_still_on if request.type == TURN_OFF else _not_restored)(mailboxes, request)
            except ConnectorError:
                unanswered.add(request.action_id)
                continue
            if not missing:
                found[request.action_id] = Receipt(_mailbox(request), _end(fixed), _ended(request, fixed))
            elif request.remote_id:
                found[request.action_id] = _not_yet(request, missing)
        return LookUp(found, frozenset(unanswered))


def _still_on(mailboxes: Mailboxes, request: ActionRequest) -> tuple[list[str], list[str]]:
    """Return what still leads outside and could be turned off, and what could not."""
    now = mailboxes.forwarding(_mailbox(request))
    addresses = [str(value) for name, value in now["mailbox"].items() if name != DELIVER_TOO and value]
    return [*addresses, *map(_named, _changeable(now["rules"]))], _fixed(now["rules"])


def _not_restored(mailboxes: Mailboxes, request: ActionRequest) -> tuple[list[str], list[str]]:
    """Return what is not as it was and could be, and which rules are there no more."""
    mailbox, former = _mailbox(request), _former(request)
    now = mailboxes.setting(mailbox) if former["mailbox"] else {}
    differing = [name for name, value in former["mailbox"].items() if now.get(name) != value]
    wanted = _changeable(former["rules"])
    rules = {str(rule.get("id")): bool(rule.get("isEnabled")) for rule in mailboxes.rules(mailbox)} if wanted else {}
    off = [_named(rule) for rule in wanted if rules.get(rule["id"]) is False]
    return differing + off, [f"{_named(rule)} (deleted)" for rule in wanted if rule["id"] not in rules]


def _end(fixed: Sequence[str]) -> RemoteState:
    return RemoteState.FAILED if fixed else RemoteState.SUCCEEDED


def _ended(request: ActionRequest, fixed: Sequence[str]) -> str:
    """Return how it ended, in words; `fixed` is what could not be changed."""
    if fixed:
        return f"The rest is done; this could not be changed: {', '.join(fixed)}"
    if request.type == RESTORE:
        return "All forwarding is as it was"
    there_was_some = request.findings is None or request.findings["mailbox"] or _on(request.findings["rules"])
    return (
        "Nothing is forwarded outside any more" if there_was_some else "There was none: nothing was forwarded outside"
    )


def _not_yet(request: ActionRequest, missing: Sequence[str]) -> Receipt:
    is_late = request.sent_at is not None and datetime.now(UTC) - request.sent_at > SHOWS_WITHIN
    words = "Still forwarding outside" if request.type == TURN_OFF else "Not as it was"
    state = RemoteState.FAILED if is_late else RemoteState.IN_PROGRESS
    return Receipt(request.remote_id, state, f"{words}: {', '.join(missing)}")


def _wanted(request: ActionRequest, former: Mapping[str, Any]) -> dict[str, Any]:
    if request.type == RESTORE:
        return dict(former)
    return {name: False if name == DELIVER_TOO else None for name in former}


def _set_mailbox(api: Api, request: ActionRequest, wanted: Mapping[str, Any], guard: Callable[[], None]) -> None:
    parameters = {"Identity": _mailbox(request), **wanted}
    exchange.invoke(api, request, "Set-Mailbox", parameters, before_sending=guard)


def _switch(api: Api, request: ActionRequest, rule: Mapping[str, Any], guard: Callable[[], None]) -> None:
    path = f"{rules_path(_mailbox(request))}/{quote(rule['id'], safe='')}"
    wanted = {"isEnabled": request.type == RESTORE}
    api.act("PATCH", path, wanted, action_id=request.action_id, before_sending=guard)


def _on(rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [rule for rule in rules if rule["isEnabled"]]


def _changeable(rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rules that are on and can be changed: what turning off switches off, and restoring switches on."""
    return [rule for rule in _on(rules) if rule["isChangeable"]]


def _fixed(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{_named(rule)} (read-only or faulty)" for rule in _on(rules) if not rule["isChangeable"]]


def _named(rule: Mapping[str, Any]) -> str:
    return f"rule “{rule['displayName']}”"


def _mailbox(request: ActionRequest) -> str:
    mailbox = str(request.parameters.get("mailbox") or "")
    if "@" not in mailbox:
        raise Refused(f"{request.type} needs the address of a mailbox.", code="InvalidInput")
    return mailbox


def _former(request: ActionRequest) -> Mapping[str, Any]:
    """Return the setting as it was kept. Raises Refused for none, or for what `prepare` never returned."""
    former = request.findings if request.type == TURN_OFF else request.parameters.get("former")
    if not isinstance(former, Mapping) or not _is_whole(former):
        raise Refused(f"{request.type}: the former setting is missing; nothing was changed.", code="InvalidInput")
    return former


def _is_whole(former: Mapping[str, Any]) -> bool:
    rules = former.get("rules")
    return (
        isinstance(former.get("mailbox"), Mapping)
        and isinstance(rules, Sequence)
        and all(
            isinstance(rule, Mapping) and {"id", "displayName", "isEnabled", "isChangeable"} <= rule.keys()
            for rule in rules
        )
    )
