"""The page of protected devices, and a device's page with its protection."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.devices import DevicePages
from investigations.models import Device
from portal.access.display import badge, labelled, link_to, show_age
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.tenancy.scope import acting_for
from remediation.safeguards import protection
from remediation.safeguards.admin.asking import ask, ask_to_end
from remediation.safeguards.forms import SaidForm
from remediation.safeguards.models import ProtectedDevice

EFFECT = gettext_lazy(
    "Whatever cuts it off, stops or deletes something on it needs two people's approval, also what is approved and not "
    "sent yet. Releasing it does not."
)


class ProtectableDevicePages(DevicePages):
    """Devices, with their protection. The floor above adds what can be asked for and registers them."""

    detail_template = "safeguards/device.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a device is protected."""
        view = self.admin_site.admin_view(self.protect_view)
        return [path("<uuid:object_id>/protect/", view, name="investigations_device_protect"), *super().get_urls()]

    def detail_context(self, request: HttpRequest, row: Device) -> dict[str, Any]:
        """Add the protection, or whether this person may give it."""
        found = protection.find_protection(row.pk)
        may = actor_of(request).may(Capability.MANAGE_APPROVAL_POLICY, row.tenant_id)
        return {
            **super().detail_context(request, row),
            "protection": found,
            "protection_url": _page_of(found.pk) if found else "",
            "protection_badge": badge(_("Protected"), "good"),
            "protect_url": reverse("admin:investigations_device_protect", args=[row.pk]) if may and not found else "",
            "effect": EFFECT,
        }

    def protect_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask why, then protect the device at once."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404
        if not actor_of(request).may(Capability.MANAGE_APPROVAL_POLICY, row.tenant_id):
            raise PermissionDenied
        form = SaidForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return self._protect(request, row, form.cleaned_data["reason"])
        return ask(
            self,
            request,
            title=_("Protect this device?"),
            lines=[f"{row} · {row.tenant}", EFFECT, _("It takes two people to take the protection away.")],
            form=form,
            button=_("Protect"),
            back_url=reverse("admin:investigations_device_change", args=[row.pk]),
        )

    def _protect(self, request: HttpRequest, row: Device, reason: str) -> HttpResponse:
        try:
            with acting_for(row.tenant_id):
                protection.protect(row, actor=actor_of(request), reason=reason)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, _("From now on %(device)s is protected.") % {"device": row}, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:investigations_device_change", args=[row.pk]))


@admin.register(ProtectedDevice)
class ProtectedDeviceAdmin(ReadOnlyAdmin):
    """Protected devices, last protected first. A device is protected on its own page."""

    menu_place = 24
    detail_template = "safeguards/protected_device.html"
    list_display = ("__str__", "tenant", "reason", "protected_by", "since")
    list_filter = (BY_TENANT,)
    list_select_related = ("tenant", "device")
    search_fields = ("device__name", "reason")
    ordering = ("-id",)
    sortable_by = ("since",)
    empty_message = gettext_lazy("No device is protected. Open a device's page to protect it.")

    def get_urls(self) -> list[URLPattern]:
        """Add the page where taking a protection away is asked for."""
        view = self.admin_site.admin_view(self.unprotect_view)
        name = "safeguards_protecteddevice_unprotect"
        return [path("<uuid:object_id>/unprotect/", view, name=name), *super().get_urls()]

    @admin.display(description=gettext_lazy("since"), ordering="id")
    def since(self, row: ProtectedDevice) -> str:
        """Show since when."""
        return labelled(_("Since"), show_age(row.protected_at))

    def sections(self, request: HttpRequest, row: ProtectedDevice) -> Sequence[Section]:
        """Return which device, why and by whom."""
        facts = (
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Device"), link_to("investigations_device", row.device_id, row.device)),
            (gettext_lazy("Reason"), row.reason),
            (gettext_lazy("Protected by"), row.protected_by),
            (gettext_lazy("Protected"), show_age(row.protected_at)),
        )
        return [Section(gettext_lazy("Protection"), facts)]

    def detail_context(self, request: HttpRequest, row: ProtectedDevice) -> dict[str, Any]:
        """Return what it means, whether this person can ask for its end, and the device's history."""
        may = actor_of(request).may(Capability.MANAGE_APPROVAL_POLICY, row.tenant_id)
        return {
            "title": _("%(device)s is protected") % {"device": row.device},
            "effect": EFFECT,
            "unprotect_url": reverse("admin:safeguards_protecteddevice_unprotect", args=[row.pk]) if may else "",
            "events": events_of(row.device_id),
        }

    def unprotect_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask why the protection may go; then a second person has to confirm it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        details = {"device": str(row.device_id)} if row else {}
        title = _("Ask for the protection to be taken away?")
        return ask_to_end(self, request, row, "unprotect_device", details, title=title)


def _page_of(key: UUID) -> str:
    return reverse("admin:safeguards_protecteddevice_change", args=[key])
