"""What both tabs of the Action center share: the action's page, and deciding on one or many with a reason."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from investigations.admin.showing import evidence_rows
from investigations.models import Evidence
from portal.access.display import labelled, show_time
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, Section, WordFilter, actor_of, events_of
from portal.access.sign_in.second_factor import kept_reason
from portal.tenancy.scope import acting_for
from remediation.actions.admin import columns, facts
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.corrections import correction_verbs
from remediation.actions.admin.hand_work import show_hand_work
from remediation.actions.admin.results import may_fetch
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.effects import describe_effect, describe_undo
from remediation.actions.forms import ReasonForm
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.undoing import reason_against_undo, reasons_against_undo
from remediation.actions.verbs import VERBS, Verb, offered, say_frozen, say_result
from remediation.actions.waiting import describe_wait
from remediation.catalogue import CATALOGUE, WIRED
from remediation.safeguards.protection import find_protection

MOST_AT_ONCE = 100
"""Actions decided on one page: more than a person can look through is not a decision."""


class TypeFilter(WordFilter):
    """By type, of those that are in use."""

    title = gettext_lazy("action")
    parameter_name = "type"
    words = [(name, kind.label) for name, kind in CATALOGUE.items() if name in WIRED]


def _confirming(verb: Verb) -> Any:
    """Make the bulk action of a verb: it shows what would happen and asks for the reason; nothing is done yet."""

    @admin.action(description=verb.label, permissions=["decide"])  # type: ignore[call-overload]  # lazy text is fine
    def ask(pages: "ActionCenterAdmin", request: HttpRequest, queryset: models.QuerySet) -> HttpResponse | None:
        chosen = list(queryset[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            pages.message_user(
                request,
                _("Choose at most %(count)d actions at once.") % {"count": MOST_AT_ONCE},
                messages.ERROR,
            )
            return None
        return pages.ask(request, verb, chosen, ReasonForm())

    ask.__name__ = verb.name
    return ask


class ActionCenterAdmin(ReadOnlyAdmin):
    """One tab of the Action center. States change by the services' verbs alone, each with a person and a reason."""

    detail_template = "actions/action.html"
    confirm_template = "actions/confirm.html"
    search_fields = ("target", "device__name")
    ordering = ("-id",)
    bulk_verbs: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        """Bring along what the list shows."""
        rows: Any = super().get_queryset(request)
        return rows.for_lists().prefetch_related("evidence_links__evidence", "decisions__user")

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a verb is confirmed."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_decide"
        view = self.admin_site.admin_view(self.decide_view)
        return [path("decide/<str:verb_name>/", view, name=name), *super().get_urls()]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether the person decides anywhere; the service asks again for the action's own tenant."""
        return actor_of(request).may_anywhere(Capability.DECIDE_ACTION)

    def _get_base_actions(self) -> list[Any]:
        found = [_confirming(VERBS[name]) for name in self.bulk_verbs]
        return [(verb, verb.__name__, verb.short_description) for verb in found]

    def decide_view(self, request: HttpRequest, verb_name: str) -> HttpResponse:
        """Ask for the reason, then do the verb to each action; one message says what came of each."""
        verb = VERBS.get(verb_name)
        wanted = request.POST.getlist("id") or request.GET.getlist("id")
        if verb is None or not self.has_view_permission(request):
            raise Http404
        chosen = list(self._chosen(request, wanted))
        if not chosen:
            raise Http404
        if verb.is_for_one and len(set(wanted)) > 1:
            raise PermissionDenied
        form = ReasonForm(request.POST if request.method == "POST" else None, initial={"reason": kept_reason(request)})
        if request.method != "POST" or not form.is_valid():
            return self.ask(request, verb, chosen, form)
        if missing := len(set(wanted)) - len(chosen):
            words = ngettext("%(count)d action was not found.", "%(count)d actions were not found.", missing)
            self.message_user(request, words % {"count": missing}, messages.ERROR)
        last = [self._carry_out(request, verb, action, form.cleaned_data["reason"]) for action in chosen][-1]
        return HttpResponseRedirect(self._after(last if len(chosen) == 1 else None))

    def ask(
        self, request: HttpRequest, verb: Verb, chosen: Sequence[RemediationAction], form: ReasonForm
    ) -> HttpResponse:
        """Show what the verb would do to each action, and the form for the reason.

        Raises SecondFactorNeeded where that would be needed in the end, so that nobody types a reason for nothing.
        """
        if verb.sends and any(action.kind.is_destructive for action in chosen):
            actor_of(request).require_second_factor()
        held = {(action.tenant_id, action.type) for action in chosen} if verb.sends else set()
        frozen = {key: say_frozen(*key) for key in held}
        against = reasons_against_undo(chosen) if verb.name == "undo" else {}
        context = {
            **self.admin_site.each_context(request),
            "title": verb.question,
            "opts": self.opts,
            "verb": verb,
            "form": form,
            "back_url": self._after(chosen[0] if len(chosen) == 1 else None),
            "items": [self._told(verb, action, frozen, against.get(action.pk, "")) for action in chosen],
            "decide_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_decide", args=[verb.name]),
        }
        return TemplateResponse(request, self.confirm_template, context)

    def _told(
        self, verb: Verb, action: RemediationAction, frozen: Mapping[tuple[UUID, str], str], against: str
    ) -> dict[str, Any]:
        kind = action.kind
        needed = count_needed(action) if verb.name == "approve" else 0
        effect = describe_effect(action) if verb.tells_effect else ""
        if verb.name == "undo":
            effect = against or describe_undo(kind)
        return {
            "action": action,
            "state": columns.show_state(action),
            "effect": effect,
            "undo": describe_undo(kind) if verb.tells_effect else "",
            "is_final": verb.tells_effect and not kind.inverse,
            "needs": needed if needed > 1 else 0,
            "is_last": needed > 1 and count_approvals(action) == needed - 1,
            "frozen": frozen.get((action.tenant_id, action.type), ""),
        }

    def _chosen(self, request: HttpRequest, wanted: Iterable[str]) -> models.QuerySet:
        keys = set()
        for text in wanted:
            try:
                keys.add(UUID(text))
            except ValueError:
                continue
        rows = RemediationAction.objects.for_lists() if keys else RemediationAction.objects.none()
        return rows.filter(pk__in=sorted(keys)[:MOST_AT_ONCE]).order_by("id")

    def _carry_out(
        self, request: HttpRequest, verb: Verb, action: RemediationAction, reason: str
    ) -> RemediationAction | None:
        try:
            with acting_for(action.tenant_id):
                result = verb.run(action.pk, actor_of(request), reason)
        except Refusal as refusal:
            words = _("%(action)s · %(target)s: %(refusal)s")
            self.message_user(
                request,
                words % {"action": action.kind.label, "target": action.target, "refusal": refusal},
                messages.ERROR,
            )
            return action
        self.message_user(request, say_result(verb, result), messages.SUCCESS)
        return result

    def _after(self, action: RemediationAction | None) -> str:
        if action is None:
            return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return url_of(action)

    @admin.display(description=gettext_lazy("action"), ordering="type")
    def action(self, row: RemediationAction) -> str:
        """Name what is done."""
        return str(row.kind.label)

    @admin.display(description=gettext_lazy("target and device"))
    def target_shown(self, row: RemediationAction) -> str:
        """Say what it is done to."""
        return columns.show_target(row)

    @admin.display(description=gettext_lazy("why, and action source"))
    def why(self, row: RemediationAction) -> str:
        """Show verdict and reason."""
        return columns.show_why(row)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: RemediationAction) -> str:
        """Show the state."""
        return columns.show_state(row)

    @admin.display(description=gettext_lazy("decided by"))
    def decided_by(self, row: RemediationAction) -> str:
        """Name who decided."""
        return labelled(_("Decided by"), columns.show_deciders(row))

    def sections(self, request: HttpRequest, row: RemediationAction) -> Sequence[Section]:
        """Return all the facts."""
        return [
            Section(gettext_lazy("What and why"), facts.what_and_why(row)),
            Section(gettext_lazy("Where it stands"), facts.where_it_stands(row)),
            *facts.findings(row),
        ]

    def detail_context(self, request: HttpRequest, row: RemediationAction) -> dict[str, Any]:
        """Return what can be done with it, who decided, what it rests on, and its history."""
        actor = actor_of(request)
        verbs = offered(row, actor)
        is_own = row.requested_by_id == actor.id and row.state == State.PENDING_APPROVAL
        return {
            "title": row.kind.label,
            "verbs": [
                (verb, reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_decide", args=[verb.name]))
                for verb in verbs
            ],
            "state": columns.show_state(row),
            "is_own": is_own and VERBS["break_glass"] not in verbs,
            "effect": describe_effect(row),
            "undo": (row.state == State.SUCCEEDED and reason_against_undo(row)) or describe_undo(row.kind),
            "notes": _notes(row),
            "by_hand": show_hand_work(row),
            "corrections": correction_verbs(row, actor),
            "result_url": reverse("admin:actions_historyaction_result", args=[row.pk]) if may_fetch(row, actor) else "",
            "decisions": [(decision, show_time(decision.decided_at)) for decision in row.decisions.all()],
            "evidence": evidence_rows(Evidence.objects.filter(action_links__action=row)),
            "undone_by": [(url_of(undo), undo, columns.show_state(undo)) for undo in row.undone_by.order_by("id")],
            "events": events_of(row.pk),
        }


def _notes(row: RemediationAction) -> list[str]:
    """Say what keeps an action from being sent, or would once it is approved."""
    frozen = say_frozen(row.tenant_id, row.type) if row.state == State.PENDING_APPROVAL else ""
    return [note for note in (frozen, _shield(row), describe_wait(row)) if note]


def _shield(row: RemediationAction) -> str:
    """Say that what waits for approval would harm a protected device."""
    if row.state != State.PENDING_APPROVAL or not row.kind.is_destructive or row.device_id is None:
        return ""
    found = find_protection(row.device_id)
    words = _("The device is protected, so two people have to approve this: “%(reason)s”")
    return words % {"reason": found.reason} if found else ""
