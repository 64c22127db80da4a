"""The page of connections: how each tenant is reached, and whether it works. A secret goes in and never comes out."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors import services
from connectors.forms import ConnectionForm
from connectors.models import Connection, Health
from portal.access.admin_site import Card
from portal.access.display import badge, show_age, show_time
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of
from portal.secrets.secret_text import SecretText

TONES = {Health.WORKING: "good", Health.REFUSED: "bad", Health.UNREACHABLE: "bad", Health.UNTRIED: "neutral"}
BROKEN = (Health.REFUSED, Health.UNREACHABLE)


@admin.register(Connection)
class ConnectionAdmin(ScopedAdmin):
    """Connections and their health. Addresses get the provider's credential, so only provider admins change them."""

    menu_place = 30
    add_capability = Capability.MANAGE_TENANTS
    add_takes_second_factor = True
    change_capability = Capability.MANAGE_CONNECTIONS
    form = ConnectionForm
    list_display = ("tenant", "kind", "is_enabled", "health_badge", "health_detail", "seen", "alerts_read")
    list_filter = (BY_TENANT, "health", "is_enabled")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = (
        "tenant", "kind", "is_enabled", "client_id", "secret_set", "new_client_secret", "login_url", "defender_url",
        "graph_url", "health_badge", "health_detail", "seen", "alerts_read", "devices_read",
    )  # fmt: skip
    new_fields = (
        "tenant",
        "kind",
        "is_enabled",
        "client_id",
        "new_client_secret",
        "login_url",
        "defender_url",
        "graph_url",
    )
    empty_message = gettext_lazy("No tenant is connected yet.")
    formfield_overrides: ClassVar = {models.URLField: {"assume_scheme": "https"}}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new connection, or shown of one; a secret only from who may set it."""
        if obj is None:
            return self.new_fields
        return self.fields if self.has_change_permission(request, obj) else _without_secret(self.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave tenant admins the switch and their own credential, provider admins the addresses too."""
        shown = ["health_badge", "health_detail", "seen", "alerts_read", "devices_read", "secret_set"]
        if obj is None:
            return shown
        if not actor_of(request).may(Capability.MANAGE_TENANTS, obj.tenant_id):
            shown += services.ADDRESSES
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

    @admin.display(description=gettext_lazy("client secret"))
    def secret_set(self, row: Connection) -> str:
        """Say since when it has a secret of its own, and nothing else about it."""
        if row.client_secret_set_at is None:
            return _("None of its own; the provider's is used")
        return format_html(_("Set on {}"), show_time(row.client_secret_set_at))

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the connections that do not work."""
        broken = self.get_queryset(request).filter(health__in=BROKEN, is_enabled=True).count()
        yield Card(
            label=gettext_lazy("Connections in trouble"),
            count=broken,
            url="admin:connectors_connection_changelist",
            hint=gettext_lazy("Alerts are not read and actions not sent until they work."),
            tone="bad" if broken else "good",
        )

    @admin.display(description=gettext_lazy("health"), ordering="health")
    def health_badge(self, row: Connection) -> str:
        """Say what the last call showed."""
        return badge(Health(row.health).label, TONES[Health(row.health)])

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


def _without_secret(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in fields if name != "new_client_secret")
