"""Ways out of a scope that people think of, and code slips into: each ends in an error or in nothing at all."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, IntegrityError, connection, transaction

from investigations.models import Device, DeviceGroup, Investigation
from portal.access.models import TenantMembership
from portal.tenancy.exceptions import EmptyScope, NoScope, WiderScope
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from tests.isolation.world import World


def names() -> list[str]:
    """Return the device names that the first wall lets through."""
    return list(Device.objects.values_list("name", flat=True))


def raw_names() -> list[str]:
    """Return the device names that plain SQL sees."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM investigations_device")
        return [name for (name,) in cursor.fetchall()]


def closing(work: Callable[[], Any]) -> Callable[[], Any]:
    """Return the work with the other thread's own connection closed after it."""

    def done() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return done


def test_a_wider_scope_is_refused_at_every_depth(world: World):
    ours, theirs = world.ours.tenant.pk, world.theirs.tenant.pk
    with viewing([ours, theirs]), acting_for(ours):
        for wanted in ([theirs], [ours, theirs]):
            with pytest.raises(WiderScope), viewing(wanted):
                pass
        assert len(raw_names()) == 1
    with acting_for(ours), pytest.raises(EmptyScope), viewing([]):
        pass


def test_a_thread_of_ones_own_has_no_scope_and_sees_nothing(standing: World):
    with acting_for(standing.ours.tenant.pk), ThreadPoolExecutor(1) as pool:
        assert pool.submit(closing(raw_names)).result() == []
        with pytest.raises(NoScope):
            pool.submit(closing(names)).result()


def test_a_thread_that_is_handed_the_scope_still_sees_nothing(standing: World):
    """The ContextVar travels, the transaction does not: the second wall has the last word."""
    with acting_for(standing.ours.tenant.pk), ThreadPoolExecutor(1) as pool:
        context = copy_context()
        assert pool.submit(context.run, closing(names)).result() == []
        with pytest.raises(DatabaseError, match="row-level security"):
            pool.submit(context.run, closing(lambda: _add_group(standing))).result()


def _add_group(world: World) -> None:
    DeviceGroup.objects.create(tenant_id=world.ours.tenant.pk, name="From elsewhere", rank=77)


def test_async_code_sees_nothing_by_another_thread(standing: World):
    async def look() -> list[list[str]]:
        other = sync_to_async(closing(names), thread_sensitive=False)
        return [await asyncio.to_thread(closing(names)), await other()]

    with acting_for(standing.ours.tenant.pk):
        context = copy_context()
        told: list[Any] = []
        runner = threading.Thread(target=lambda: told.extend(context.run(asyncio.run, look())))
        runner.start()
        runner.join()
    assert told == [[], []]


def test_what_is_read_late_is_read_without_a_scope(world: World):
    def stream() -> Iterator[str]:
        yield from names()

    with acting_for(world.ours.tenant.pk):
        late, rows = stream(), Device.objects.all()
        device = Device.objects.get()
    for read in (lambda: next(late), lambda: list(rows), lambda: device.refresh_from_db(), lambda: device.group.name):
        with pytest.raises(NoScope):
            read()


def test_relations_lead_no_further_than_the_scope(world: World):
    foreign_device, foreign_case = world.theirs.ids(Device)[0], world.theirs.ids(Investigation)[0]
    with acting_for(world.ours.tenant.pk):
        assert not Device.objects.filter(group__devices__name__startswith="kanarie").exists()
        assert not Tenant.across_tenants.filter(pk=world.theirs.tenant.pk).exists()
        assert list(Device.objects.raw("SELECT * FROM investigations_device WHERE id = %s", [foreign_device])) == []
        assert Device._base_manager.filter(pk=foreign_device).count() == 0
        with pytest.raises(Investigation.DoesNotExist):
            _ = (
                Device(tenant_id=world.ours.tenant.pk, pk=foreign_device)
                .reached_by.model(investigation_id=foreign_case)
                .investigation
            )


def test_writes_reach_no_further_than_the_scope(world: World):
    ours, theirs = world.ours.tenant.pk, world.theirs.tenant.pk
    foreign_id, foreign_group = world.theirs.ids(Device)[0], world.theirs.ids(DeviceGroup)[0]
    with acting_for(ours):
        assert Device.objects.filter(pk=foreign_id).update(name="ours") == 0
        assert Device.objects.filter(pk=foreign_id).delete()[0] == 0
        for error, write in (
            (DatabaseError, lambda: Device.objects.update(tenant_id=theirs)),
            (DatabaseError, lambda: TenantMembership.objects.update(tenant_id=theirs)),
            (DatabaseError, lambda: DeviceGroup.objects.bulk_create([DeviceGroup(tenant_id=theirs, name="x", rank=9)])),
            (IntegrityError, lambda: Device.objects.update(group_id=foreign_group)),
            (DatabaseError, lambda: Device(tenant_id=theirs, pk=foreign_id, name="ours").save(force_update=True)),
        ):
            with pytest.raises(error), transaction.atomic():
                write()
