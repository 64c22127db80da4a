"""Ids in bodies and filters of the API: another tenant's is refused, or finds nothing, exactly as an unknown one."""

import json
import random
import sys
from collections.abc import Callable
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.access.models import User
from portal.api.fields import NOT_YOURS
from portal.tenancy.models import Tenant
from tests.isolation.asking import LONG, Asker, differences, our_admin, sign_in, strangers
from tests.isolation.bodies import BODIES, filled, ids_in_bodies, ids_in_queries, markers, operations
from tests.isolation.routes import LISTS, ROWS
from tests.isolation.test_raw_sql import SEED
from tests.isolation.world import Model, World, unknown

BAD_REQUEST = 400
OTHER_KINDS = 6


def test_every_id_in_a_body_has_its_line_in_the_table():
    in_table = {(method, path, place) for method, path, body in BODIES for place, _kind in markers(body)}

    assert sorted(ids_in_bodies() - in_table) == []


def test_a_new_id_in_a_body_without_a_line_is_noticed(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "BODIES", [line for line in BODIES if "investigations" not in line[1]])

    with pytest.raises(AssertionError, match="device"):
        test_every_id_in_a_body_has_its_line_in_the_table()


def test_the_bodies_in_the_table_are_accepted(world: World):
    """The control: a body refused for anything else would make every answer the same."""
    people = [world.provider, *world.ours.people.values()]
    askers = [Asker(user.email, sign_in(user)) for user in people]

    for method, path, body in BODIES:
        sent = filled(body, lambda _place, kind: world.ours.ids(kind)[-1])
        answers = [asker.ask(method, _own(path, world), sent) for asker in askers]
        assert any(answer.status in (200, 201, 409) for answer in answers), (method, path, answers)


def body_mismatches(world: World, askers: list[Asker]) -> list[str]:
    """Name the other tenant's rows in bodies, one place at a time, and say where the answers are not an unknown's."""
    found = []
    for method, path, body in BODIES:
        for place, kind in markers(body):
            for asker in askers:
                unknown_id, foreign_id = unknown(kind), world.theirs.ids(kind)[-1]

                foreign, none = (
                    asker.ask(method, _own(path, world), filled(body, _naming(each, place, world))).without([each])
                    for each in (foreign_id, unknown_id)
                )
                differ = differences(foreign, none)
                found += [f"{asker.name}: {method} {path} {place}: {what}" for what in differ]
                if foreign.status < BAD_REQUEST and "not_found" not in foreign.body:
                    found.append(f"{asker.name}: {method} {path} {place}: accepted, {foreign.body}")
    return found


def _naming(identifier: UUID, where: str, world: World) -> Callable[[str, Model], UUID]:
    return lambda place, kind: identifier if place == where else world.ours.ids(kind)[-1]


def _own(path: str, world: World) -> str:
    """Fill the row a path names with one of our own."""
    name = path.removeprefix("/api/v1/").partition("/")[0]
    return path.replace("{id}", str(world.ours.ids(ROWS[name])[0])) if "{id}" in path else path


def test_a_foreign_id_in_a_body_is_refused_as_an_unknown_one(world: World):
    assert "\n".join(body_mismatches(world, strangers(world))) == ""


def test_a_foreign_short_name_is_refused_as_an_unknown_one(world: World):
    slug, unknown = world.theirs.tenant.slug, "kanalie99999"
    for asker in strangers(world):
        for path, body in (("/api/v1/alerts/", {"tenant": "{}", "alerts": []}), ("/api/v1/alerts/?tenant={}", [])):
            one, other = (
                asker.ask("POST", path.format(word), json.loads(json.dumps(body).replace("{}", word))).without([word])
                for word in (slug, unknown)
            )
            assert differences(one, other) == []


def test_a_foreign_id_in_a_filter_finds_nothing(world: World):
    """Every filter that takes an id, with rows of many kinds: a filter may look further than its name says."""
    for asker in strangers(world)[1:]:
        is_thorough = LONG or asker.name == "our tenant admin"
        for path, name in ids_in_queries():
            kinds = _kinds_for(path, name) if is_thorough else {Tenant, Device}
            no_id = uuid7()
            none = asker.ask("GET", path, {name: str(no_id)}).without([no_id])
            is_refused = none.status == 403 or (none.status == BAD_REQUEST and str(NOT_YOURS) in none.body)
            assert none.status == 200 or is_refused, (asker.name, path, name, none.body)
            assert is_refused or _rows_in(none.body) == [], (asker.name, path, name)
            for foreign_id in (world.theirs.ids(kind)[0] for kind in kinds):
                foreign = asker.ask("GET", path, {name: str(foreign_id)}).without([foreign_id])
                assert differences(foreign, none) == [], (asker.name, path, name, f"seed {SEED}")


def _kinds_for(path: str, name: str) -> set[Model]:
    """Return every kind of row when there is time, else the likely ones and a few that differ from run to run."""
    every: list[Model] = sorted({*ROWS.values(), User}, key=lambda kind: kind._meta.label)
    if LONG:
        return set(every)
    alike = {kind for kind in every if str(kind._meta.model_name) in name.replace("_", "")}
    chosen = random.Random(f"{SEED} {path} {name}").sample(every, OTHER_KINDS)
    return {Tenant, Device, User, (ROWS | LISTS)[path.split("/")[3]], *alike, *chosen}


def _rows_in(body: str) -> list[object]:
    """Return the rows of a list, or of a file of CSV below its headers."""
    found: list[object] = json.loads(body)["results"] if body.startswith("{") else [*body.splitlines()[1:]]
    return found


def test_a_foreign_word_in_a_filter_finds_nothing(world: World):
    words = [
        (path, parameter["name"])
        for method, path, operation in operations()
        for parameter in operation.get("parameters", [])
        if method == "GET" and parameter["in"] == "query" and parameter["schema"] == {"type": "string"}
    ]
    asker = our_admin(world)
    assert len(words) > 5
    for path, name in words:
        table = (ROWS | LISTS)[path.split("/")[3]]._meta.db_table
        other = "kanalie00000"
        unknown = asker.ask("GET", path, {name: other}).without([other])
        for canary in ["kanarie", *(each for each, place in world.canaries.places.items() if place.startswith(table))]:
            foreign = asker.ask("GET", path, {name: canary}).without([canary])
            assert differences(foreign, unknown) == [], (path, name, canary)
