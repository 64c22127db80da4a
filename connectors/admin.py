"""The page of connections: how each tenant is reached and whether it works. No secret is shown or asked for here."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.models import Connection, Health
from portal.access.admin_site import Card
from portal.access.display import badge, show_age
from portal.access.exceptions import BadRequest
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of

TONES = {Health.WORKING: "good", Health.REFUSED: "bad", Health.UNREACHABLE: "bad", Health.UNTRIED: "neutral"}
BROKEN = (Health.REFUSED, Health.UNREACHABLE)


@admin.register(Connection)
class ConnectionAdmin(ScopedAdmin):
    """Connections and their health. Addresses get the provider's credential, so only provider admins change them."""

    menu_place = 30
    change_capability = Capability.MANAGE_CONNECTIONS
    recorded_fields = ("is_enabled", "login_url", "defender_url", "graph_url")
    list_display = ("tenant", "kind", "is_enabled", "health_badge", "health_detail", "seen", "alerts_read")
    list_filter = (BY_TENANT, "health", "is_enabled")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = (
        "tenant", "kind", "is_enabled", "login_url", "defender_url", "graph_url", "health_badge", "health_detail",
        "seen", "alerts_read", "devices_read",
    )  # fmt: skip
    empty_message = gettext_lazy("No tenant is connected yet.")
    formfield_overrides: ClassVar = {models.URLField: {"assume_scheme": "https"}}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave tenant admins the switch, provider admins the addresses too."""
        shown = ["tenant", "kind", "health_badge", "health_detail", "seen", "alerts_read", "devices_read"]
        if obj is None or not actor_of(request).may(Capability.MANAGE_TENANTS, obj.tenant_id):
            shown += ["login_url", "defender_url", "graph_url"]
        return shown

    def save_model(self, request: HttpRequest, obj: Connection, form: ModelForm, change: bool) -> None:
        """Save it. Raises BadRequest for an address without TLS: the provider's credential is sent there."""
        addresses = (obj.login_url, obj.defender_url, obj.graph_url)
        if not settings.IS_DEVELOPMENT and not all(address.startswith("https://") for address in addresses):
            raise BadRequest(_("The addresses must begin with https://."))
        super().save_model(request, obj, form, change)

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
