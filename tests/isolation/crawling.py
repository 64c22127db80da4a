"""Looking at everything somebody can get to: every page, list, search, filter, export and error page."""

from collections.abc import Iterator

from django.contrib import admin
from django.db import models

from tests.isolation.asking import Answer, Asker
from tests.isolation.bodies import operations
from tests.isolation.resolver import places
from tests.isolation.routes import ADMIN_PAGES, Place
from tests.isolation.world import Side

PREFIX = "kanarie"
"""What all canaries begin with: a search for it would find them, and answers that quote it are no leak."""


def looks(asker: Asker, side: Side) -> Iterator[tuple[str, Answer]]:
    """Yield every answer there is to reading, with where it came from; rows named in paths are those of one side."""
    yield from _asked(asker, {*pages_of(side), *_errors()})


def searches(asker: Asker) -> Iterator[tuple[str, Answer]]:
    """Yield the answers to every search, order, filter and export of every list."""
    yield from _asked(asker, {*_searches(), *_exports()})


def _asked(asker: Asker, wanted: set[tuple[str, str]]) -> Iterator[tuple[str, Answer]]:
    for method, path in sorted(wanted):
        yield f"{method} {path}", asker.ask(method, path, follow=False)


def pages_of(side: Side) -> Iterator[tuple[str, str]]:
    """Yield every page, for the rows of one side where it is a row's."""
    for place in places().values():
        for path in _filled(place, side):
            yield "GET", path


def _filled(place: Place, side: Side) -> list[str]:
    return [place.at("")] if place.kind is None else [place.at(row_id) for row_id in side.ids(place.kind)]


def _searches() -> Iterator[tuple[str, str]]:
    """Searches, orders and filters of lists; those of the admin by every field that it lets one follow."""
    for page, kind in ADMIN_PAGES.items():
        listing = admin.site._registry[kind]
        yield "GET", f"/admin/{page}/?q={PREFIX}"
        yield "GET", f"/admin/{page}/?all=1&o=-1.2"
        for field in kind._meta.get_fields():
            if isinstance(field, models.CharField | models.TextField):
                yield "GET", f"/admin/{page}/?{field.name}__startswith={PREFIX}"
        yield "GET", f"/admin/{page}/?tenant__slug__startswith={PREFIX}"
        yield "GET", f"/admin/{page}/?p=9&e=1&_popup=1&_to_field={listing.opts.pk.name}"
    for method, path, operation in operations():
        for parameter in operation.get("parameters", []):
            if method == "GET" and parameter["in"] == "query" and "{" not in path:
                yield "GET", f"{path}?{parameter['name']}={PREFIX}"


def _exports() -> Iterator[tuple[str, str]]:
    for method, path, _operation in operations():
        if method == "GET" and "{" not in path:
            yield from (("GET", f"{path}?limit=200"), ("GET", f"{path}?format=csv"))


def _errors() -> Iterator[tuple[str, str]]:
    yield from (
        ("GET", "/no/such/page"),
        ("GET", "/api/v1/devices/not-an-id/"),
        ("GET", "/api/v1/devices/?cursor=nonsense"),
        ("POST", "/api/v1/actions/"),
        ("PUT", "/api/v1/devices/"),
        ("OPTIONS", "/api/v1/devices/"),
        ("OPTIONS", "/api/v1/actions/"),
        ("POST", "/admin/investigations/device/"),
    )
