"""Canaries: no text of the other tenant is in anything that somebody else gets to read."""

from itertools import chain

from django.db import models

from portal.access.models import ProviderMembership, ServiceAccount, User
from portal.tenancy.models import TenantGroup
from tests.isolation.asking import LONG, Asker, sign_in, strangers
from tests.isolation.canaries import KEPT, holds_text
from tests.isolation.crawling import looks, searches
from tests.isolation.routes import ROWS
from tests.isolation.world import Model, World, past_the_walls, tenant_models

SYSTEM: set[Model] = {ProviderMembership, ServiceAccount, TenantGroup, User}
"""What the provider keeps of a tenant; its people do not get to see that either."""


FAILED = 500


def leaks(world: World, asker: Asker) -> dict[str, dict[str, str]]:
    """Return the canaries, and ids of the other tenant's rows, in what the asker gets to read, and what broke."""
    theirs = {str(row): model._meta.label for model, rows in world.theirs.rows.items() for row in rows}
    found = {}
    for place, answer in chain(looks(asker, world.ours), searches(asker) if _sees_lists(asker) else ()):
        seen = world.canaries.found_in(answer.text) | {row: kind for row, kind in theirs.items() if row in answer.text}
        if seen or answer.status >= FAILED:
            found[place] = seen or {str(answer.status): answer.body[:200]}
    return found


def _sees_lists(asker: Asker) -> bool:
    return LONG or asker.name == "our tenant admin"


def test_nobody_else_sees_a_canary(world: World):
    assert {asker.name: found for asker in strangers(world) if (found := leaks(world, asker))} == {}


def test_their_own_people_see_them(world: World):
    """The control: what the search above looks for is there to be found, on every page of rows."""
    asker = Asker("their tenant admin", sign_in(world.theirs.people["admin"]))
    seen: dict[str, str] = {}
    for _place, answer in looks(asker, world.theirs):
        seen |= world.canaries.found_in(answer.text)

    tables = {place.partition(".")[0] for place in seen.values()}
    planted = {place.partition(".")[0] for place in world.canaries.places.values()}
    kinds: set[Model] = {*ROWS.values()} - SYSTEM
    assert {kind._meta.db_table for kind in kinds} & planted <= tables
    assert len(seen) > len(world.canaries.places) / 2


def test_every_text_of_a_tenant_holds_a_canary(world: World):
    """A column added later is planted too; what is not is kept for a reason."""
    bare = []
    with past_the_walls() as superuser:
        for model in tenant_models():
            for column in (field.column for field in model._meta.local_concrete_fields if _is_text(field)):
                statement = f'SELECT count(*) FROM "{model._meta.db_table}" WHERE "{column}"::text LIKE %s'
                [count] = superuser.execute(statement, ["%kanarie%"]).fetchone() or [0]
                bare += [f"{model._meta.db_table}.{column}"] if not count else []

    assert [place for place in bare if place.rpartition(".")[2] not in KEPT] == []


def _is_text(field: models.Field) -> bool:
    return holds_text(field) or (isinstance(field, models.CharField | models.TextField) and not field.choices)
