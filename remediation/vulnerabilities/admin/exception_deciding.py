"""Deciding about many exceptions from the register: what each would change is shown, and one reason asked for."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.access.display import grouped
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import has_scope
from remediation.actions.bulk import Result
from remediation.actions.states import Answer
from remediation.safeguards.forms import SaidForm
from remediation.vulnerabilities.admin.exception_verbs import VERBS, offered_verbs
from remediation.vulnerabilities.exceptions.bulk import decide_many
from remediation.vulnerabilities.exceptions.telling import scope_in_words
from remediation.vulnerabilities.models import RecommendationException

MOST_AT_ONCE: Final = 100
"""Exceptions decided on one page: more than a person can look through is not a decision."""

_QUESTIONS: Final[dict[Answer, Promise]] = {
    Answer.APPROVE: gettext_lazy("Approve these exceptions?"),
    Answer.REJECT: gettext_lazy("Reject these exceptions?"),
}


def ask_about(
    pages: ModelAdmin, request: HttpRequest, answer: Answer, chosen: Sequence[RecommendationException], form: SaidForm
) -> TemplateResponse:
    """Return the page that says what the answer would bring about for each, and asks for the reason.

    Raises SecondFactorNeeded where that would be needed in the end, so that nobody types a reason for nothing.
    """
    actor = actor_of(request)
    verb = VERBS[answer.value]
    items = []
    for row in chosen:
        is_offered = answer.value in offered_verbs(row, actor)
        if is_offered and row.is_global and answer is Answer.APPROVE:
            actor.require_second_factor()
        items.append((row, scope_in_words(row), verb.effect(row, "") if is_offered else [], is_offered))
    context = {
        **pages.admin_site.each_context(request),
        "title": _QUESTIONS[answer],
        "opts": pages.opts,
        "items": items,
        "form": form,
        "verb": verb,
        "decide_url": _url("decide_many", answer.value),
        "back_url": _url("changelist"),
    }
    return TemplateResponse(request, "vulnerabilities/exceptions_decide.html", context)


def ask_about_chosen(pages: ModelAdmin, request: HttpRequest, answer: Answer, rows: Any) -> HttpResponse | None:
    """Go from what is ticked in the register to the page that asks; None, with a message, for too many."""
    chosen = list(rows[: MOST_AT_ONCE + 1])
    if len(chosen) > MOST_AT_ONCE:
        words = _("Choose at most %(count)d exceptions at once.")
        pages.message_user(request, words % {"count": MOST_AT_ONCE}, messages.ERROR)
        return None
    return ask_about(pages, request, answer, chosen, SaidForm())


def decide_page(pages: ModelAdmin, request: HttpRequest, answer: Answer) -> HttpResponse:
    """Ask for the reason, then decide about all that are named; a message says what came of them.

    Raises Http404 where none of them is there, or the person's.
    """
    chosen = _chosen(pages, request)
    if not chosen:
        raise Http404
    form = SaidForm(request.POST if request.method == "POST" else None)
    if not (form.is_bound and form.is_valid()):
        return ask_about(pages, request, answer, chosen, form)
    names = {row.pk: f"{row} · {row.tenant}" for row in chosen}
    results = decide_many(list(names), answer, actor=actor_of(request), reason=form.cleaned_data["reason"])
    refused = [item for item in results if item.result is Result.REFUSED]
    for item in refused:
        words = {"exception": names[item.id], "refusal": item.reason}
        pages.message_user(request, _("%(exception)s: %(refusal)s") % words, messages.ERROR)
    if done := len(results) - len(refused):
        pages.message_user(request, _say_done(answer, done), messages.SUCCESS)
    return HttpResponseRedirect(_url("changelist"))


def _say_done(answer: Answer, count: int) -> str:
    if answer is Answer.APPROVE:
        words = ngettext("%(count)s exception is granted.", "%(count)s exceptions are granted.", count)
    else:
        words = ngettext("%(count)s exception is rejected.", "%(count)s exceptions are rejected.", count)
    return words % {"count": grouped(count)}


def _chosen(pages: ModelAdmin, request: HttpRequest) -> list[RecommendationException]:
    keys = set()
    for text in request.POST.getlist("id") or request.GET.getlist("id"):
        try:
            keys.add(UUID(text))
        except ValueError:
            continue
    if not keys or not has_scope():
        return []
    rows = pages.get_queryset(request).select_related("tenant", "recommendation", "requested_by")
    return list(rows.filter(pk__in=sorted(keys)[:MOST_AT_ONCE]).order_by("pk"))


def _url(view: str, *arguments: str) -> str:
    return reverse(f"admin:vulnerabilities_recommendationexception_{view}", args=arguments)
