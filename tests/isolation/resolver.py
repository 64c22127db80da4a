"""Every route the URL resolver knows, and those that the table has a line for."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from tests.isolation.routes import ACCOUNT_PAGES, ADMIN_PAGES, ADMIN_VERBS, OTHERS, REASON, ROWS, STOCK, VERBS, Place


def places() -> dict[str, Place]:
    """Return the whole table: the place of every pattern."""
    table = OTHERS | {f"accounts/{page}": Place(f"accounts/{page}") for page in ACCOUNT_PAGES}
    for page, kind in ADMIN_PAGES.items():
        for tail in (*STOCK, "<path:object_id>/"):
            has_row = "object_id" in tail
            path = f"admin/{page}/{tail.replace('<path:object_id>', '{id}')}"
            body: Mapping[str, Any] = {"post": "yes"} if "delete" in tail else {}
            table[f"admin/{page}/{tail}"] = Place(path, kind if has_row else None, body)
    for verb in ADMIN_VERBS:
        path = f"admin/{verb.replace('<path:object_id>', '{id}')}/"
        table[f"admin/{verb}/"] = Place(path, ADMIN_PAGES[verb.partition("/<")[0]], REASON)
    for name, kind in ROWS.items():
        table[f"api/v1/{name}/"] = Place(f"api/v1/{name}/")
        table[f"api/v1/{name}/<uuid:pk>/"] = Place(f"api/v1/{name}/{{id}}/", kind)
    for verb, sent in VERBS.items():
        path = f"api/v1/{verb.replace('<uuid:pk>', '{id}')}/"
        table[f"api/v1/{verb}/"] = Place(path, ROWS[verb.partition("/")[0]], sent)
    return table


def patterns() -> list[str]:
    """Return the pattern of every route, as the table writes it: without anchors and lists of app names."""
    return [_plain(pattern) for pattern in _walk(get_resolver())]


def _walk(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        pattern = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield pattern
        else:
            yield from _walk(entry, pattern)


def _plain(pattern: str) -> str:
    return re.sub(r"\(\?P<app_label>[^)]*\)", "(?P<app_label>)", pattern).replace("^", "").replace("$", "")
