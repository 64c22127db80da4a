"""The page of device groups: which devices belong together and how far automation may go on them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from investigations import groups
from investigations.grouping import Rule, RuleOperator, RuleProperty
from investigations.models import Device, DeviceGroup, DeviceGroupRule
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of
from portal.tenancy.scope import acting_for


class RuleInline(admin.TabularInline):
    """A group's rules. Rules on one property are alternatives; rules on different ones must all hold."""

    model = DeviceGroupRule
    fields = ("property", "operator", "value")
    extra = 1
    verbose_name_plural = gettext_lazy("Rules: any of those on the same property, all of those on different ones")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees the group sees its rules."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may change the group is asked of its page."""
        return True

    has_change_permission = has_delete_permission = has_add_permission


class DeviceGroupForm(ModelForm):
    """A group's own fields. A rank in use is no error: `groups` makes room for it."""

    class Meta:
        model = DeviceGroup
        fields = ("tenant", "name", "rank", "automation_level")

    def _get_validation_exclusions(self) -> set[str]:
        # Django has no public way to leave out one constraint, that two groups never have one rank.
        return {*super()._get_validation_exclusions(), "rank"}  # type: ignore[misc]


@admin.register(DeviceGroup)
class DeviceGroupAdmin(ScopedAdmin):
    """Device groups by rank. All changes go through `groups`, which sorts the tenant's devices anew."""

    menu_place = 23
    add_capability = change_capability = delete_capability = Capability.MANAGE_DEVICE_GROUPS
    list_display = ("name", "tenant", "rank_shown", "automation_level", "device_count")
    list_filter = (BY_TENANT, "automation_level")
    list_select_related = ("tenant",)
    search_fields = ("name",)
    form = DeviceGroupForm
    inlines = (RuleInline,)
    fields = ("tenant", "name", "rank", "automation_level")
    empty_message = gettext_lazy("No device groups yet.")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Count each group's devices."""
        devices = Device.objects.filter(group=models.OuterRef("pk")).order_by().values("group")
        count = devices.annotate(count=models.Count("*")).values("count")
        return super().get_queryset(request).annotate(devices_in_it=models.Subquery(count))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A group stays with its tenant; the default one keeps its name and comes last whatever its rank."""
        if obj is None:
            return ()
        return ("tenant", "name", "rank") if obj.is_default else ("tenant",)

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[type[admin.TabularInline], ...]:
        """The default group takes what no other does, so it has no rules."""
        return () if obj is not None and obj.is_default else self.inlines

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The default group stays."""
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_default)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the tenants whose device groups the person manages."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "tenant":
            held = actor_of(request).capabilities
            field.queryset = field.queryset.filter(
                pk__in=[key for key, capabilities in held.items() if Capability.MANAGE_DEVICE_GROUPS in capabilities]
            )
        return field

    def save_model(self, request: HttpRequest, obj: DeviceGroup, form: ModelForm, change: bool) -> None:
        """Write nothing yet: the group and its rules are saved together."""

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Sequence[Any], change: bool) -> None:
        """Save the group with its rules and say how many devices that moved."""
        group: DeviceGroup = form.instance
        with acting_for(group.tenant_id):
            saved, moved = groups.save_group(
                tenant_id=group.tenant_id,
                group_id=group.pk if change else None,
                name=group.name,
                rank=group.rank,
                automation_level=group.automation_level,
                rules=_rules(formsets),
                actor=actor_of(request),
            )
        group.pk = saved.pk
        self._tell_moved(request, moved)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the group alone: its devices are not deleted, they go where they now fit."""
        return [str(group) for group in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: DeviceGroup) -> None:
        """Delete the group; its devices go where they now fit."""
        with acting_for(obj.tenant_id):
            moved = groups.delete_group(obj.pk, actor=actor_of(request))
        self._tell_moved(request, moved)

    def _tell_moved(self, request: HttpRequest, moved: int) -> None:
        words = ngettext("%(count)d device changed its group.", "%(count)d devices changed their group.", moved)
        self.message_user(request, words % {"count": moved}, messages.INFO)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> list[Any]:
        """Say nothing: the audit has it."""
        return []

    @admin.display(description=gettext_lazy("rank"), ordering="rank")
    def rank_shown(self, row: DeviceGroup) -> str:
        """Show the rank; the default group comes after all others."""
        return _("Last (default)") if row.is_default else str(row.rank)

    @admin.display(description=gettext_lazy("devices"))
    def device_count(self, row: Any) -> int:
        """Count its devices."""
        return row.devices_in_it or 0


def _rules(formsets: Sequence[Any]) -> list[Rule]:
    rows = [row for formset in formsets for row in formset.cleaned_data if row and not row.get("DELETE")]
    return [Rule(RuleProperty(row["property"]), RuleOperator(row["operator"]), row["value"]) for row in rows]
