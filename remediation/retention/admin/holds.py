"""The page of legal holds: what must not leave and why, placing one, and lifting one with a second person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.display import NOTHING, badge, labelled, show_age
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention.forms import HoldForm
from remediation.retention.holds import describe_effect, keep_hold, lift_hold, place_hold
from remediation.retention.models import LegalHold
from remediation.safeguards.admin.asking import ask, do_and_tell
from remediation.safeguards.forms import SaidForm


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done with a hold in force: the button, the question, the service, and what is said afterwards."""

    label: Promise
    question: Promise
    done: Promise
    run: Callable[..., LegalHold]
    tone: str


_ASK: Final = Verb(
    gettext_lazy("Ask for it to be lifted"),
    gettext_lazy("Ask for this hold to be lifted?"),
    gettext_lazy("Asked for. It holds until somebody else lifts it."),
    lift_hold,
    "approve",
)
_LIFT: Final = Verb(
    gettext_lazy("Lift it"),
    gettext_lazy("Lift this hold? What is past its time leaves with the next purge, for good."),
    gettext_lazy("The hold is lifted."),
    lift_hold,
    "reject",
)
_KEEP: Final = Verb(
    gettext_lazy("Keep it in force"),
    gettext_lazy("Keep this hold in force?"),
    gettext_lazy("The hold stays."),
    keep_hold,
    "approve",
)


@admin.register(LegalHold)
class LegalHoldAdmin(ReadOnlyAdmin):
    """Holds, newest first. Adding one keeps what it covers at once."""

    menu_place = 35
    add_capability = Capability.MANAGE_RETENTION
    detail_template = "retention/hold.html"
    list_display = ("target", "state_badge", "tenant", "since", "placed_by", "reason")
    list_filter = (BY_TENANT, "covers", ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant", "placed_by")
    ordering = ("-id",)
    sortable_by = ("since",)
    empty_message = gettext_lazy("Nothing is held: everything leaves when its time is up.")
    add_label = gettext_lazy("Place a legal hold")

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a verb is confirmed."""
        view = self.admin_site.admin_view(self.decide_view)
        name = "retention_legalhold_decide"
        return [path("<uuid:object_id>/<slug:verb_name>/decide/", view, name=name), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what is held and why."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = HoldForm(request.POST if request.method == "POST" else None, initial=request.GET.dict())
        allowed = actor_of(request).tenants_where(Capability.MANAGE_RETENTION)
        tenants = Tenant.objects.filter(pk__in=allowed, is_active=True).order_by("name", "pk")
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]  # a ModelChoiceField
        if request.method == "POST" and form.is_valid():
            try:
                return self._place(request, form.cleaned_data)
            except Refusal as refusal:
                form.add_error(None, str(refusal))
        return ask(
            self,
            request,
            title=_("Place a legal hold"),
            lines=[
                _("What it covers is not purged from now on, whatever the rules say. It takes two people to lift it.")
            ],
            form=form,
            button=_("Place the hold"),
            back_url=reverse("admin:retention_legalhold_changelist"),
        )

    def _place(self, request: HttpRequest, asked: Mapping[str, Any]) -> HttpResponse:
        with acting_for(asked["tenant"].pk):
            hold = place_hold(
                asked["tenant"].pk,
                actor=actor_of(request),
                reason=asked["reason"],
                covers=asked["covers"],
                object_id=asked["object_id"],
            )
        self.message_user(request, _("The hold is in force from now on."), messages.SUCCESS)
        return HttpResponseRedirect(_page_of(hold.pk))

    def decide_view(self, request: HttpRequest, object_id: UUID, verb_name: str) -> HttpResponse:
        """Ask why, then lift the hold, ask for that, or keep it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        hold = self.get_object(request, str(object_id))
        if hold is None:
            raise Http404
        actor = actor_of(request)
        if not actor.may(Capability.MANAGE_RETENTION, hold.tenant_id):
            raise PermissionDenied
        verb = _offered(hold, actor).get(verb_name)
        if verb is None:
            raise Http404
        actor.require_second_factor()
        form = SaidForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return do_and_tell(
                self,
                request,
                tenant_id=hold.tenant_id,
                do=partial(verb.run, hold.pk, actor=actor_of(request), reason=form.cleaned_data["reason"]),
                done=verb.done,
                page_url=_page_of(hold.pk),
            )
        lines = [hold.target, describe_effect(hold), hold.lift_reason]
        return ask(
            self,
            request,
            title=verb.question,
            lines=[line for line in lines if line],
            form=form,
            button=verb.label,
            back_url=_page_of(hold.pk),
            tone=verb.tone,
        )

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: LegalHold) -> str:
        """Say whether it is in force."""
        return _show_state(row)

    @admin.display(description=gettext_lazy("since"), ordering="id")
    def since(self, row: LegalHold) -> str:
        """Show since when."""
        return labelled(_("Since"), show_age(row.placed_at))

    def sections(self, request: HttpRequest, row: LegalHold) -> Sequence[Section]:
        """Return what, why and by whom, and how far lifting it is."""
        facts = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Covers"), row.get_covers_display()),
            (gettext_lazy("Held"), row.target),
            (gettext_lazy("Why"), row.reason),
            (gettext_lazy("Placed by"), row.placed_by),
            (gettext_lazy("Placed"), show_age(row.placed_at)),
            (gettext_lazy("Asked to lift it"), row.lift_asked_by or NOTHING),
            (gettext_lazy("Why it may be lifted"), row.lift_reason or NOTHING),
            (gettext_lazy("Lifted by"), row.lifted_by or NOTHING),
            (gettext_lazy("Lifted"), show_age(row.lifted_at)),
        ]
        return [Section(gettext_lazy("Legal hold"), facts)]

    def detail_context(self, request: HttpRequest, row: LegalHold) -> dict[str, Any]:
        """Return what it keeps, what this person can do with it, and its history."""
        actor = actor_of(request)
        return {
            "title": row.target,
            "state": _show_state(row),
            "effect": describe_effect(row),
            "is_own": row.lifted_at is None and row.lift_asked_by_id == actor.id,
            "verbs": [
                (verb.label, reverse("admin:retention_legalhold_decide", args=[row.pk, name]), verb.tone)
                for name, verb in _offered(row, actor).items()
            ],
            "events": events_of(row.pk),
        }


def _offered(hold: LegalHold, actor: Actor) -> dict[str, Verb]:
    if hold.lifted_at is not None or not actor.may(Capability.MANAGE_RETENTION, hold.tenant_id):
        return {}
    if hold.lift_asked_by_id is None:
        return {"ask": _ASK}
    return {"keep": _KEEP} if hold.lift_asked_by_id == actor.id else {"lift": _LIFT, "keep": _KEEP}


def _show_state(row: LegalHold) -> str:
    if row.lifted_at is not None:
        return badge(_("Lifted"))
    if row.lift_asked_by_id is not None:
        return badge(_("In force, to be lifted"), "waiting")
    return badge(_("In force"), "moving")


def _page_of(key: UUID) -> str:
    return reverse("admin:retention_legalhold_change", args=[key])
