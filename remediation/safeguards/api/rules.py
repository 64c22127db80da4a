"""/approval-rules/: how many people must approve each type of action, tenant by tenant."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from remediation.safeguards.rules import rules_of


class ApprovalRuleSerializer(serializers.Serializer):
    """One type of action. 0 `approvers`: an approver's own request is enough, and no rule changes that."""

    action_type = serializers.CharField(source="kind.name")
    type_label = serializers.CharField(source="kind.label")
    approvers = serializers.IntegerField()
    is_default = serializers.BooleanField(help_text="Whether the tenant has left it as it comes.")


class ApprovalRulesSerializer(serializers.ModelSerializer):
    """A tenant's rules, one for every type of action."""

    tenant = serializers.UUIDField(source="pk", read_only=True)
    tenant_name = serializers.CharField(source="name", read_only=True)
    rules = ApprovalRuleSerializer(many=True, read_only=True)

    class Meta:
        model = Tenant
        fields = ("tenant", "tenant_name", "rules")
        read_only_fields = fields


class ApprovalRuleFilterSet(FilterSet):
    """By tenant."""

    tenant = UUIDFilter(field_name="pk", label="The rules of one tenant, by its id.")

    class Meta:
        model = Tenant
        fields = ("tenant",)


@extend_schema_view(
    list=extend_schema(description="The approval rules of the tenants you may see, a tenant a row."),
    retrieve=extend_schema(description="One tenant's approval rules, by the tenant's id."),
)
class ApprovalRuleViewSet(ReadingViewSet):
    """Approval rules. One changes by POST /guarded-changes/ and a second person."""

    queryset = Tenant.objects.filter(is_active=True).exclude(pk=PROVIDER_TENANT_ID)
    serializer_class = ApprovalRulesSerializer
    filterset_class = ApprovalRuleFilterSet

    def paginate_queryset(self, queryset: QuerySet[Any] | Sequence[Any]) -> list[Any] | None:
        """Return one page of tenants with their rules, read for all of them at once."""
        page = super().paginate_queryset(queryset)
        return None if page is None else _with_rules(page)

    def get_object(self) -> Any:
        """Return one tenant with its rules."""
        return _with_rules([super().get_object()])[0]


def _with_rules(tenants: list[Any]) -> list[Any]:
    found = rules_of([tenant.pk for tenant in tenants]) if tenants else {}  # nobody's list has no scope to ask in
    for tenant in tenants:
        tenant.rules = found[tenant.pk]
    return tenants
