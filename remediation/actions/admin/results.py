"""The page on which a person waits for a link to what an action brought back, and is led there once."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.results import Handed, Stage, ask_for_result, has_result, take_result


def may_fetch(row: RemediationAction, actor: Actor) -> bool:
    """Return whether there may be something to fetch, and whether this person may have it."""
    return actor.may(Capability.WORK_ON_INVESTIGATIONS, row.tenant_id) and has_result(row)


def show_result(pages: ModelAdmin, request: HttpRequest, row: RemediationAction) -> HttpResponse:
    """Ask for the link (POST), then say how far it is until it is there (GET), and lead to it.

    A POST is never answered by leading to Microsoft: the Content-Security-Policy lets forms lead nowhere but here.
    """
    actor = actor_of(request)
    try:
        with acting_for(row.tenant_id):
            if request.method == "POST":
                ask_for_result(row, actor=actor)
                handed = Handed(Stage.ASKED)
            else:
                handed = take_result(row, actor=actor)
    except Refusal as refusal:
        handed = Handed(Stage.REFUSED, words=str(refusal))
    if handed.url:
        return HttpResponseRedirect(handed.url)
    context: dict[str, Any] = {
        **pages.admin_site.each_context(request),
        "title": _("Result of “%(action)s”") % {"action": row.kind.label},
        "opts": pages.opts,
        "original": row,
        "handed": handed,
        "is_asked": handed.stage == Stage.ASKED,
        "back_url": reverse("admin:actions_historyaction_change", args=[row.pk]),
    }
    return TemplateResponse(request, "actions/result.html", context)
