"""The start-up check that every route asks who is there: a view that nobody gave a permission stops the start."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from django.core.checks import CheckMessage, Error
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

ADMIN_MARKS: Final = ("admin_site", "model_admin", "is_guarded")
"""What Django's admin, and our site's `admin_view`, leave on the views they wrap."""


def check_routes(**_: Any) -> list[CheckMessage]:
    """Require of every route of the URL configuration what `problems_of` requires."""
    configuration = get_resolver().urlconf_module
    patterns, open_views = configuration.urlpatterns, configuration.OPEN_API_VIEWS  # type: ignore[union-attr]
    found = problems_of(patterns, open_views=open_views, pages=configuration.OTHER_PAGES)  # type: ignore[union-attr]
    return [Error(problem, id="api.E001") for problem in found]


def problems_of(
    patterns: Iterable[URLPattern | URLResolver], *, open_views: Collection[str], pages: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each route that may stand open.

    A view of the API names permission classes of our own, or one of its bases here does; `open_views` are the few, by
    dotted name, that need not. Any other view is wrapped by the admin site or one of `pages`, by its route's name.
    """
    for name, pattern in _routes(patterns, ""):
        view: Any = pattern.callback
        kind = getattr(view, "cls", None)
        if isinstance(kind, type) and issubclass(kind, APIView):
            if f"{kind.__module__}.{kind.__qualname__}" not in open_views and not _asks(kind, view.initkwargs):
                yield f"{kind.__qualname__} at {pattern.pattern} names no permission class of ours, like SignedIn."
        elif not any(hasattr(view, mark) for mark in ADMIN_MARKS) and name not in pages:
            yield (
                f"The view at {pattern.pattern} is neither the API's nor the admin site's, and “{name}” is not among "
                "OTHER_PAGES of the URL configuration: list it once it guards itself."
            )


def _routes(patterns: Iterable[URLPattern | URLResolver], namespace: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield f"{namespace}{pattern.name or ''}", pattern
        else:
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _routes(pattern.url_patterns, inner)


def _asks(kind: type[APIView], initkwargs: dict[str, Any]) -> bool:
    """Whether permissions are named, all of them ours (the framework's own let strangers in), and kept to."""
    named = initkwargs.get("permission_classes", kind.permission_classes)
    is_default = named is APIView.permission_classes
    return (
        bool(named) and not is_default and kind.get_permissions is APIView.get_permissions and all(map(_is_ours, named))
    )


def _is_ours(permission: Any) -> bool:
    is_permission = isinstance(permission, type) and issubclass(permission, BasePermission)
    return is_permission and not permission.__module__.startswith("rest_framework.")
