"""Each wall stands alone: with the other one taken down, the same questions still tell a stranger nothing."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.db.models import Manager
from rest_framework.serializers import PrimaryKeyRelatedField

from portal.access import middleware, scoped_admin
from portal.access.scoped_admin import ScopedAdmin
from portal.api import fields, viewsets
from portal.api.fields import RowField
from portal.tenancy.managers import InScope, TenantManager
from portal.tenancy.models import Tenant
from tests.isolation.asking import LONG, Asker, our_admin, sign_in
from tests.isolation.crawling import pages_of
from tests.isolation.routes import ROWS
from tests.isolation.test_canaries import leaks
from tests.isolation.test_matrix_bodies import body_mismatches
from tests.isolation.test_matrix_paths import mismatches
from tests.isolation.world import World, fingerprint, past_the_walls, tenant_models

Patch = pytest.MonkeyPatch
METHODS = ("GET", "POST") if LONG else ("GET",)
LISTS = 4
"""Slashes in the path of an admin list."""
DESCRIPTION = ("GET", "/api/v1/schema/")
"""The API's description shows no rows and takes a second to make: the canaries are looked for in it elsewhere."""


def compile_to_true(patch: Patch) -> None:
    patch.setattr(InScope, "as_sql", lambda *_, **__: ("true", ()))


def manage_everything(patch: Patch) -> None:
    patch.setattr(TenantManager, "get_queryset", lambda self: Manager.get_queryset(self))


def forget_to_look_for_a_scope(patch: Patch) -> None:
    for module in (fields, scoped_admin):
        patch.setattr(module, "has_scope", lambda: True)


def take_any_rows_in_lists(patch: Patch) -> None:
    for module in (fields, viewsets):
        patch.setattr(module, "rows_in_scope", lambda queryset: queryset)


def take_any_row_in_bodies(patch: Patch) -> None:
    patch.setattr(RowField, "get_queryset", PrimaryKeyRelatedField.get_queryset)


def list_any_rows_in_the_admin(patch: Patch) -> None:
    patch.setattr(ScopedAdmin, "get_queryset", ModelAdmin.get_queryset)


def open_no_scope(patch: Patch) -> None:
    patch.setattr(middleware, "viewing", lambda _tenants: nullcontext())


CHECKS: list[Callable[[Patch], None]] = [
    compile_to_true,
    manage_everything,
    forget_to_look_for_a_scope,
    take_any_rows_in_lists,
    take_any_row_in_bodies,
    list_any_rows_in_the_admin,
    open_no_scope,
]


@pytest.fixture
def without_row_level_security(standing: World) -> Iterator[None]:
    """Take the second wall down in this process's own database, and put it up again when the world is rolled back."""
    _switch_row_level_security("DISABLE")
    yield
    _switch_row_level_security("ENABLE")


def _switch_row_level_security(how: str) -> None:
    with past_the_walls() as superuser:
        for table in (Tenant._meta.db_table, *(model._meta.db_table for model in tenant_models())):
            superuser.execute(f'ALTER TABLE "{table}" {how} ROW LEVEL SECURITY'.encode())


def questioners(world: World) -> list[Asker]:
    """Return a person with rights over one tenant and one with none anywhere, who has no scope."""
    return [our_admin(world), Asker("analyst without a membership", sign_in(world.nobody))]


def seen_by(world: World, asker: Asker) -> dict[str, Any]:
    """Return what shows of the other tenant on the pages of its own rows and on every list."""
    found = {}
    for method, path in sorted({*pages_of(world.theirs)} - {DESCRIPTION}):
        if not path.startswith("/admin/") or path.endswith("/change/") or path.count("/") == LISTS:
            with transaction.atomic():
                answer = asker.ask(method, path, follow=False)
                transaction.set_rollback(True)
            if seen := world.canaries.found_in(answer.text):
                found[path] = seen
    return found


def told_apart(world: World, askers: list[Asker], methods: tuple[str, ...]) -> str:
    """Return where a foreign row differs from an unknown one; a page that fails outright for both tells nothing."""
    found = [*mismatches(world, askers, methods), *body_mismatches(world, askers)]
    return "\n".join(line for line in found if not line.endswith(": 500"))


@pytest.mark.parametrize("take_down", CHECKS)
def test_any_one_check_of_the_first_wall_can_go(world: World, monkeypatch: Patch, take_down: Callable[[Patch], None]):
    before, askers = fingerprint(world.theirs), questioners(world)
    with monkeypatch.context() as patch:
        take_down(patch)

        assert {asker.name: found for asker in askers if (found := seen_by(world, asker))} == {}
        if LONG and take_down is not open_no_scope:
            assert told_apart(world, askers, METHODS) == ""
    assert fingerprint(world.theirs) == before


def test_the_whole_first_wall_can_go(world: World, monkeypatch: Patch):
    before, askers = fingerprint(world.theirs), questioners(world)
    with monkeypatch.context() as patch:
        for take_down in CHECKS[:-1]:
            take_down(patch)

        assert told_apart(world, askers[: 2 if LONG else 1], METHODS) == ""
        assert not LONG or leaks(world, askers[0]) == {}
    assert fingerprint(world.theirs) == before


@pytest.mark.usefixtures("without_row_level_security")
def test_the_second_wall_can_go(world: World):
    before, askers = fingerprint(world.theirs), questioners(world)

    assert told_apart(world, askers[: 2 if LONG else 1], METHODS) == ""
    assert leaks(world, askers[0]) == {}
    assert seen_by(world, askers[1]) == {}
    assert fingerprint(world.theirs) == before


@pytest.mark.usefixtures("without_row_level_security")
def test_with_both_walls_down_the_canaries_are_heard(world: World, monkeypatch: Patch):
    """The control: the same questions do tell, once nothing stands between."""
    with monkeypatch.context() as patch:
        for take_down in CHECKS[:-1]:
            take_down(patch)

        assert len(seen_by(world, our_admin(world))) > len(ROWS)
        assert told_apart(world, [our_admin(world)], ("GET",)) != ""
