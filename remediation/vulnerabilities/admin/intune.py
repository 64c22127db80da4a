"""The page of Intune connections: each tenant's switch, how its Intune is, and what to do about what is missing."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, labelled, show_age
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of
from remediation.vulnerabilities.intune import switching
from remediation.vulnerabilities.intune.health import ADVICE, CONSEQUENCES
from remediation.vulnerabilities.models import IntuneConnection
from remediation.vulnerabilities.states import IntuneHealth

TONES = {IntuneHealth.ENABLED: "good", IntuneHealth.UNTRIED: "neutral"}
"""How a health looks; every other one is bad."""

_SHOWN = (
    "health_badge", "consequences", "advice", "found", "seen", "partner_state", "heartbeat", "tasks_read",
    "devices_swept", "way_to_devices",
)  # fmt: skip


@admin.register(IntuneConnection)
class IntuneConnectionAdmin(ScopedAdmin):
    """Intune connections, off until somebody turns them on."""

    menu_place = 19
    add_capability = Capability.MANAGE_CONNECTIONS
    change_capability = Capability.MANAGE_CONNECTIONS
    add_label = gettext_lazy("Connect a tenant's Intune")
    list_display = ("tenant", "switch", "health_badge", "found", "heartbeat", "tasks_read")
    list_filter = (BY_TENANT, "is_on", "health")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    ordering = ("tenant__name",)
    fields = ("tenant", *switching.CHANGEABLE, *_SHOWN)
    empty_message = gettext_lazy("No tenant's Intune is connected. Without it, tickets are not offered.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the switches, and of one that is there how it is."""
        return self.fields if obj else ("tenant", *switching.CHANGEABLE)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Leave the switches to be changed."""
        return ("tenant", *_SHOWN) if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Say under each switch what it brings about."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and db_field.name in _EFFECTS:
            field.help_text = _EFFECTS[db_field.name]
        return field

    def tenants_to_choose(self, request: HttpRequest) -> QuerySet:
        """Return the tenants that have no connection yet; each has one at most."""
        connected = IntuneConnection.objects.values("tenant")
        return super().tenants_to_choose(request).exclude(pk__in=connected)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; what is connected already is not offered to be."""
        may_add = self.has_add_permission(request) and self.tenants_to_choose(request).exists()
        return super().changelist_view(request, {"has_add_permission": may_add, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: IntuneConnection, form: ModelForm, change: bool) -> None:
        """Save it by the services, which check and record it. Raises what they raise; the page tells of it."""
        actor = actor_of(request)
        if change:
            changes = {name: form.cleaned_data[name] for name in switching.CHANGEABLE}
            switching.change_intune_connection(obj.pk, changes, actor=actor)
        else:
            switching.create_intune_connection(obj, actor=actor)

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the connections that are on and not whole."""
        rows = self.get_queryset(request).filter(is_on=True).exclude(health__in=TONES)
        count = rows.count()
        if count or self.get_queryset(request).filter(is_on=True).exists():
            yield Card(
                label=gettext_lazy("Intune connections in trouble"),
                count=count,
                url="admin:vulnerabilities_intuneconnection_changelist",
                query="is_on__exact=1",
                hint=gettext_lazy("Each one's page says what stops, what goes on and what to do."),
                tone="bad" if count else "good",
            )

    @admin.display(description=gettext_lazy("Intune connection"), ordering="is_on")
    def switch(self, row: IntuneConnection) -> str:
        """Say whether it is on."""
        return badge(_("On"), "good") if row.is_on else badge(_("Off"))

    @admin.display(description=gettext_lazy("health"), ordering="health")
    def health_badge(self, row: IntuneConnection) -> str:
        """Say what the last reading showed."""
        if not row.is_on:
            return labelled(_("Health"), NOTHING)
        return badge(IntuneHealth(row.health).label, TONES.get(IntuneHealth(row.health), "bad"))

    @admin.display(description=gettext_lazy("what stops, what goes on"))
    def consequences(self, row: IntuneConnection) -> str:
        """Say what its health keeps from working."""
        if not row.is_on:
            return _("It is off: nothing is read, no ticket is offered, and what waits to be sent waits.")
        return str(CONSEQUENCES[IntuneHealth(row.health)])

    @admin.display(description=gettext_lazy("what to do"))
    def advice(self, row: IntuneConnection) -> str:
        """Say what to do about its health."""
        return str(ADVICE.get(IntuneHealth(row.health), NOTHING)) if row.is_on else NOTHING

    @admin.display(description=gettext_lazy("what the last reading found"))
    def found(self, row: IntuneConnection) -> str:
        """Show what the last reading came to."""
        return labelled(_("Last reading"), row.health_detail if row.is_on and row.health_detail else NOTHING)

    @admin.display(description=gettext_lazy("last reading"))
    def seen(self, row: IntuneConnection) -> str:
        """Show when the health was seen."""
        return show_age(row.health_at)

    @admin.display(description=gettext_lazy("last heartbeat"), ordering="heartbeat_at")
    def heartbeat(self, row: IntuneConnection) -> str:
        """Show when Intune last heard of Defender."""
        return labelled(_("Last heartbeat"), show_age(row.heartbeat_at))

    @admin.display(description=gettext_lazy("tasks read"), ordering="tasks_read_at")
    def tasks_read(self, row: IntuneConnection) -> str:
        """Show when security tasks were last read."""
        return labelled(_("Tasks read"), show_age(row.tasks_read_at))

    @admin.display(description=gettext_lazy("devices read whole"))
    def devices_swept(self, row: IntuneConnection) -> str:
        """Show when managed devices were last read from the first to the last."""
        return show_age(row.devices_swept_at)

    @admin.display(description=gettext_lazy("way to the devices of a task"))
    def way_to_devices(self, row: IntuneConnection) -> str:
        """Show which of the undocumented ways worked."""
        return row.device_path or _("None has worked yet; Microsoft documents none.")


_EFFECTS = {
    "is_on": gettext_lazy(
        "On: security tasks and managed devices are read, and a request for remediation can open a ticket in Intune. "
        "Turned off, what waits keeps waiting, and goes on when it is on again."
    ),
    "may_update_tasks": gettext_lazy(
        "People who may handle remediation can then accept, reject and complete this tenant's security tasks from "
        "Quell. It changes what the tenant's IT sees in Intune, and takes a second factor to turn on."
    ),
}
