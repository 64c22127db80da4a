"""Ids in paths: another tenant's gets, from everybody and by every method, exactly what an unknown one gets."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.urls import get_resolver, path
from django.views import View

from tests.isolation.asking import LONG, Answer, Asker, differences, our_admin, sign_in, strangers
from tests.isolation.resolver import patterns, places
from tests.isolation.routes import ADMIN_PAGES, Place
from tests.isolation.world import World, fingerprint, unknown

WITH_ROWS = {pattern: place for pattern, place in places().items() if place.kind is not None}
OTHER_METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
FAILED = 500
SAME_ON_ALL_PAGES = ("{id}/", "/history/", "/delete/")
"""Pages of the admin that one piece of code makes for all kinds of rows."""


def test_every_route_has_its_line_in_the_table():
    assert sorted(set(patterns()) - set(places())) == []
    assert sorted(set(places()) - set(patterns())) == []


def test_a_new_route_without_a_line_is_noticed(monkeypatch):
    fresh = path("api/v1/leaks/<uuid:pk>/", View.as_view())
    monkeypatch.setitem(get_resolver().__dict__, "url_patterns", [*get_resolver().url_patterns, fresh])

    assert set(patterns()) - set(places()) == {"api/v1/leaks/<uuid:pk>/"}


def test_a_foreign_row_looks_like_none(world: World):
    before = fingerprint(world.theirs)

    assert "\n".join(mismatches(world, strangers(world), ("GET", "POST"))) == ""
    assert fingerprint(world.theirs) == before


def test_a_foreign_row_looks_like_none_by_any_method(world: World):
    askers = strangers(world) if LONG else [our_admin(world)]

    assert "\n".join(mismatches(world, askers, OTHER_METHODS)) == ""


def test_every_route_tells_ones_own_rows_from_unknown_ones(world: World):
    """The control: where even an own row looked like none, the matrix would prove nothing."""
    people = {"provider": world.provider, "our approver": world.ours.people["approver"]}
    askers = [our_admin(world), *(Asker(name, sign_in(user)) for name, user in people.items())]
    alike = [
        pattern
        for pattern, place in WITH_ROWS.items()
        if not _is_alike_by_design(pattern)
        and not any(_tells(asker, method, place, world) for method in ("GET", "POST") for asker in askers)
    ]

    assert alike == []


def _tells(asker: Asker, method: str, place: Place, world: World) -> bool:
    no_id = unknown(place.row)
    none = asked(asker, method, place, no_id).without([no_id])
    return any(
        differences(asked(asker, method, place, own_id).without([own_id]), none) for own_id in world.ours.ids(place.row)
    )


def _is_alike_by_design(pattern: str) -> bool:
    """The pages for deleting what nobody may delete."""
    pages = {f"admin/{page}/<path:object_id>/delete/": kind for page, kind in ADMIN_PAGES.items()}
    return pattern in pages and getattr(admin.site._registry[pages[pattern]], "delete_capability", None) is None


def test_a_reader_changes_nothing_in_their_own_tenant(world: World):
    before = fingerprint(world.theirs)

    _try_everything(world, "reader")
    assert fingerprint(world.theirs) == before
    _try_everything(world, "approver", only="actions/<uuid:pk>/reject")
    assert fingerprint(world.theirs) != before


def _try_everything(world: World, name: str, only: str = "") -> None:
    asker = Asker(f"their {name}", sign_in(world.theirs.people[name]))
    for pattern, place in WITH_ROWS.items():
        if only in pattern:
            for method in ("POST", "PATCH", "DELETE") if pattern.startswith("api/") else ("POST",):
                for row_id in world.theirs.ids(place.row):
                    asked(asker, method, place, row_id)


def mismatches(world: World, askers: list[Asker], methods: tuple[str, ...]) -> list[str]:
    """Ask for the other tenant's rows and for unknown ones everywhere, and say where the answers differ."""
    return [
        f"{asker.name}: {method} {pattern}: {what}"
        for pattern, place in WITH_ROWS.items()
        for asker in askers
        for method in methods
        if LONG or _is_worth_asking(asker, method, place)
        for what in _differences_at(world, asker, method, place)
    ]


def _is_worth_asking(asker: Asker, method: str, place: Place) -> bool:
    """Leave out what hardly differs: others than our admin on stock pages, and methods that the admin takes for GET."""
    if place.path.startswith("api/"):
        return True
    is_stock = place.path.endswith(SAME_ON_ALL_PAGES) or (method == "POST" and not place.body)
    return method in ("GET", "POST") and (asker.name == "our tenant admin" or not is_stock)


def _differences_at(world: World, asker: Asker, method: str, place: Place) -> Iterator[str]:
    no_id = unknown(place.row)
    none = asked(asker, method, place, no_id).without([no_id])
    if none.status >= FAILED:
        yield str(none.status)
    for foreign_id in world.theirs.ids(place.row):
        yield from differences(asked(asker, method, place, foreign_id).without([foreign_id]), none)


def asked(asker: Asker, method: str, place: Place, identifier: Any) -> Answer:
    """Ask for one row of a place."""
    as_form, follow = place.path.startswith("admin/"), method == "POST"
    return asker.ask(method, place.at(identifier), place.body, as_form=as_form, follow=follow)
