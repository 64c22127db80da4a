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
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from investigations.admin.showing import evidence_rows, link_to_investigation
from investigations.models import Evidence
from portal.access.display import NOTHING, labelled, link_to, show_age, show_time
from portal.access.exceptions import Refusal, SecondFactorNeeded
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, Section, WordFilter, actor_of, events_of
from portal.access.sign_in.second_factor import kept_reason
from portal.tenancy.scope import acting_for
from remediation.actions.admin import columns
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.effects import describe_effect, describe_undo
from remediation.actions.forms import ReasonForm
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.verbs import VERBS, Verb, offered, say_frozen, say_result
from remediation.actions.waiting import describe_wait
from remediation.catalogue import CATALOGUE, WIRED
from remediation.safeguards.protection import find_protection

MOST_AT_ONCE = 100
"""Actions decided on one page: more than a person can look through is not a decision."""

PARAMETER_LABELS = {
    "isolation_type": gettext_lazy("Isolation type"),
    "scan_type": gettext_lazy("Scan type"),
    "sha1": gettext_lazy("SHA-1"),
    "messages": gettext_lazy("Messages"),
    "devices": gettext_lazy("Devices"),
    "investigation": gettext_lazy("Investigation id"),
}


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
        context = {
            **self.admin_site.each_context(request),
            "title": verb.question,
            "opts": self.opts,
            "verb": verb,
            "form": form,
            "back_url": self._after(chosen[0] if len(chosen) == 1 else None),
            "items": [self._told(verb, action, frozen) for action in chosen],
            "decide_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_decide", args=[verb.name]),
        }
        return TemplateResponse(request, self.confirm_template, context)

    def _told(self, verb: Verb, action: RemediationAction, frozen: Mapping[tuple[UUID, str], str]) -> dict[str, Any]:
        kind = action.kind
        needed = count_needed(action) if verb.name == "approve" else 0
        effect = describe_effect(action) if verb.tells_effect else ""
        if verb.name == "undo" and kind.inverse:
            effect = describe_undo(kind)
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
        except SecondFactorNeeded:
            raise
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
            Section(gettext_lazy("What and why"), _what(row)),
            Section(gettext_lazy("Where it stands"), _where(row)),
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
            "undo": describe_undo(row.kind),
            "notes": _notes(row),
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


def url_of(action: RemediationAction) -> str:
    """Return the address of the action's page, on the tab it is on."""
    tab = "pendingaction" if action.state == State.PENDING_APPROVAL else "historyaction"
    return reverse(f"admin:actions_{tab}_change", args=[action.pk])


def _what(row: RemediationAction) -> list[tuple[Any, Any]]:
    facts = [
        (gettext_lazy("Tenant"), row.tenant),
        (gettext_lazy("Target"), row.target),
        (gettext_lazy("Device"), columns.show_device(row)),
        (gettext_lazy("Device group"), row.device.group if row.device else NOTHING),
        (gettext_lazy("Reason"), row.reason),
        (gettext_lazy("Action source"), row.get_source_display()),
        (gettext_lazy("Requested by"), row.requested_by or _("Automation")),
        (
            gettext_lazy("Investigation"),
            link_to_investigation(row.investigation) if row.investigation else NOTHING,
        ),
    ]
    if row.undoes_id:
        facts.append((gettext_lazy("Undoes"), link_to("actions_historyaction", row.undoes_id, _("an earlier action"))))
    facts += [(PARAMETER_LABELS.get(name, name), _parameter(value)) for name, value in row.parameters.items()]
    return facts


def _parameter(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], dict):
        lines = "\n".join(f"{item['recipient']} · {item['network_message_id']}" for item in value)
    else:
        lines = "\n".join(map(str, value))
    return format_html('<pre tabindex="0">{}</pre>', lines)


def _where(row: RemediationAction) -> list[tuple[Any, Any]]:
    approvals = _("%(given)d of %(needed)d") % {"given": count_approvals(row), "needed": count_needed(row)}
    if any(decision.break_glass_id for decision in row.decisions.all()):
        approvals = _("%(approvals)s, and one alone in break-glass") % {"approvals": approvals}
    facts: list[tuple[Any, Any]] = [
        (gettext_lazy("State"), columns.show_state(row)),
        (gettext_lazy("Approvals"), approvals if row.required_approvals else _("None needed")),
        (gettext_lazy("Created"), show_age(row.created_at)),
        (gettext_lazy("Expires"), show_age(row.approve_before) if row.state == State.PENDING_APPROVAL else None),
        (gettext_lazy("Send before"), show_age(row.execute_before) if row.state == State.APPROVED else None),
        (gettext_lazy("Sent"), show_age(row.sent_at) if row.sent_at else None),
        (gettext_lazy("Attempts"), row.attempt or None),
        (gettext_lazy("Accepted by Microsoft"), show_age(row.accepted_at) if row.accepted_at else None),
        (gettext_lazy("Unknown since"), show_age(row.unknown_since) if row.state == State.UNKNOWN else None),
        (gettext_lazy("Id at Microsoft"), row.remote_id or None),
        (gettext_lazy("Result"), row.detail or None),
        (gettext_lazy("Error code"), row.error_code or None),
        (gettext_lazy("Ended"), show_age(row.ended_at) if row.ended_at else None),
    ]
    return [fact for fact in facts if fact[1] is not None]
