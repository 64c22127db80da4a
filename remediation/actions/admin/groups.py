"""The Groups view of the Pending tab: one decision about the same thing everywhere, with a line for each action."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import badge, show_age
from portal.access.exceptions import Refusal
from portal.access.scoped_admin import actor_of
from portal.access.sign_in.second_factor import kept_reason
from portal.tenancy.models import Tenant
from portal.tenancy.scope import has_scope
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.entity_words import KIND_LABELS, name_entity
from remediation.actions.bulk import MOST, ItemResult, Result
from remediation.actions.effects import describe_effect_of, describe_undo
from remediation.actions.entities import KINDS
from remediation.actions.forms import ReasonForm
from remediation.actions.grouping import (
    Group,
    GroupDecision,
    GroupFilter,
    Key,
    decide_group,
    find_group,
    find_groups,
    members_of,
)
from remediation.actions.models import RemediationAction
from remediation.actions.states import Answer
from remediation.actions.verbs import VERBS
from remediation.catalogue import CATALOGUE, WIRED

GROUPS_A_PAGE: Final = 50
MOST_SHOWN: Final = 200
"""Actions of a group that are listed; its counts are of all."""

TONES: Final = {Result.APPROVED: "good", Result.REJECTED: "neutral", Result.WAITS_FOR_ANOTHER: "waiting"}


class GroupFilterForm(forms.Form):
    """Which groups to list."""

    type = forms.ChoiceField(label=gettext_lazy("Action"), required=False)
    entity_kind = forms.ChoiceField(label=gettext_lazy("Kind"), required=False)
    tenant: Any = forms.ModelChoiceField(None, label=gettext_lazy("Tenant"), required=False)
    at_least = forms.IntegerField(label=gettext_lazy("At least"), min_value=1, max_value=1_000_000, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        types = [(name, CATALOGUE[name].label) for name in CATALOGUE if name in WIRED]
        self._field("type").choices = [("", _("All")), *types]
        self._field("entity_kind").choices = [("", _("All")), *((kind, KIND_LABELS[kind]) for kind in KINDS)]
        self._field("tenant").queryset = Tenant.objects.filter(is_active=True).order_by("name")

    def _field(self, name: str) -> Any:
        return self.fields[name]


@dataclass(frozen=True, slots=True)
class Look:
    """One group as an address names it; `as_of` and `count` are there once somebody has looked at it."""

    key: Key
    tenants: tuple[UUID, ...]
    as_of: datetime | None = None
    count: int = 0

    def query(self, group: Group | None = None) -> str:
        """Return the address's query, with what was seen of the group."""
        pairs = [("type", self.key[0]), ("entity", self.key[1]), *(("tenant", str(each)) for each in self.tenants)]
        if group is not None:
            pairs += [("as_of", group.as_of.isoformat()), ("count", str(group.count))]
        return urlencode(pairs)


def group_urls(pages: ModelAdmin) -> list[URLPattern]:
    """Return the routes of the view: the list, one group, and the page where a decision is confirmed."""
    guarded = pages.admin_site.admin_view
    return [
        path("groups/", guarded(partial(list_view, pages)), name="actions_groups"),
        path("groups/one/", guarded(partial(group_view, pages)), name="actions_group"),
        path("groups/decide/<slug:answer>/", guarded(partial(decide_view, pages)), name="actions_group_decide"),
    ]


def list_view(pages: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Show the groups of what waits, where one decides."""
    _require_view(pages, request)
    form = GroupFilterForm({"at_least": "2", **request.GET.dict()})
    groups = []
    if form.is_valid():
        tenant = form.cleaned_data["tenant"]
        wanted = GroupFilter(
            type=form.cleaned_data["type"],
            entity_kind=form.cleaned_data["entity_kind"],
            tenants=(tenant.pk,) if tenant else (),
            at_least=form.cleaned_data["at_least"] or 1,
        )
        after = (request.GET["after_type"], request.GET["after"]) if "after" in request.GET else None
        groups = find_groups(wanted, actor=actor_of(request), after=_clean(after), limit=GROUPS_A_PAGE + 1)
    context = {
        **_context(pages, request, _("Groups of what waits")),
        "form": form,
        "groups": [_listed(group, form) for group in groups[:GROUPS_A_PAGE]],
        "next_query": _next_query(request, groups),
    }
    return TemplateResponse(request, "actions/groups.html", context)


def group_view(pages: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Show one group: its actions over tenants, what they would do, and how it is undone."""
    _require_view(pages, request)
    look = _look(request)
    group = find_group(look.key, look.tenants, actor=actor_of(request))
    if group is None:
        return _gone(request)
    rows = members_of(look.key, look.tenants, actor=actor_of(request)).select_related(
        "tenant", "device", "requested_by"
    )
    context = _group_context(pages, request, group, rows) | {
        "title": group.kind.label,
        "actions": [(row, url_of(row), show_age(row.created_at)) for row in rows[:MOST_SHOWN]],
        "more": max(0, group.count - MOST_SHOWN),
        "approve_url": f"{reverse('admin:actions_group_decide', args=['approve'])}?{look.query(group)}",
        "reject_url": f"{reverse('admin:actions_group_decide', args=['reject'])}?{look.query(group)}",
    }
    return TemplateResponse(request, "actions/group.html", context)


def decide_view(pages: ModelAdmin, request: HttpRequest, answer: str) -> HttpResponse:
    """Say what the decision does and to how many, ask for the reason, then show what came of each action."""
    _require_view(pages, request)
    look = _look(request)
    if answer not in Answer.values or look.as_of is None:
        raise Http404
    if answer == Answer.APPROVE and CATALOGUE[look.key[0]].is_destructive:
        actor_of(request).require_second_factor()
    form = ReasonForm(request.POST if request.method == "POST" else None, initial={"reason": kept_reason(request)})
    if request.method == "POST" and form.is_valid():
        return _decide(pages, request, look, look.as_of, Answer(answer), form.cleaned_data["reason"])
    group = find_group(look.key, look.tenants, actor=actor_of(request))
    if group is None:
        return _gone(request)
    rows = members_of(look.key, look.tenants, actor=actor_of(request))
    context = _group_context(pages, request, group, rows.filter(created_at__lte=look.as_of)) | {
        "title": VERBS[answer].question,
        "verb": VERBS[answer],
        "form": form,
        "count": look.count,
        "most": MOST,
        "tells_effect": answer == Answer.APPROVE,
        "back_url": f"{reverse('admin:actions_group')}?{look.query()}",
    }
    return TemplateResponse(request, "actions/group_confirm.html", context)


def _gone(request: HttpRequest) -> HttpResponse:
    messages.warning(request, _("Nothing of this group waits any more: it has been decided."))
    return HttpResponseRedirect(reverse("admin:actions_groups"))


def _decide(
    pages: ModelAdmin, request: HttpRequest, look: Look, as_of: datetime, answer: Answer, reason: str
) -> HttpResponse:
    try:
        decided = decide_group(
            look.key,
            answer,
            actor=actor_of(request),
            reason=reason,
            as_of=as_of,
            count=look.count,
            tenants=look.tenants,
        )
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(f"{reverse('admin:actions_group')}?{look.query()}")
    context = {
        **_context(pages, request, _("What came of it")),
        "decided": decided,
        "lines": _lines(decided),
        "subtitle": "{}: {}".format(*name_entity(look.key[1])),
        "back_url": reverse("admin:actions_groups"),
    }
    return TemplateResponse(request, "actions/group_result.html", context)


def _lines(decided: GroupDecision) -> list[dict[str, Any]]:
    ids = [item.id for item in decided.results]
    rows = {row.pk: row for row in RemediationAction.objects.filter(pk__in=ids).select_related("tenant", "device")}
    return [_line(item, rows[item.id]) for item in decided.results]


def _line(item: ItemResult, row: RemediationAction) -> dict[str, Any]:
    return {
        "action": row,
        "url": url_of(row),
        "result": badge(item.result.label, TONES.get(item.result, "bad")),
        "reason": item.reason,
    }


def _require_view(pages: ModelAdmin, request: HttpRequest) -> None:
    if not (pages.has_view_permission(request) and has_scope()):
        raise PermissionDenied


def _context(pages: ModelAdmin, request: HttpRequest, title: str) -> dict[str, Any]:
    return {**pages.admin_site.each_context(request), "title": title, "opts": pages.opts}


def _group_context(pages: ModelAdmin, request: HttpRequest, group: Group, rows: Any) -> dict[str, Any]:
    tenants = rows.order_by("tenant__name").values_list("tenant__name").annotate(count=Count("*"))
    entity_kind, entity_name = name_entity(group.entity)
    return {
        **_context(pages, request, ""),
        "group": group,
        "entity_kind": entity_kind,
        "entity_name": entity_name,
        "tenants": list(tenants),
        "effects": _effects(group, rows),
        "undo": describe_undo(group.kind),
        "is_final": not group.kind.inverse,
        "oldest": show_age(group.oldest),
        "expires": show_age(group.expires),
    }


def _effects(group: Group, rows: Any) -> list[tuple[str, int]]:
    """Return what the actions do, each effect with how many have it, the most frequent first."""
    names = ("isolation_type", "days")
    found: Counter[str] = Counter()
    facts = rows.order_by().values_list(*(f"parameters__{name}" for name in names)).annotate(count=Count("*"))
    for *values, count in facts:
        found[describe_effect_of(group.kind, dict(zip(names, values, strict=True)))] += count
    return found.most_common()


def _listed(group: Group, form: GroupFilterForm) -> dict[str, Any]:
    tenant = form.cleaned_data["tenant"]
    look = Look((group.type, group.entity), (tenant.pk,) if tenant else ())
    kind, name = name_entity(group.entity)
    return {
        "group": group,
        "kind": kind,
        "name": name,
        "url": f"{reverse('admin:actions_group')}?{look.query()}",
        "oldest": show_age(group.oldest),
        "expires": show_age(group.expires),
    }


def _next_query(request: HttpRequest, groups: Sequence[Group]) -> str:
    if len(groups) <= GROUPS_A_PAGE:
        return ""
    query = request.GET.copy()
    query["after_type"], query["after"] = groups[GROUPS_A_PAGE - 1].type, groups[GROUPS_A_PAGE - 1].entity
    return query.urlencode()


def _clean(key: Key | None) -> Key | None:
    return None if key is None or "\x00" in key[0] + key[1] else key


def _look(request: HttpRequest) -> Look:
    """Return which group the address names. Raises Http404 for one that names none."""
    query = request.GET
    key = (query.get("type", ""), query.get("entity", ""))
    try:
        tenants = tuple(UUID(text) for text in query.getlist("tenant"))
        as_of = parse_datetime(query["as_of"]) if "as_of" in query else None
        count = int(query.get("count", "0"))
    except ValueError as error:
        raise Http404 from error
    if key[0] not in CATALOGUE or not key[1] or "\x00" in key[1] or (as_of is not None and as_of.tzinfo is None):
        raise Http404
    return Look(key, tenants, as_of, count)
