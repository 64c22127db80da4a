"""/device-groups/: which devices belong together, and how far automation may go on them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from investigations import groups
from investigations.grouping import Rule, RuleOperator, RuleProperty
from investigations.models import DeviceGroup, DeviceGroupRule
from investigations.states import AutomationLevel
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant

_FIELDS: tuple[str, ...] = ("id", "tenant", "name", "rank", "automation_level", "is_default", "rules")


class RuleSerializer(serializers.ModelSerializer):
    """One rule. Rules about one property are alternatives, rules about different ones must all hold."""

    class Meta:
        model = DeviceGroupRule
        fields = ("property", "operator", "value")
        read_only_fields = fields


class DeviceGroupSerializer(serializers.ModelSerializer):
    """A device group. A device joins the first group by `rank` whose rules it meets, else the default one."""

    rules = RuleSerializer(many=True, read_only=True)

    class Meta:
        model = DeviceGroup
        fields = _FIELDS
        read_only_fields = fields


class NewRuleSerializer(serializers.Serializer):
    """A rule to be."""

    property = serializers.ChoiceField(RuleProperty.choices)
    operator = serializers.ChoiceField(RuleOperator.choices)
    value = serializers.CharField(max_length=200)


class ChangeDeviceGroupSerializer(serializers.Serializer):
    """What to change on a group; `rules` replaces all of them. Of the default group, the automation level alone."""

    name = serializers.CharField(max_length=200)
    rank = serializers.IntegerField(min_value=1, help_text="1 is highest; a group that has the rank moves one down.")
    automation_level = serializers.ChoiceField(AutomationLevel.choices)
    rules = serializers.ListField(child=NewRuleSerializer(), max_length=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse, of the default group, what it keeps whatever is asked."""
        if self.instance is not None and self.instance.is_default:
            kept = [_("The default group comes last, keeps its name and has no rules.")]
            if wrong := {name: kept for name in attrs if name != "automation_level"}:
                raise serializers.ValidationError(wrong)
        return attrs


class NewDeviceGroupSerializer(ChangeDeviceGroupSerializer):
    """A group to be."""

    tenant = RowField(queryset=Tenant.objects.all())


class SavedDeviceGroupSerializer(DeviceGroupSerializer):
    """A group as it was saved."""

    devices_moved = serializers.IntegerField(read_only=True, help_text="How many devices changed their group with it.")

    class Meta(DeviceGroupSerializer.Meta):
        fields = (*_FIELDS, "devices_moved")
        read_only_fields = fields


class DeviceGroupFilterSet(TenantFilterSet):
    """By tenant."""

    class Meta:
        model = DeviceGroup
        fields = ("tenant",)


@extend_schema_view(
    list=extend_schema(description="Device groups of all tenants you may see, with their rules."),
    retrieve=extend_schema(description="One device group."),
)
class DeviceGroupViewSet(ReadingViewSet):
    """Device groups; changing them needs the permission to manage device groups of that tenant."""

    queryset = DeviceGroup.objects.prefetch_related("rules")
    serializer_class = DeviceGroupSerializer
    filterset_class = DeviceGroupFilterSet

    @extend_schema(request=NewDeviceGroupSerializer, responses={201: SavedDeviceGroupSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Create a device group; every device of the tenant goes where it now fits."""
        body = NewDeviceGroupSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        return self._save(wanted.pop("tenant").pk, None, wanted, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeDeviceGroupSerializer, responses=SavedDeviceGroupSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a device group; what is left out stays. Every device of the tenant goes where it now fits."""
        group: DeviceGroup = self.get_object()
        body = ChangeDeviceGroupSerializer(group, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        standing = {
            "name": group.name,
            "rank": group.rank,
            "automation_level": group.automation_level,
            "rules": RuleSerializer(group.rules.all(), many=True).data,
        }
        return self._save(group.tenant_id, group.pk, standing | body.validated_data, status.HTTP_200_OK)

    @extend_schema(responses={204: OpenApiResponse(description="It is deleted.")})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a device group; its devices go where they now fit. The default group stays."""
        groups.delete_group(self.get_object().pk, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _save(self, tenant_id: UUID, group_id: UUID | None, wanted: Mapping[str, Any], code: int) -> Response:
        saved, moved = groups.save_group(
            tenant_id=tenant_id,
            group_id=group_id,
            name=wanted["name"],
            rank=wanted["rank"],
            automation_level=wanted["automation_level"],
            rules=_as_rules(wanted["rules"]),
            actor=self.actor,
        )
        group = self.get_queryset().get(pk=saved.pk)
        group.devices_moved = moved
        return Response(SavedDeviceGroupSerializer(group).data, status=code)


def _as_rules(rows: Sequence[Mapping[str, str]]) -> list[Rule]:
    return [Rule(RuleProperty(row["property"]), RuleOperator(row["operator"]), row["value"]) for row in rows]
