"""The page of managed devices: what Intune manages, and which of Defender's devices each is."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import NOTHING, badge, labelled, link_to, show_age
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, WordFilter
from remediation.vulnerabilities.models import ManagedDevice

COMPLIANCE = {
    "compliant": gettext_lazy("Compliant"),
    "noncompliant": gettext_lazy("Not compliant"),
    "inGracePeriod": gettext_lazy("In its grace period"),
    "conflict": gettext_lazy("Conflict"),
    "error": gettext_lazy("Error"),
    "configManager": gettext_lazy("Managed by Configuration Manager"),
    "unknown": gettext_lazy("Unknown"),
}
"""Microsoft's words for compliance, as people read them."""
TONES = {"compliant": "good", "noncompliant": "bad", "inGracePeriod": "waiting"}


class ComplianceFilter(WordFilter):
    """By Microsoft's word for compliance."""

    title = gettext_lazy("compliance")
    parameter_name = "compliance_state"
    words = list(COMPLIANCE.items())


@admin.register(ManagedDevice)
class ManagedDeviceAdmin(ReadOnlyAdmin):
    """Managed devices as the last whole reading found them, removed ones too."""

    menu_place = 18
    list_display = ("name_or_id", "tenant", "in_defender", "compliance", "operating_system", "synced", "presence")
    list_filter = (
        BY_TENANT, ("device", admin.EmptyFieldListFilter), ComplianceFilter,
        ("removed_at", admin.EmptyFieldListFilter),
    )  # fmt: skip
    list_select_related = ("tenant", "device")
    search_fields = ("name", "entra_device_id", "serial_number")
    ordering = ("-id",)
    sortable_by = ()
    empty_message = gettext_lazy("No managed devices were read, or no tenant's Intune is connected.")

    @admin.display(description=gettext_lazy("device in Intune"))
    def name_or_id(self, row: ManagedDevice) -> str:
        """Name the device."""
        return str(row)

    @admin.display(description=gettext_lazy("device in Defender"))
    def in_defender(self, row: ManagedDevice) -> str:
        """Link to the same device in Defender."""
        return labelled(_("In Defender"), link_to("investigations_device", row.device_id, row.device))

    @admin.display(description=gettext_lazy("compliance"))
    def compliance(self, row: ManagedDevice) -> str:
        """Show Microsoft's word for whether it complies."""
        if not row.compliance_state:
            return NOTHING
        words = COMPLIANCE.get(row.compliance_state, row.compliance_state)
        return badge(words, TONES.get(row.compliance_state, "neutral"))

    @admin.display(description=gettext_lazy("last synced"))
    def synced(self, row: ManagedDevice) -> str:
        """Show when it last reported to Intune."""
        return labelled(_("Last synced"), show_age(row.last_sync_at))

    @admin.display(description=gettext_lazy("in Intune"))
    def presence(self, row: ManagedDevice) -> str:
        """Say whether Intune still lists it."""
        return badge(_("Removed")) if row.removed_at else badge(_("Listed"), "good")

    def sections(self, request: HttpRequest, row: ManagedDevice) -> Sequence[Section]:
        """Return what Intune says of it."""
        facts = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Device in Defender"), link_to("investigations_device", row.device_id, row.device)),
            (gettext_lazy("Entra device id"), row.entra_device_id or NOTHING),
            (gettext_lazy("Intune device id"), row.intune_id),
            (gettext_lazy("Operating system"), f"{row.operating_system} {row.os_version}".strip() or NOTHING),
            (gettext_lazy("Compliance"), self.compliance(row)),
            (gettext_lazy("Managed by"), row.management_agent or NOTHING),
            (gettext_lazy("Owner"), row.owner_type or NOTHING),
            (gettext_lazy("User"), row.user_principal_name or NOTHING),
            (gettext_lazy("Serial number"), row.serial_number or NOTHING),
            (gettext_lazy("Category"), row.category or NOTHING),
            (gettext_lazy("Last synced with Intune"), show_age(row.last_sync_at)),
            (gettext_lazy("No longer in Intune since"), show_age(row.removed_at)),
        ]
        return [Section(gettext_lazy("What Intune says"), facts)]
