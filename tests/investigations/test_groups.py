"""Device groups: each change is one person's with the capability, on record, and sorts the devices at once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from investigations.grouping import Rule, RuleOperator, RuleProperty
from investigations.groups import (
    DEFAULT_NAME,
    LAST_RANK,
    delete_group,
    ensure_default_group,
    regroup_devices,
    save_group,
)
from investigations.models import Device, DeviceGroup
from investigations.states import AutomationLevel
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.factories import default_group, make_device, make_group
from tests.investigations.records import alert, device, store

As = Callable[[User], Actor]
SERVERS = Rule(RuleProperty.NAME, RuleOperator.STARTS_WITH, "srv")


def save(tenant: Tenant, actor: Actor, **changes: Any) -> tuple[DeviceGroup, int]:
    values: dict[str, Any] = {"group_id": None, "name": "Servers", "rank": 1, "rules": [SERVERS]}
    values |= {"automation_level": AutomationLevel.FULL} | changes
    with acting_for(tenant.id):
        return save_group(tenant_id=tenant.id, actor=actor, **values)


def ranks(tenant: Tenant) -> dict[str, int]:
    with acting_for(tenant.id):
        return dict(DeviceGroup.objects.filter(is_default=False).values_list("name", "rank"))


def group_of(made: Device) -> str:
    with acting_for(made.tenant_id):
        return str(Device.objects.select_related("group").get(pk=made.pk).group)


def last_event(tenant: Tenant) -> AuditEvent:
    with acting_for(tenant.id):
        return AuditEvent.objects.latest("seq")


def test_the_default_group_is_made_once_and_asks_for_approval(acme: Tenant) -> None:
    with acting_for(acme.id):
        first, second = ensure_default_group(acme.id), ensure_default_group(acme.id)

    assert first == second
    assert (first.name, first.rank, first.automation_level) == (DEFAULT_NAME, LAST_RANK, "semi_all_folders")


def test_new_rules_move_the_devices_they_fit_and_no_others(acme: Tenant, tess: User, as_actor: As) -> None:
    server, laptop = make_device(acme, "srv-1"), make_device(acme, "pc-1")

    _, moved = save(acme, as_actor(tess))

    assert moved == 1
    assert (group_of(server), group_of(laptop)) == ("Servers", DEFAULT_NAME)
    with acting_for(acme.id):
        assert regroup_devices(acme.id) == 0


def test_a_change_is_on_record_with_before_and_after(acme: Tenant, tess: User, as_actor: As) -> None:
    group, _ = save(acme, as_actor(tess))

    save(acme, as_actor(tess), group_id=group.pk, automation_level=AutomationLevel.NO_AUTOMATED_RESPONSE)

    event = last_event(acme)
    assert (event.verb, event.actor_label, event.object_id) == ("device_group.changed", tess.email, group.pk)
    assert event.data["before"]["automation_level"] == "full"
    assert event.data["after"] == {
        "name": "Servers",
        "rank": 1,
        "automation_level": "no_automated_response",
        "rules": ["name starts_with srv"],
    }


def test_a_taken_rank_moves_the_others_down(acme: Tenant, tess: User, as_actor: As) -> None:
    for name in ("Laptops", "Servers", "Kiosks"):
        save(acme, as_actor(tess), name=name, rank=1)

    assert ranks(acme) == {"Kiosks": 1, "Servers": 2, "Laptops": 3}


def test_a_deleted_group_gives_its_devices_to_the_next_that_fits(acme: Tenant, tess: User, as_actor: As) -> None:
    first, _ = save(acme, as_actor(tess))
    save(acme, as_actor(tess), name="Also servers", rank=2)
    server = make_device(acme, "srv-1", group=first)

    with acting_for(acme.id):
        assert delete_group(first.pk, actor=as_actor(tess)) == 1

    assert group_of(server) == "Also servers"
    event = last_event(acme)
    assert (event.verb, event.object_id, event.data["after"]) == ("device_group.deleted", first.pk, None)


def test_the_default_group_stays_and_keeps_its_name_and_rank(acme: Tenant, tess: User, as_actor: As) -> None:
    default = default_group(acme)
    with acting_for(acme.id), pytest.raises(Conflict):
        delete_group(default.pk, actor=as_actor(tess))

    changed, _ = save(acme, as_actor(tess), group_id=default.pk, name="Mine", rank=1)

    with acting_for(acme.id):
        kept = DeviceGroup.objects.get(pk=changed.pk)
        assert (kept.name, kept.rank, kept.automation_level) == (DEFAULT_NAME, LAST_RANK, "full")
        assert kept.rules.count() == 0


def test_an_analyst_may_not_change_groups(acme: Tenant, ada: User, as_actor: As) -> None:
    group = make_group(acme)

    with pytest.raises(Forbidden):
        save(acme, as_actor(ada))
    with acting_for(acme.id), pytest.raises(Forbidden):
        delete_group(group.pk, actor=as_actor(ada))

    assert ranks(acme) == {"Servers": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"name": " "}, {"name": DEFAULT_NAME}, {"rank": 0}, {"rules": [Rule(SERVERS.property, SERVERS.operator, " ")]}],
)
def test_what_makes_no_sense_is_refused(acme: Tenant, tess: User, as_actor: As, wrong: dict[str, Any]) -> None:
    default_group(acme)

    with pytest.raises(BadRequest):
        save(acme, as_actor(tess), **wrong)

    assert ranks(acme) == {}


@pytest.mark.django_db(transaction=True)
def test_a_device_that_arrives_while_rules_change_ends_in_the_group_it_fits(
    acme: Tenant, tess: User, as_actor: As
) -> None:
    """The intake read the old rules; were the change not to wait for it, the device would stay in the wrong group."""
    default_group(acme)
    actor = as_actor(tess)
    is_stored, is_free = threading.Event(), threading.Event()

    def take_in() -> None:
        try:
            with acting_for(acme.id):
                store(acme, alert(acme, 1, device(1, deviceDnsName="srv-1")))
                is_stored.set()
                is_free.wait(10)
        finally:
            connection.close()

    intake = threading.Thread(target=take_in)
    intake.start()
    assert is_stored.wait(10)
    timer = threading.Timer(0.5, is_free.set)
    timer.start()
    before = time.monotonic()
    save(acme, actor)
    intake.join(10)

    assert time.monotonic() - before >= 0.4
    with acting_for(acme.id):
        assert Device.objects.get().group.name == "Servers"
