"""The Intune switch: who may turn it, what goes on record, and that turning it off half-way loses nothing."""

from typing import Any

import pytest

from portal.access.actors import actor_for
from portal.access.exceptions import Conflict, Forbidden, SecondFactorNeeded
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.intune.switching import change_intune_connection, create_intune_connection
from remediation.vulnerabilities.models import IntuneConnection
from remediation.vulnerabilities.states import TaskStatus
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.intune.conftest import in_intune, make_ticket, reread, send, the_connection


@pytest.mark.django_db(transaction=True)
def test_it_is_made_once_by_who_may_and_goes_on_record(acme: Tenant, tess: User, ada: User, as_actor: Any) -> None:
    with acting_for(acme.id):
        with pytest.raises(Forbidden):
            create_intune_connection(IntuneConnection(tenant=acme, is_on=True), actor=as_actor(ada))
        made = create_intune_connection(IntuneConnection(tenant=acme, is_on=True), actor=as_actor(tess))
        with pytest.raises(Conflict):
            create_intune_connection(IntuneConnection(tenant=acme), actor=as_actor(tess))
        change_intune_connection(made.pk, {"is_on": True}, actor=as_actor(tess))  # changes nothing

    assert the_connection(acme).is_on
    with acting_for(acme.id):
        events = list(AuditEvent.objects.filter(object_id=made.pk).order_by("seq").values_list("verb", "data"))
    off, on = {"is_on": False, "may_update_tasks": False}, {"is_on": True, "may_update_tasks": False}
    assert events == [
        ("intune_connection.created", {"before": None, "after": off}),
        ("intune_connection.changed", {"before": off, "after": on}),
    ]


@pytest.mark.django_db(transaction=True)
def test_letting_people_move_tasks_takes_a_second_factor_and_taking_it_back_none(
    acme: Tenant, tess: User, as_actor: Any
) -> None:
    with acting_for(acme.id):
        made = create_intune_connection(IntuneConnection(tenant=acme), actor=as_actor(tess))
        without = actor_for(tess, by_key=False)
        with pytest.raises(SecondFactorNeeded):
            change_intune_connection(made.pk, {"may_update_tasks": True}, actor=without)
        change_intune_connection(made.pk, {"may_update_tasks": True}, actor=as_actor(tess))
        assert not change_intune_connection(made.pk, {"may_update_tasks": False}, actor=without).may_update_tasks


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_off_half_way_what_waits_says_so_and_goes_on_when_it_is_on_again(
    intune_on: Tenant, vendor: Vendor, tess: User, as_actor: Any
) -> None:
    task = make_ticket(intune_on, [])
    with acting_for(intune_on.id):
        connection = IntuneConnection.objects.get()
        change_intune_connection(connection.pk, {"is_on": False}, actor=as_actor(tess))

    send(intune_on)

    assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.WAITING, [])
    assert "off" in reread(task).detail
    with acting_for(intune_on.id):
        change_intune_connection(connection.pk, {"is_on": True}, actor=as_actor(tess))
    send(intune_on)
    assert (reread(task).status, reread(task).detail) == (TaskStatus.PENDING, "")
