"""The pages of notification channels and of the ledger of deliveries."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.outbound import services
from connectors.outbound.forms import ChannelForm
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.states import OPEN_STATES, ChannelKind, DeliveryState
from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, labelled, link_to, show_age, show_time
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.access.verb_admin import Verb, VerbAdmin
from portal.secrets.secret_text import SecretText

TONES = {
    DeliveryState.QUEUED: "waiting",
    DeliveryState.SENDING: "moving",
    DeliveryState.DELIVERED: "good",
    DeliveryState.FAILED: "bad",
    DeliveryState.UNKNOWN: "bad",
}

TEST = Verb(
    name="test",
    button=gettext_lazy("Send a test message"),
    effect=gettext_lazy(
        "A worker sends a test message to “%(row)s” within seconds. What became of it stands under Deliveries."
    ),
    done=gettext_lazy("The test message is on its way. The newest delivery says what becomes of it."),
    run=lambda row, actor: services.request_test(row.pk, actor=actor),
    is_offered=lambda row: row.is_on,
    tone="approve",
)
_FAILING = Q(is_on=True, failing_since__isnull=False)
NEW_SECRET = Verb(
    name="renew-signing-secret",
    button=gettext_lazy("New signing secret"),
    effect=gettext_lazy(
        "“%(row)s” gets a new secret that its messages are signed with, and you see it once. The old one signs nothing "
        "any more, so the receiver drops messages until it knows the new one."
    ),
    done="",
    run=lambda row, actor: None,
    is_offered=lambda row: row.kind == ChannelKind.WEBHOOK,
)
REPLAY = Verb(
    name="replay",
    button=gettext_lazy("Send again"),
    effect=gettext_lazy(
        "“%(row)s” is sent once more, to its channel as it is now, with an id of its own: a receiver that has it "
        "already takes it for a new message."
    ),
    done=gettext_lazy("It is being sent again; the newest delivery says what becomes of it."),
    run=lambda row, actor: services.replay(row.pk, actor=actor),
    is_offered=lambda row: row.state not in OPEN_STATES and row.channel_id is not None,
    tone="approve",
)


class HealthFilter(admin.SimpleListFilter):
    """Those whose messages do not arrive."""

    title = gettext_lazy("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return the one choice."""
        return [("failing", gettext_lazy("Failing"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        return queryset.filter(_FAILING) if self.value() == "failing" else queryset


@admin.register(Channel)
class ChannelAdmin(VerbAdmin):
    """How each tenant's IT admins are told, and whether that works. An address goes in and never comes out."""

    menu_place = 32
    add_capability = Capability.MANAGE_CONNECTIONS
    add_takes_second_factor = True
    change_capability = Capability.MANAGE_CONNECTIONS
    delete_capability = Capability.MANAGE_CONNECTIONS
    verbs = (TEST, NEW_SECRET)
    form = ChannelForm
    list_display = ("name", "health", "tenant", "kind_label", "place", "delivered")
    list_filter = (BY_TENANT, HealthFilter, "kind", "is_on")
    list_select_related = ("tenant",)
    search_fields = ("name", "host", "tenant__name")
    ordering = ("tenant__name", "name")
    empty_message = gettext_lazy(
        "Nobody is told yet. Add a channel: IT admins then learn by e-mail, Teams, Slack or webhook what they are "
        "asked to fix."
    )
    add_label = gettext_lazy("Add a channel")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new channel, or shown of one; a new address only from who may set it."""
        asked = ("tenant", "kind", "name", "is_on", "events", "language", "emails")
        if obj is None:
            return (*asked, "new_url")
        shown = (*asked, "place", "secret_set", "health", "delivered", "failing")
        return (*shown, "new_url") if self.has_change_permission(request, obj) else shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whose a channel is and of what kind is said once."""
        shown = ("place", "secret_set", "health", "delivered", "failing")
        return shown if obj is None else (*shown, "tenant", "kind")

    def save_model(self, request: HttpRequest, obj: Channel, form: ModelForm, change: bool) -> None:
        """Save it by the services, which check and record it. Raises what they raise; the page tells of it."""
        actor, url = actor_of(request), SecretText(form.cleaned_data.get("new_url", ""))
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data if name in services.CHANGEABLE}
            services.change_channel(obj.pk, changes, url=url, actor=actor)
        else:
            services.create_channel(obj, url=url, actor=actor)
            if obj.kind == ChannelKind.WEBHOOK:
                words = _("The receiver needs a signing secret to check messages with: choose “New signing secret”.")
                self.message_user(request, words)

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None) -> HttpResponse:
        """Lead to the new channel's page, where a test message and a signing secret are one step away."""
        answer = super().response_add(request, obj, post_url_continue)
        return answer if "_addanother" in request.POST else HttpResponseRedirect(self.url_of("change", obj))

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        """Delete it by the services, which record it."""
        services.delete_channel(obj.pk, actor=actor_of(request))

    def verb_view(self, request: HttpRequest, object_id: str, *, verb: Verb) -> HttpResponse:
        """Show the new signing secret where one was asked for."""
        if verb is not NEW_SECRET or request.method != "POST":
            return super().verb_view(request, object_id, verb=verb)
        row = self.row_for_verb(request, object_id)
        return self._or_told(request, lambda: self._show_once(request, row))

    def _show_once(self, request: HttpRequest, row: Channel) -> HttpResponse:
        secret = services.renew_signing_secret(row.pk, actor=actor_of(request))
        context = self.verb_context(request, NEW_SECRET, row) | {"secret": secret.reveal()}
        page = TemplateResponse(request, "outbound/signing_secret.html", context)
        add_never_cache_headers(page)
        return page

    @admin.display(description=gettext_lazy("health"), ordering="failing_since")
    def health(self, row: Channel) -> str:
        """Say whether messages arrive."""
        if not row.is_on:
            return badge(_("Switched off"))
        if row.failing_since is not None:
            return badge(_("Failing"), "bad")
        return badge(_("Working"), "good") if row.last_delivered_at else badge(_("Not tried yet"))

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_label(self, row: Channel) -> str:
        """Name the kind."""
        return labelled(_("Kind"), ChannelKind(row.kind).label)

    @admin.display(description=gettext_lazy("sends to"))
    def place(self, row: Channel) -> str:
        """Show the host, or the e-mail addresses; never the address it posts to."""
        return labelled(_("Sends to"), row.sends_to or NOTHING)

    @admin.display(description=gettext_lazy("signing secret"))
    def secret_set(self, row: Channel) -> str:
        """Say since when it has one, and nothing else about it."""
        if row.signing_secret_set_at is None:
            return NOTHING
        return format_html(_("Set on {}"), show_time(row.signing_secret_set_at))

    @admin.display(description=gettext_lazy("last delivered"), ordering="last_delivered_at")
    def delivered(self, row: Channel) -> str:
        """Show when something last arrived."""
        return labelled(_("Last delivered"), show_age(row.last_delivered_at))

    @admin.display(description=gettext_lazy("failing since"))
    def failing(self, row: Channel) -> str:
        """Show since when nothing arrives."""
        return show_age(row.failing_since)

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the channels that fail; nothing for people whose tenants have none."""
        rows = self.get_queryset(request).filter(is_on=True)
        failing = rows.filter(_FAILING).count()
        if failing or rows.exists():
            yield Card(
                label=gettext_lazy("Notification channels that fail"),
                count=failing,
                url="admin:outbound_channel_changelist",
                query="health=failing",
                hint=gettext_lazy("Nobody is told through these. Their newest delivery says why."),
                tone="bad" if failing else "good",
            )


@admin.register(Delivery)
class DeliveryAdmin(VerbAdmin, ReadOnlyAdmin):
    """The ledger: what was sent to whom, and what became of it. An ended one can be sent again."""

    menu_place = 33
    detail_template = "outbound/delivery.html"
    verbs = (REPLAY,)
    list_display = ("subject", "state_badge", "tenant", "event_label", "to", "written")
    list_filter = (BY_TENANT, "state", "event", "kind")
    list_select_related = ("tenant",)
    search_fields = ("subject", "channel_name", "sent_to")
    ordering = ("-id",)
    sortable_by = ()
    empty_message = gettext_lazy(
        "Nothing was sent yet. What channels are told of stands here, as long as the tenant keeps it."
    )

    def may_use_verbs(self, request: HttpRequest, row: Any) -> bool:
        """Sending again is for those who manage channels."""
        return self._may(request, Capability.MANAGE_CONNECTIONS, row)

    def sections(self, request: HttpRequest, row: Delivery) -> Sequence[Section]:
        """Return what was sent, to whom, and what became of it."""
        sending: list[tuple[Any, Any]] = [
            (gettext_lazy("State"), self.state_badge(row)),
            (gettext_lazy("Last error"), row.error or NOTHING),
            (gettext_lazy("HTTP status"), row.http_status or NOTHING),
            (gettext_lazy("Attempts"), row.attempts),
            (gettext_lazy("Next try"), show_age(row.not_before) if row.state == DeliveryState.QUEUED else NOTHING),
            (gettext_lazy("Last tried"), show_age(row.tried_at)),
            (gettext_lazy("Delivered"), show_age(row.delivered_at)),
            (gettext_lazy("Delivery id"), row.pk),
        ]
        about: list[tuple[Any, Any]] = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Channel"), self._channel(row)),
            (gettext_lazy("Sent to"), row.sent_to or NOTHING),
            (gettext_lazy("Event"), row.get_event_display()),
            (gettext_lazy("Written"), show_age(row.created_at)),
            (gettext_lazy("Asked by"), row.asked_by or _("Automation")),
        ]
        if row.replay_of_id is not None:
            about.append(
                (gettext_lazy("Sends again"), link_to("outbound_delivery", row.replay_of_id, _("An earlier delivery")))
            )
        message = [(label, value) for label, value in row.facts]
        return [
            Section(gettext_lazy("What became of it"), sending),
            Section(gettext_lazy("What was sent"), [(gettext_lazy("Subject"), row.subject), *message]),
            Section(gettext_lazy("To whom and why"), about),
        ]

    def detail_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        """Return the buttons and what the audit knows."""
        return {"offered_verbs": self.offered(request, row), "events": events_of(row.pk), "page": row.path}

    def _channel(self, row: Delivery) -> str:
        return link_to("outbound_channel", row.channel_id, row.channel_name) if row.channel_id else row.channel_name

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: Delivery) -> str:
        """Say where it is, and of one that failed before that it is tried again."""
        state = DeliveryState(row.state)
        if state == DeliveryState.QUEUED and row.error:
            return badge(_("Queued, to be tried again"), "waiting")
        return badge(state.label, TONES[state])

    @admin.display(description=gettext_lazy("event"))
    def event_label(self, row: Delivery) -> str:
        """Name the event."""
        return labelled(_("Event"), row.get_event_display())

    @admin.display(description=gettext_lazy("channel"))
    def to(self, row: Delivery) -> str:
        """Name the channel."""
        return labelled(_("Channel"), row.channel_name)

    @admin.display(description=gettext_lazy("written"))
    def written(self, row: Delivery) -> str:
        """Show when it was written."""
        return labelled(_("Written"), show_age(row.created_at))
