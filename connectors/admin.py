"""The page of connections: how each tenant is reached, and whether it works. A secret goes in and never comes out."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors import consent, services
from connectors.forms import ConnectionForm
from connectors.health import CONSEQUENCES
from connectors.models import Connection, Health
from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, show_age, show_time
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, actor_of
from portal.access.verb_admin import Verb, VerbAdmin
from portal.secrets.secret_text import SecretText

TONES = {Health.WORKING: "good", Health.UNTRIED: "neutral", Health.CERTIFICATE_EXPIRES: "waiting"}
"""How a health looks; every other one is bad."""

BROKEN: Final = tuple(health for health in Health if health not in TONES)

_CREDENTIALS: Final = ("new_client_secret", "new_client_certificate")

CHECK = Verb(
    name="check",
    button=gettext_lazy("Check now"),
    effect=gettext_lazy(
        "A worker signs in to Microsoft for this tenant, compares the permissions and reads one thing of each service. "
        "What works and what is missing stands on the connection's page a few seconds later. Nothing is changed."
    ),
    done=gettext_lazy("The connection is being checked. Load this page again in a few seconds."),
    run=lambda row, actor: services.request_check(row.pk, actor=actor),
    is_offered=lambda row: row.is_enabled,
    tone="approve",
)
CONSENT = Verb(
    name="ask-for-consent",
    button=gettext_lazy("Ask for consent"),
    effect=gettext_lazy(
        "You get a link to Microsoft's page where an admin of the customer's tenant consents to what Quell may do "
        "there. It counts for a quarter of an hour and for you alone; a link you got before counts no more."
    ),
    done="",
    run=lambda row, actor: None,
    is_offered=lambda row: bool(row.application_id),
    tone="approve",
)


@admin.register(Connection)
class ConnectionAdmin(VerbAdmin):
    """Connections and their health. Addresses get the provider's credential, so only provider admins change them."""

    menu_place = 30
    add_capability = Capability.MANAGE_TENANTS
    add_takes_second_factor = True
    change_capability = Capability.MANAGE_CONNECTIONS
    verbs = (CHECK, CONSENT)
    form = ConnectionForm
    list_display = ("tenant", "kind", "is_enabled", "health_badge", "health_detail", "seen", "alerts_read")
    list_filter = (BY_TENANT, "health", "is_enabled")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = (
        "tenant", "kind", "is_enabled", "health_badge", "consequences", "health_detail", "seen", "checked", "found",
        "alerts_read", "devices_read", "client_id", "secret_set", "certificate_set", "new_client_secret",
        "new_client_certificate", "cloud", "login_url", "defender_url", "graph_url", "exchange_url", "capabilities",
    )  # fmt: skip
    new_fields = (
        "tenant", "kind", "is_enabled", "client_id", "new_client_secret", "new_client_certificate", "cloud",
        "login_url", "defender_url", "graph_url", "exchange_url", "capabilities",
    )  # fmt: skip
    empty_message = gettext_lazy("No tenant is connected yet.")
    formfield_overrides: ClassVar = {models.URLField: {"assume_scheme": "https"}}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new connection, or shown of one; a secret only from who may set it."""
        if obj is None:
            return self.new_fields
        if not self.has_change_permission(request, obj):
            return tuple(name for name in self.fields if name not in _CREDENTIALS)
        return self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave tenant admins the switch and their own credential, provider admins the addresses too."""
        shown = [
            "health_badge", "consequences", "health_detail", "seen", "checked", "found", "alerts_read", "devices_read",
            "secret_set", "certificate_set",
        ]  # fmt: skip
        if obj is None:
            return shown
        if not actor_of(request).may(Capability.MANAGE_TENANTS, obj.tenant_id):
            shown += services.PROVIDERS_OWN
        return [*shown, "tenant", "kind"]

    def save_model(self, request: HttpRequest, obj: Connection, form: ModelForm, change: bool) -> None:
        """Save it by the services, which check and record it. Raises what they raise; the page tells of it."""
        actor = actor_of(request)
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data if name in services.CHANGEABLE}
            services.change_connection(obj.pk, changes, actor=actor)
        else:
            services.create_connection(obj, actor=actor)
        if secret := form.cleaned_data.get("new_client_secret"):
            services.set_client_secret(obj.pk, SecretText(secret), actor=actor)
        if pem := form.cleaned_data.get("new_client_certificate"):
            services.set_client_certificate(obj.pk, SecretText(pem), actor=actor)

    def get_urls(self) -> list[URLPattern]:
        """Add the page that Microsoft sends people back to."""
        back = path("consent/", self.admin_site.admin_view(self.consent_view), name="connectors_connection_consent")
        return [back, *super().get_urls()]

    def verb_view(self, request: HttpRequest, object_id: str, *, verb: Verb) -> HttpResponse:
        """Show the link to Microsoft's page where that was asked for."""
        if verb is not CONSENT or request.method != "POST":
            return super().verb_view(request, object_id, verb=verb)
        row = self.row_for_verb(request, object_id)
        return self._or_told(request, lambda: self._show_link(request, row))

    def _show_link(self, request: HttpRequest, row: Connection) -> HttpResponse:
        back = request.build_absolute_uri(reverse(consent.RETURN_PAGE))
        link = consent.ask_for_consent(row.pk, return_address=back, actor=actor_of(request))
        context = self.verb_context(request, CONSENT, row)
        context |= {"link": link.url, "ends_at": show_time(link.ends_at), "return_address": back}
        return TemplateResponse(request, "admin/consent_link.html", context, headers={"Cache-Control": "no-store"})

    def consent_view(self, request: HttpRequest) -> HttpResponse:
        """Take what Microsoft sends people back with, and lead on to the connection."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            return self._in_scope(lambda: self._take_answer(request))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:connectors_connection_changelist"))

    def _take_answer(self, request: HttpRequest) -> HttpResponse:
        answer = consent.take_answer(request.GET.dict(), actor=actor_of(request))
        self.message_user(request, answer.words, messages.SUCCESS if answer.is_given else messages.ERROR)
        return HttpResponseRedirect(self.url_of("change", answer.connection))

    @admin.display(description=gettext_lazy("client secret"))
    def secret_set(self, row: Connection) -> str:
        """Say since when it has a secret of its own, and nothing else about it."""
        if row.client_secret_set_at is None:
            return _("None of its own") if row.has_own_credential else _("None of its own; the provider's is used")
        return format_html(_("Set on {}"), show_time(row.client_secret_set_at))

    @admin.display(description=gettext_lazy("certificate"))
    def certificate_set(self, row: Connection) -> str:
        """Say which certificate it has and until when, and nothing else about it."""
        if row.client_certificate_expires_at is None:
            return _("None of its own")
        return format_html(
            _("Expires on {}; SHA-256 thumbprint {}"),
            show_time(row.client_certificate_expires_at),
            format_html('<code class="thumbprint">{}</code>', row.client_certificate_thumbprint),
        )

    @admin.display(description=gettext_lazy("what the check found"))
    def found(self, row: Connection) -> str:
        """Say line by line what worked and what did not."""
        lines = [
            (
                badge(_("Works"), "good") if finding["works"] else badge(_("Does not work"), "bad"),
                finding["what"],
                "" if finding["works"] else finding["words"],
            )
            for finding in row.findings
        ]
        if not lines:
            return NOTHING
        return format_html_join("", "<p>{} {}<br>{}</p>", lines)

    @admin.display(description=gettext_lazy("last check"))
    def checked(self, row: Connection) -> str:
        """Show when it was last checked, or that it is about to be."""
        return show_age(row.checked_at) if row.checked_at else _("The next worker that is free checks it")

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the connections that do not work."""
        broken = self.get_queryset(request).filter(health__in=BROKEN, is_enabled=True).count()
        yield Card(
            label=gettext_lazy("Connections in trouble"),
            count=broken,
            url="admin:connectors_connection_changelist",
            hint=gettext_lazy("Each one's page says what stops, what goes on and what to do."),
            tone="bad" if broken else "good",
        )

    @admin.display(description=gettext_lazy("health"), ordering="health")
    def health_badge(self, row: Connection) -> str:
        """Say what the last call showed."""
        return badge(Health(row.health).label, TONES.get(Health(row.health), "bad"))

    @admin.display(description=gettext_lazy("what stops, what goes on"))
    def consequences(self, row: Connection) -> str:
        """Say what its health keeps from working."""
        if not row.is_enabled:
            return _("It is switched off: nothing is read, and actions wait until they lapse.")
        return str(CONSEQUENCES[Health(row.health)])

    @admin.display(description=gettext_lazy("last call"), ordering="health_at")
    def seen(self, row: Connection) -> str:
        """Show when the health was seen."""
        return show_age(row.health_at)

    @admin.display(description=gettext_lazy("alerts read to"), ordering="alerts_read_to")
    def alerts_read(self, row: Connection) -> str:
        """Show how far alerts are read."""
        return show_age(row.alerts_read_to)

    @admin.display(description=gettext_lazy("devices read"))
    def devices_read(self, row: Connection) -> str:
        """Show when devices were last read."""
        return show_age(row.devices_read_at)
