"""What cannot be put on record does not happen: with history closed, an approved action is not sent and waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection

from portal.access.actors import Actor
from portal.access.models import User
from portal.embedded.servers import join_postgres
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services, tasks
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from tests.factories import make_device, make_pending_action

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


@contextmanager
def history_closed() -> Iterator[None]:
    """Take the one way into history from the app, as the owner of the tables can."""
    url = join_postgres().url("portal_owner", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("REVOKE EXECUTE ON FUNCTION audit_append(uuid, jsonb) FROM portal_app")
        try:
            yield
        finally:
            owner.execute("GRANT EXECUTE ON FUNCTION audit_append(uuid, jsonb) TO portal_app")


def test_an_action_that_cannot_be_recorded_is_not_sent(
    connected: Tenant,
    vendor: Any,
    bob: User,
    as_actor: Callable[[User], Actor],
    run: Callable[[RemediationAction, str], None],
) -> None:
    laptop = make_device(connected, "laptop")
    vendor.seed(connected, machines=[{"id": laptop.machine_id, "computerDnsName": "laptop"}])
    action = make_pending_action(connected, laptop)
    with acting_for(connected.id):
        services.approve_action(action.pk, actor=as_actor(bob), reason="Confirmed with the owner.")

    with history_closed(), pytest.raises(ProgrammingError, match="permission denied for function audit_append"):
        tasks.drain(str(connected.id))

    assert vendor.received(connected) == []
    with acting_for(connected.id):
        assert RemediationAction.objects.get(pk=action.pk).state == State.APPROVED
    run(action, State.SUCCEEDED)
    assert len(vendor.received(connected)) == 1
