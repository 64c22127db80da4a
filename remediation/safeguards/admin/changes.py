"""The page of guarded changes: what waits for a second person, what it would do, and what became of the others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, labelled, show_age
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.tenancy.scope import has_scope
from remediation.catalogue import CATALOGUE
from remediation.safeguards import changes
from remediation.safeguards.admin.asking import ask, do_and_tell
from remediation.safeguards.changes import KINDS, WAITS_FOR, State
from remediation.safeguards.forms import SaidForm
from remediation.safeguards.models import GuardedChange

TONES: Final = {State.WAITING: "waiting", State.MADE: "good", State.REJECTED: "bad"}


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done with a change that waits: the question, the service, and what is said afterwards."""

    label: Promise
    question: Promise
    done: Promise
    run: Callable[..., GuardedChange]
    tone: str


VERBS: Final[Mapping[str, Verb]] = {
    "confirm": Verb(
        gettext_lazy("Confirm"), gettext_lazy("Confirm this change?"), gettext_lazy("The change has been made."),
        changes.confirm_change, "approve",
    ),
    "reject": Verb(
        gettext_lazy("Reject"), gettext_lazy("Reject this change?"), gettext_lazy("The change has been rejected."),
        changes.reject_change, "reject",
    ),
    "withdraw": Verb(
        gettext_lazy("Withdraw"), gettext_lazy("Withdraw this change?"),
        gettext_lazy("The change has been withdrawn."), changes.withdraw_change, "reject",
    ),
}  # fmt: skip


@admin.register(GuardedChange)
class GuardedChangeAdmin(ReadOnlyAdmin):
    """Guarded changes, newest first. They are asked for where the safeguard is; here they are decided."""

    menu_place = 25
    detail_template = "safeguards/change.html"
    list_display = ("what", "state_badge", "tenant", "requested_by", "requested", "decided_by")
    list_filter = ("state", BY_TENANT, "kind")
    list_select_related = ("tenant", "requested_by", "decided_by")
    ordering = ("-id",)
    sortable_by = ("requested",)
    empty_message = gettext_lazy("Nobody has asked for a change that takes two people.")

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a verb is confirmed."""
        view = self.admin_site.admin_view(self.decide_view)
        name = "safeguards_guardedchange_decide"
        return [path("<uuid:object_id>/<slug:verb_name>/decide/", view, name=name), *super().get_urls()]

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what waits."""
        count = GuardedChange.objects.filter(state=State.WAITING).count() if has_scope() else 0
        yield Card(
            label=gettext_lazy("Changes waiting for a second person"),
            count=count,
            url="admin:safeguards_guardedchange_changelist",
            query=f"state__exact={State.WAITING.value}",
            hint=gettext_lazy("Each expires after 7 days without a second person."),
            tone="waiting" if count else "good",
        )

    @admin.display(description=gettext_lazy("change"))
    def what(self, row: GuardedChange) -> str:
        """Name the change, and of what."""
        return format_html('{} <span class="aside">{}</span>', _label(row), _number(row))

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: GuardedChange) -> str:
        """Show the state."""
        return _show_state(row)

    @admin.display(description=gettext_lazy("requested"), ordering="id")
    def requested(self, row: GuardedChange) -> str:
        """Show since when it waits."""
        return labelled(_("Requested"), show_age(row.requested_at))

    def sections(self, request: HttpRequest, row: GuardedChange) -> Sequence[Section]:
        """Return who asked for what, and who decided."""
        asked = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Requested by"), row.requested_by),
            (gettext_lazy("Requested"), show_age(row.requested_at)),
            (gettext_lazy("Reason"), row.reason),
            (gettext_lazy("Expires"), show_age(row.requested_at + WAITS_FOR)),
        ]
        decided = [
            (gettext_lazy("Decided by"), row.decided_by or NOTHING),
            (gettext_lazy("Decided"), show_age(row.decided_at)),
            (gettext_lazy("Reason of the decision"), row.decision_reason or NOTHING),
        ]
        return [
            Section(gettext_lazy("Asked for"), asked if row.state == State.WAITING else asked[:-1]),
            *([] if row.state == State.WAITING else [Section(gettext_lazy("Decided"), decided)]),
        ]

    def detail_context(self, request: HttpRequest, row: GuardedChange) -> dict[str, Any]:
        """Return what it does, what this person can do with it, and its history."""
        actor = actor_of(request)
        is_own = row.requested_by_id == actor.id
        return {
            "title": _label(row),
            "state": _show_state(row),
            "is_waiting": row.state == State.WAITING,
            "effect": _effect(row) if row.state == State.WAITING else _number(row) or _effect(row),
            "is_own": is_own and row.state == State.WAITING,
            "verbs": [
                (VERBS[name].label, _decide_url(row.pk, name), VERBS[name].tone) for name in _offered(row, actor)
            ],
            "events": events_of(row.pk),
        }

    def decide_view(self, request: HttpRequest, object_id: UUID, verb_name: str) -> HttpResponse:
        """Ask for the reason, then do the verb."""
        row = self.get_object(request, unquote(str(object_id)))
        verb = VERBS.get(verb_name)
        if row is None or verb is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if verb_name == "confirm":
            actor_of(request).require_second_factor()
        form = SaidForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return do_and_tell(
                self,
                request,
                tenant_id=row.tenant_id,
                do=partial(verb.run, row.pk, actor=actor_of(request), reason=form.cleaned_data["reason"]),
                done=verb.done,
                page_url=_page_of(row.pk),
            )
        return ask(
            self,
            request,
            title=verb.question,
            lines=[f"{_label(row)} · {row.tenant}", _effect(row), row.reason],
            form=form,
            button=verb.label,
            back_url=_page_of(row.pk),
            tone=verb.tone,
        )


def _offered(row: GuardedChange, actor: Actor) -> list[str]:
    if row.state != State.WAITING:
        return []
    if row.requested_by_id == actor.id:
        return ["withdraw"]
    return ["confirm", "reject"] if actor.may(KINDS[row.kind].capability, row.tenant_id) else []


def _label(row: GuardedChange) -> str:
    return str(KINDS[row.kind].label) if row.kind in KINDS else row.kind


def _effect(row: GuardedChange) -> str:
    return KINDS[row.kind].describe(row.tenant_id, row.details) if row.kind in KINDS else NOTHING


def _number(row: GuardedChange) -> str:
    """Say which number was asked for, as true later as it was then; "" for a change that is no number."""
    number = row.details.get("approvers", row.details.get("cap"))
    if number is None:
        return ""
    return f"{CATALOGUE[row.details['action_type']].label}: {number}"


def _show_state(row: GuardedChange) -> str:
    return badge(State(row.state).label, TONES.get(State(row.state), "neutral"))


def _page_of(key: UUID) -> str:
    return reverse("admin:safeguards_guardedchange_change", args=[key])


def _decide_url(key: UUID, verb_name: str) -> str:
    return reverse("admin:safeguards_guardedchange_decide", args=[key, verb_name])
