"""The page that every verb of a safeguard asks on: what it would do, a form, and a way back that changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.access.exceptions import Refusal
from portal.access.scoped_admin import actor_of
from portal.access.sign_in.second_factor import kept_reason
from portal.tenancy.models import TenantModel
from portal.tenancy.scope import acting_for
from remediation.safeguards.changes import KINDS, ask_for_change
from remediation.safeguards.forms import SaidForm


def ask(
    pages: ModelAdmin,
    request: HttpRequest,
    *,
    title: Any,
    lines: Sequence[Any],
    form: Form,
    button: Any,
    back_url: str,
    tone: str = "approve",
) -> TemplateResponse:
    """Return the page. `tone` is approve for what goes ahead, reject for what stops something."""
    if not form.is_bound and (reason := kept_reason(request)):
        form.initial["reason"] = reason
    context = {
        **pages.admin_site.each_context(request),
        "title": title,
        "opts": pages.opts,
        "lines": lines,
        "form": form,
        "button": button,
        "back_url": back_url,
        "tone": tone,
    }
    return TemplateResponse(request, "safeguards/ask.html", context)


def do_and_tell(
    pages: ModelAdmin, request: HttpRequest, *, tenant_id: UUID, do: Callable[[], object], done: object, page_url: str
) -> HttpResponse:
    """Do what was confirmed in the tenant's scope, and lead to the row's page with `done` or the refusal told there."""
    try:
        with acting_for(tenant_id):
            do()
    except Refusal as refusal:
        pages.message_user(request, str(refusal), messages.ERROR)
    else:
        pages.message_user(request, str(done), messages.SUCCESS)
    return HttpResponseRedirect(page_url)


def ask_second_person(
    pages: ModelAdmin,
    request: HttpRequest,
    tenant_id: UUID,
    kind: str,
    details: Mapping[str, Any],
    *,
    reason: str,
    back_url: str,
) -> HttpResponse:
    """Ask for a guarded change and lead to its page; a refusal is told on the page one came from."""
    try:
        with acting_for(tenant_id):
            change = ask_for_change(tenant_id, kind, details, actor=actor_of(request), reason=reason)
    except Refusal as refusal:
        pages.message_user(request, str(refusal), messages.ERROR)
        return HttpResponseRedirect(back_url)
    pages.message_user(request, _("Asked for. It waits for a second person."), messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:safeguards_guardedchange_change", args=[change.pk]))


def ask_to_end(
    pages: ModelAdmin,
    request: HttpRequest,
    row: TenantModel | None,
    kind: str,
    details: Mapping[str, Any],
    *,
    title: Any,
) -> HttpResponse:
    """Show and take the question whether a safeguard may go; then a second person has to confirm it.

    Raises Http404 without a row, PermissionDenied without the change's capability, SecondFactorNeeded.
    """
    if row is None:
        raise Http404
    actor = actor_of(request)
    if not actor.may(KINDS[kind].capability, row.tenant_id):
        raise PermissionDenied
    actor.require_second_factor()
    back_url = reverse(f"admin:{pages.opts.app_label}_{pages.opts.model_name}_change", args=[row.pk])
    form = SaidForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        return ask_second_person(pages, request, row.tenant_id, kind, details, reason=reason, back_url=back_url)
    effect = KINDS[kind].describe(row.tenant_id, details)
    return ask(
        pages,
        request,
        title=title,
        lines=[effect, _("Nothing changes until somebody else confirms it.")],
        form=form,
        button=_("Ask for it"),
        back_url=back_url,
    )
