"""The pages of investigations, without their actions, which are the floor above's."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.showing import MOST_ROWS, evidence_rows, show_state
from investigations.models import Investigation
from investigations.states import OPEN_STATES
from portal.access.admin_site import Card
from portal.access.display import labelled, link_to, show_age, show_time
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section


class InvestigationPages(ReadOnlyAdmin):
    """Investigations with their alerts, devices and evidence. The floor above adds their actions and registers it."""

    menu_place = 20
    detail_template = "investigations/investigation.html"
    list_display = ("title", "state_badge", "tenant", "device", "started", "ended")
    list_filter = (BY_TENANT, "state")
    list_select_related = ("tenant", "device")
    search_fields = ("title", "device__name")
    ordering = ("-id",)
    empty_message = gettext_lazy("No investigations yet. Each alert that comes in starts one or joins one.")

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the open ones."""
        yield Card(
            label=gettext_lazy("Open investigations"),
            count=self.get_queryset(request).filter(state__in=OPEN_STATES).count(),
            url="admin:investigations_investigation_changelist",
            hint=gettext_lazy("They end when every piece of evidence has a verdict and every action is decided."),
        )

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: Investigation) -> str:
        """Show how far it is."""
        return show_state(row.state)

    @admin.display(description=gettext_lazy("started"), ordering="id")
    def started(self, row: Investigation) -> str:
        """Show when it started."""
        return labelled(_("Started"), show_age(row.started_at))

    @admin.display(description=gettext_lazy("ended"), ordering="ended_at")
    def ended(self, row: Investigation) -> str:
        """Show when it ended."""
        return labelled(_("Ended"), show_time(row.ended_at))

    def sections(self, request: HttpRequest, row: Investigation) -> Sequence[Section]:
        """Return where the investigation stands."""
        return [
            Section(
                gettext_lazy("Investigation"),
                (
                    (gettext_lazy("State"), show_state(row.state)),
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("First device"), link_to("investigations_device", row.device_id, row.device)),
                    (gettext_lazy("Started by"), row.started_by or _("Automation")),
                    (gettext_lazy("Started"), show_age(row.started_at)),
                    (gettext_lazy("Last changed"), show_age(row.changed_at)),
                    (gettext_lazy("Ended"), show_time(row.ended_at)),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Investigation) -> dict[str, Any]:
        """Return alerts, devices and evidence."""
        alerts = row.alerts.defer("raw").order_by("-id")[:MOST_ROWS]
        reached = row.reached.select_related("device__group").order_by("id")[:MOST_ROWS]
        return {
            "alerts": [(link_to("investigations_alert", alert.pk, alert.title), alert) for alert in alerts],
            "reached": [(link_to("investigations_device", item.device_id, item.device), item) for item in reached],
            "evidence": evidence_rows(row.evidence.all()),
        }
