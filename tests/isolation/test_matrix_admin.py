"""Ids in the admin beside paths: filters, forms, actions, popups, autocomplete. A foreign one is as good as unknown."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import models
from uuid_utils.compat import uuid7

from portal.tenancy.models import Tenant
from tests.isolation.asking import LONG, Answer, Asker, differences, our_admin, strangers
from tests.isolation.pages import Field, fields_of, kinds_named_by
from tests.isolation.routes import ADMIN_PAGES
from tests.isolation.world import Model, World

ALWAYS = (
    "id",
    "id__exact",
    "pk__in",
    "q",
    "e",
    "_to_field",
    "_selected_action",
    "tenant",
    "tenant_id",
    "tenant__id__exact",
)


def askers_of(world: World) -> list[Asker]:
    """Return the strangers who get to see admin pages at all."""
    return [asker for asker in strangers(world) if asker.session]


def told(
    asker: Asker, method: str, path: str, data: dict[str, Any], identifier: UUID, *, follow: bool = True
) -> Answer:
    """Ask with one id somewhere in the data and return the answer without it."""
    sent = {name: str(identifier) if value is ... else value for name, value in data.items()}
    return asker.ask(method, path, sent, as_form=True, follow=follow).without([identifier])


def compare(
    asker: Asker, method: str, path: str, data: dict[str, Any], foreign_id: UUID, *, follow: bool = True
) -> list[str]:
    """Ask with a foreign id where `data` has an ellipsis, then with an unknown one, and say what differs."""
    foreign, unknown = (told(asker, method, path, data, each, follow=follow) for each in (foreign_id, uuid7()))
    return [f"{asker.name}: {method} {path} {data}: {what}" for what in differences(foreign, unknown)]


def filters_of(page: Any) -> Iterator[str]:
    """Yield the query parameters that the page's own filters read."""
    for entry in page.list_filter:
        name = entry[0] if isinstance(entry, tuple) else getattr(entry, "parameter_name", entry)
        if isinstance(name, str):
            yield from (name, f"{name}__exact", f"{name}__id__exact", f"{name}__in")
        for typed in getattr(entry, "fields", ()):
            yield typed[0]


def filter_mismatches(world: World, asker: Asker) -> list[str]:
    """Narrow every list by the other tenant's ids. Where a filter is unknown, it matters where one is led, not what."""
    found = []
    for path, kind in ADMIN_PAGES.items():
        for name in sorted({*ALWAYS, *filters_of(admin.site._registry[kind])}):
            named = Tenant if "tenant" in name else kind
            address, foreign_id = f"/admin/{path}/", world.theirs.ids(named)[0]
            found += compare(asker, "GET", address, {name: ...}, foreign_id, follow=False)
    return found


def test_a_foreign_id_in_a_filter_finds_nothing(world: World):
    askers = askers_of(world) if LONG else [our_admin(world)]

    assert "\n".join(line for asker in askers for line in filter_mismatches(world, asker)) == ""


def test_a_foreign_id_among_those_to_act_on_is_not_found(world: World):
    """A list's own bulk actions, and the page that confirms them, with a foreign id alone and beside one's own."""
    for asker in askers_of(world):
        for path, kind in ADMIN_PAGES.items():
            page = admin.site._registry[kind]
            named = (getattr(each, "__name__", each) for each in page.actions or ())
            for verb in sorted({*getattr(page, "bulk_verbs", ()), "delete_selected", *map(str, named)}):
                for foreign_id in world.theirs.ids(kind):
                    chosen = {"action": verb, "_selected_action": ..., "index": "0"}
                    assert compare(asker, "POST", f"/admin/{path}/", chosen, foreign_id) == []


def test_a_foreign_id_among_those_to_decide_is_not_found(world: World):
    own_id = str(world.ours.ids(ADMIN_PAGES["actions/pendingaction"])[0])
    for asker in askers_of(world):
        for verb in ("approve", "reject", "cancel", "undo", "resolve"):
            for tab in ("pendingaction", "historyaction"):
                path = f"/admin/actions/{tab}/decide/{verb}/"
                for foreign_id in world.theirs.ids(ADMIN_PAGES[f"actions/{tab}"]):
                    assert compare(asker, "GET", path, {"id": ...}, foreign_id) == []
                    assert compare(asker, "POST", path, {"id": ..., "reason": "Matrix."}, foreign_id) == []
                    assert _beside(asker, path, own_id, foreign_id) == _beside(asker, path, own_id, uuid7())


def _beside(asker: Asker, path: str, own_id: str, other_id: UUID) -> Answer:
    return asker.ask("GET", f"{path}?id={own_id}&id={other_id}").without([other_id])


def test_a_foreign_id_in_a_form_is_no_choice(world: World):
    """Every field of every form whose value or choices are rows: sent with the other tenant's row instead."""
    tried = set()
    for asker in askers_of(world):
        for path, kind in ADMIN_PAGES.items():
            for page in (f"/admin/{path}/add/", *(f"/admin/{path}/{row}/change/" for row in world.ours.ids(kind)[:1])):
                answer = asker.ask("GET", page)
                fields = fields_of(answer.body) if answer.status == 200 else {}
                values = {name: found.value for name, found in fields.items()}
                for name, named in _fields_naming_rows(fields, world):
                    tried.add((path, name))
                    sent = {**values, name: ...}
                    assert compare(asker, "POST", page, sent, world.theirs.ids(named)[0]) == [], (page, name)

    assert ("access/tenantmembership", "tenant") in tried
    assert ("investigations/devicegroup", "rules-0-id") in tried


def _fields_naming_rows(fields: dict[str, Field], world: World) -> Iterator[tuple[str, Model]]:
    for name, found in fields.items():
        for kind in kinds_named_by(found, world.ours):
            yield name, kind


def test_forms_and_filters_offer_nothing_foreign(world: World):
    theirs = {str(row) for rows in world.theirs.rows.values() for row in rows}
    for asker in askers_of(world):
        for path in ADMIN_PAGES:
            for page in (f"/admin/{path}/add/", f"/admin/{path}/", f"/admin/{path}/add/?_popup=1&_to_field=id"):
                body = asker.ask("GET", page).body
                assert [row for row in theirs if row in body] == []
                assert world.canaries.found_in(body) == {}


def test_autocomplete_offers_nothing_foreign(world: World):
    links = [
        {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": link.name}
        for model in admin.site._registry
        for link in model._meta.get_fields()
        if isinstance(link, models.ForeignKey)
    ]
    assert len(links) > 10
    for asker in askers_of(world):
        for link in links:
            answer = asker.ask("GET", "/admin/autocomplete/", {**link, "term": "kanarie"})
            assert world.canaries.found_in(answer.text) == {}
            assert (
                compare(asker, "GET", "/admin/autocomplete/", {**link, "term": ...}, world.theirs.ids(Tenant)[0]) == []
            )
