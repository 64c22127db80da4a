"""Pages for what one does to a row besides editing it: each verb says what it brings about, then asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise

from portal.access.actors import Actor
from portal.access.scoped_admin import ScopedAdmin, actor_of


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do to a row. `effect` says what it brings about, with the row as %(row)s; `done` that it is done."""

    name: str
    button: str | Promise
    effect: str | Promise
    done: str | Promise
    run: Callable[[Any, Actor], object]
    is_offered: Callable[[Any], bool]
    tone: str = "reject"


class VerbAdmin(ScopedAdmin):
    """Stock pages, with a button and a page of its own for each verb."""

    verbs: ClassVar[Sequence[Verb]] = ()
    change_form_template = "admin/verbs_change_form.html"
    verb_template = "admin/verb.html"

    def may_use_verbs(self, request: HttpRequest, row: Any) -> bool:
        """Return whether the person may do these things to the row."""
        return self.has_change_permission(request, row)

    def get_urls(self) -> list[URLPattern]:
        """Add a page for each verb."""
        own = [
            path(
                f"<path:object_id>/{verb.name}/",
                self.admin_site.admin_view(partial(self.verb_view, verb=verb)),
                name=self._url_name(verb.name),
            )
            for verb in self.verbs
        ]
        return [*own, *super().get_urls()]

    def offered(self, request: HttpRequest, row: Any) -> list[tuple[Verb, str]]:
        """Return what the person can do to the row now, each with its page."""
        if row is None or not self.may_use_verbs(request, row):
            return []
        return [(verb, self.url_of(verb.name, row)) for verb in self.verbs if verb.is_offered(row)]

    def url_of(self, page: str, row: Any) -> str:
        """Return the address of one of a row's pages."""
        return reverse(f"admin:{self._url_name(page)}", args=[row.pk])

    def _url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the buttons above the form."""
        context["offered_verbs"] = self.offered(request, kwargs.get("obj"))
        return super().render_change_form(request, context, *args, **kwargs)

    def verb_view(self, request: HttpRequest, object_id: str, *, verb: Verb) -> HttpResponse:
        """Say what the verb brings about; when that was confirmed, do it."""
        row = self.row_for_verb(request, object_id)
        if request.method == "POST":
            return self._or_told(request, lambda: self._do(request, verb, row))
        return TemplateResponse(request, self.verb_template, self.verb_context(request, verb, row))

    def row_for_verb(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row. Raises Http404 for one that is not there, PermissionDenied without the right."""
        if not self.may_use_verbs(request, None):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.may_use_verbs(request, row):
            raise PermissionDenied
        return row

    def verb_context(self, request: HttpRequest, verb: Verb, row: Any) -> dict[str, Any]:
        """Return what the confirmation shows."""
        return {
            **self.admin_site.each_context(request),
            "title": verb.button,
            "opts": self.opts,
            "original": row,
            "verb": verb,
            "effect": verb.effect % {"row": row},
            "is_possible": verb.is_offered(row),
        }

    def _do(self, request: HttpRequest, verb: Verb, row: Any) -> HttpResponse:
        verb.run(row, actor_of(request))
        self.message_user(request, verb.done % {"row": row}, messages.SUCCESS)
        return HttpResponseRedirect(self.url_of("change", row))
