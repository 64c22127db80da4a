"""The admin site: Quell's name on it, its own order of pages, and a first page that says what waits for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import unquote, urlencode

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext_lazy as _

LAST_PLACE = 1000


@dataclass(frozen=True, slots=True)
class Card:
    """One number on the first page. `url` names the page it leads to, `query` narrows that; `tone` is a badge's."""

    label: Promise
    count: int
    url: str
    hint: Promise
    tone: str = "neutral"
    query: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the first page that is more than one number: a title over a template, shown with its own context."""

    title: Promise
    template: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence on top of every page until somebody sees to it; it leads to `url`, an address."""

    text: str
    url: str


class PortalSite(AdminSite):
    """Quell's pages. What a person sees here is up to their memberships."""

    site_title = _("Quell")
    site_header = _("Quell")
    index_title = _("Overview")
    site_url = None
    index_template = "admin/overview.html"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what every page says on top; asked for only where a page shows it."""
        return {**super().each_context(request), "banners": SimpleLazyObject(lambda: list(self.banners(request)))}

    def banners(self, request: HttpRequest) -> Iterable[Banner]:
        """Ask every page that has something to call out; pages the person may not open call nothing."""
        for pages in self._registry.values():
            if hasattr(pages, "banners") and pages.has_module_permission(request):
                yield from pages.banners(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what waits for people in the tenants this person sees."""
        parts = {"cards": list(self.cards(request)), "panels": list(self.panels(request))}
        return super().index(request, {**parts, **(extra_context or {})})

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Ask every page that has something to count; pages the person may not open count nothing."""
        for pages in sorted(self._registry.values(), key=_place):
            if hasattr(pages, "cards") and pages.has_module_permission(request):
                yield from pages.cards(request)

    def panels(self, request: HttpRequest) -> Iterable[Panel]:
        """Ask every page that has a part of its own on the first one; pages the person may not open have none."""
        for pages in sorted(self._registry.values(), key=_place):
            if hasattr(pages, "panels") and pages.has_module_permission(request):
                yield from pages.panels(request)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Order pages by how often people need them, not by the alphabet."""
        places = {model: _place(pages) for model, pages in self._registry.items()}
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda entry: places[entry["model"]])
        return sorted(apps, key=lambda app: min(places[entry["model"]] for entry in app["models"]))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Leave out the shortcut to objects on a public site, which Quell has not, and what sign-in has itself."""
        left_out = ("view_on_site", "password_change_done")
        return [url for url in super().get_urls() if getattr(url, "name", None) not in left_out]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Mark what the site wraps as guarded, for the check that every route is (`portal.api.default_deny`).

        No text in PostgreSQL holds NUL, so an address that does names nothing: Http404, wherever it is looked for.
        """
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def checked(request: HttpRequest, *args: Any, **options: Any) -> Any:
            if "\x00" in unquote(request.get_full_path()):
                raise Http404
            return guarded(request, *args, **options)

        checked.is_guarded = True  # type: ignore[attr-defined]  # a mark, read by name
        return checked

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the one door there is."""
        following = urlencode({"next": request.GET.get("next") or reverse("admin:index")})
        return HttpResponseRedirect(f"{reverse('account_login')}?{following}")

    def logout(  # type: ignore[override]  # the stubs know only the stock page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to signing out, with the form that was sent."""
        return HttpResponseRedirect(reverse("account_logout"), preserve_request=True)

    def password_change(  # type: ignore[override]  # the stubs know only the stock page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to changing one's password."""
        return HttpResponseRedirect(reverse("account_change_password"))


def _place(pages: Any) -> int:
    return int(getattr(pages, "menu_place", LAST_PLACE))
