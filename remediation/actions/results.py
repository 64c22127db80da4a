"""What an action brought back, handed to the one person who asked, once.

Microsoft keeps the result and gives short-lived links to it; whoever holds a link needs no sign-in. So a link is never
stored: a worker asks for a fresh one, seals it for this action and person, and leaves it in the cache for at most two
minutes, where the person's next request takes it away. Who asked and who was handed it goes on record.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from connectors.choosing import find_enabled
from connectors.protocol import ActionRequest, Connector, ConnectorError, NotSent
from connectors.registry import class_of
from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.secrets.envelope import seal, unseal
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.states import State

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 120
TASK: Final = "remediation.actions.tasks.fetch_result"


class Stage(StrEnum):
    """How far asking for a link is: nothing asked for, asked for, there to be taken, or refused by Microsoft."""

    NONE = "none"
    ASKED = "asked"
    READY = "ready"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Handed:
    """What a person gets who comes for a result: the `url` when it is ready, `words` when it is refused."""

    stage: Stage
    url: str = ""
    words: str = ""


def has_result(action: RemediationAction) -> bool:
    """Return whether the action may have brought something back. Its connection must be in scope."""
    if not action.remote_id or action.state not in (State.SUCCEEDED, State.FAILED):
        return False
    connection = find_enabled(action.tenant_id)
    return connection is not None and action.type in class_of(connection.kind).download_types


def ask_for_result(action: RemediationAction, *, actor: Actor) -> None:
    """Have a worker ask Microsoft for a fresh link for this person. Raises Forbidden, Conflict."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, action.tenant_id)
    if not has_result(action):
        raise Conflict(_("This action has brought back nothing that could be fetched."))
    key = _key(action.pk, actor.id)
    if _read(key).get("stage") == Stage.ASKED:
        return
    _record(action, "asked", actor)
    try:
        cache.set(key, {"stage": Stage.ASKED}, timeout=KEPT_SECONDS)
    except (RedisError, OSError) as error:
        raise Conflict(_("The queue of work cannot be reached now; try again in a minute.")) from error
    arguments = [str(action.tenant_id), str(action.pk), str(actor.id)]
    transaction.on_commit(lambda: _ring(key, arguments))


def take_result(action: RemediationAction, *, actor: Actor) -> Handed:
    """Return how far it is, and the link itself if it is there: that takes it away. Raises Forbidden."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, action.tenant_id)
    key = _key(action.pk, actor.id)
    found = _read(key)
    stage = Stage(found.get("stage", Stage.NONE))
    if stage in (Stage.READY, Stage.REFUSED) and not cache.delete(key):
        return Handed(Stage.NONE)  # another request of the same person was faster
    if stage == Stage.REFUSED:
        return Handed(stage, words=found["words"])
    if stage != Stage.READY:
        return Handed(stage)
    url = unseal(action.tenant_id, _place(action.pk, actor.id), found["sealed"])
    _record(action, "handed_over", actor)
    return Handed(stage, url=url)


def fetch_link(tenant_id: UUID, action_id: UUID, person_id: UUID, connector: Connector | None) -> None:
    """Ask Microsoft for the link and leave it, sealed, for the person; or leave why there is none. For workers."""
    with acting_for(tenant_id):
        row = RemediationAction.objects.select_related("device").get(pk=action_id)
        request = ActionRequest(
            action_id=row.pk,
            type=row.type,
            machine_id=row.device.machine_id if row.device else "",
            parameters=row.parameters,
            comment=row.reason,
            sent_at=row.sent_at,
            remote_id=row.remote_id,
        )
    left: dict[str, Any]
    try:
        if connector is None:
            raise NotSent(_("The tenant has no connection that can be used."))
        link = connector.download_link(request)
    except ConnectorError as error:
        left = {"stage": Stage.REFUSED, "words": _in_words(error)}
    else:
        with acting_for(tenant_id):
            left = {"stage": Stage.READY, "sealed": seal(tenant_id, _place(action_id, person_id), link.url)}
    cache.set(_key(action_id, person_id), left, timeout=KEPT_SECONDS)


def _in_words(error: ConnectorError) -> str:
    words = _("Microsoft gave no link: %(error)s") % {"error": error}
    wait = error.retry_after if isinstance(error, NotSent) else None
    return f"{words} {_('Try again in %(count)d seconds.') % {'count': round(wait)}}" if wait else words


def _ring(key: str, arguments: list[str]) -> None:
    try:
        current_app.send_task(TASK, args=arguments, expires=KEPT_SECONDS)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("Could not have the result of action %s fetched: %s", arguments[1], error)
        cache.delete(key)


def _read(key: str) -> dict[str, Any]:
    try:
        return cache.get(key) or {}
    except (RedisError, OSError) as error:
        logger.warning("Could not see whether a result is there: %s", error)
        return {}


def _record(action: RemediationAction, what: str, actor: Actor) -> None:
    record(
        action.tenant_id,
        f"action.result_{what}",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor.stamp,
        data={"target": action.target, "type": action.type},
    )


def _key(action_id: UUID, person_id: UUID) -> str:
    return f"result:{action_id}:{person_id}"


def _place(action_id: UUID, person_id: UUID) -> str:
    """Name what the link is sealed for: nobody else's session, and no other action, opens it."""
    return f"actions.result|{action_id}|{person_id}"
