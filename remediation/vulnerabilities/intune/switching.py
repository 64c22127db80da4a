"""What people do to a tenant's Intune connection: turn it on and off, and allow tasks to be moved from here.

Turning it off loses nothing: what waits keeps waiting and says so, and goes on when it is turned on again.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from remediation.actions.bells import ring_after_commit
from remediation.vulnerabilities.intune.holding import why_off
from remediation.vulnerabilities.models import IntuneConnection, SecurityTask
from remediation.vulnerabilities.states import ON_THE_WAY, IntuneHealth

CHANGEABLE: Final = ("is_on", "may_update_tasks")

_WAITING: Final = Q(status__in=ON_THE_WAY) | ~Q(wanted_status="")


def create_intune_connection(connection: IntuneConnection, *, actor: Actor) -> IntuneConnection:
    """Save a new connection and return it; where it is on, it is read at once.

    Raises Forbidden, SecondFactorNeeded as `change_intune_connection` does, and Conflict where the tenant has one.
    """
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    wanted = _values(connection)
    connection.is_on, connection.may_update_tasks = False, False
    try:
        with transaction.atomic():
            connection.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("This tenant has an Intune connection already; change that one.")) from error
    _record(connection, "created", actor, before=None, after=_values(connection))
    return change_intune_connection(connection.pk, wanted, actor=actor)


def change_intune_connection(connection_id: UUID, changes: Mapping[str, bool], *, actor: Actor) -> IntuneConnection:
    """Change some of CHANGEABLE and return the connection; turned on, it is read at once.

    Whether a tenant's requests go to Intune is a person's word. Raises Forbidden for API keys too, and
    SecondFactorNeeded for letting people accept, reject and complete the tenant's tasks: with that Quell changes what
    is the customer's.
    """
    connection = IntuneConnection.objects.select_for_update().get(pk=connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    before = _values(connection)
    wanted = {name: value for name, value in changes.items() if before[name] != value}
    if not wanted:
        return connection
    actor.require_person()
    if wanted.get("may_update_tasks"):
        actor.require_second_factor()
    for name, value in wanted.items():
        setattr(connection, name, value)
    if wanted.get("is_on"):
        connection.next_sync_at, connection.health, connection.health_detail = None, IntuneHealth.UNTRIED, ""
    connection.save(update_fields=[*wanted, "next_sync_at", "health", "health_detail"])
    if "is_on" in wanted:
        _tell_what_waits(connection)
    _record(connection, "changed", actor, before=before, after=_values(connection))
    return connection


def _tell_what_waits(connection: IntuneConnection) -> None:
    """Let what waits say that it waits for the connection, or go on."""
    waiting = SecurityTask.objects.filter(_WAITING, tenant_id=connection.tenant_id)
    if connection.is_on:
        waiting.update(detail="", not_before=Now())
        for lane in ("intune", "tickets"):
            ring_after_commit(lane, connection.tenant_id)
    else:
        waiting.update(detail=why_off())


def _values(connection: IntuneConnection) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in CHANGEABLE}


def _record(connection: IntuneConnection, what: str, actor: Actor, *, before: Any, after: Any) -> None:
    record(
        connection.tenant_id,
        f"intune_connection.{what}",
        object_type="Intune connection",
        object_id=connection.pk,
        actor=actor.stamp,
        data={"before": before, "after": after},
    )
