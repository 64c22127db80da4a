"""The pages of devices."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.showing import MOST_ROWS, link_to_investigation, show_state
from investigations.models import Device, Investigation
from portal.access.display import NOTHING, labelled, link_to, show_age, show_time
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, WordFilter


class RiskFilter(WordFilter):
    """Devices by risk."""

    title = gettext_lazy("risk")
    parameter_name = "risk_score"
    words = (("High", gettext_lazy("High")), ("Medium", gettext_lazy("Medium")), ("Low", gettext_lazy("Low")))


class DevicePages(ReadOnlyAdmin):
    """Devices, as Defender last told. The floor above registers them, with their protection."""

    menu_place = 22
    detail_template = "investigations/device.html"
    list_display = ("__str__", "tenant", "group", "os_platform", "health_status", "risk_score", "last_seen")
    list_filter = (BY_TENANT, RiskFilter)
    list_select_related = ("tenant", "group")
    search_fields = ("name", "machine_id")
    ordering = ("-id",)
    empty_message = gettext_lazy("No devices yet. They come with the first sync of the tenant's connection.")

    @admin.display(description=gettext_lazy("last seen"), ordering="last_seen_at")
    def last_seen(self, row: Device) -> str:
        """Show when Defender last saw it."""
        return labelled(_("Last seen"), show_age(row.last_seen_at))

    def sections(self, request: HttpRequest, row: Device) -> Sequence[Section]:
        """Return what is known of the device."""
        return [
            Section(
                gettext_lazy("Device"),
                (
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("Device group"), link_to("investigations_devicegroup", row.group_id, row.group)),
                    (gettext_lazy("Automation level"), row.group.get_automation_level_display()),
                    (gettext_lazy("Domain"), row.domain or NOTHING),
                    (gettext_lazy("Operating system"), f"{row.os_platform} {row.os_version}".strip() or NOTHING),
                    (gettext_lazy("Health"), row.health_status or NOTHING),
                    (gettext_lazy("Risk"), row.risk_score or NOTHING),
                    (gettext_lazy("Tags"), ", ".join(row.tags) or NOTHING),
                    (gettext_lazy("Last IP address"), row.last_ip or NOTHING),
                    (gettext_lazy("First seen"), show_time(row.first_seen_at)),
                    (gettext_lazy("Last seen"), show_age(row.last_seen_at)),
                    (gettext_lazy("Defender device id"), row.machine_id),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Device) -> dict[str, Any]:
        """Return the investigations that reach the device, newest first."""
        found = Investigation.objects.filter(reached__device=row).order_by("-id")[:MOST_ROWS]
        return {"investigations": [(link_to_investigation(item), show_state(item.state), item) for item in found]}
