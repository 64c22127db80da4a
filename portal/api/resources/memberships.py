"""/members/ and /provider-memberships/: roles given and taken, in tenants and among the provider's staff."""

from django_filters.rest_framework import CharFilter, ChoiceFilter, FilterSet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import memberships
from portal.access.models import ProviderMembership, Reach, TenantMembership
from portal.access.roles import Role
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.resources.managing import MembersViewSet, ProviderViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup

TENANT_ROLES = [(role.value, role.label) for role in memberships.TENANT_ROLES]


class MemberSerializer(serializers.ModelSerializer):
    """A role of somebody in a tenant. The e-mail is all that is told of the account."""

    email = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = TenantMembership
        fields = ("id", "tenant", "email", "role")
        read_only_fields = fields


class NewMemberSerializer(serializers.Serializer):
    """A role to be given. It may be given to an e-mail without an account: the person is then invited."""

    tenant = RowField(queryset=Tenant.objects.exclude(pk=PROVIDER_TENANT_ID))
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(TENANT_ROLES)


class MemberFilterSet(TenantFilterSet):
    """By tenant, e-mail and role."""

    email = CharFilter(field_name="user__email", lookup_expr="iexact", label="The roles of this person.")
    role = ChoiceFilter(choices=TENANT_ROLES, label="Those with this role.")

    class Meta:
        model = TenantMembership
        fields = ("tenant", "email", "role")


@extend_schema_view(
    list=extend_schema(description="The roles given in the tenants whose members you manage."),
    retrieve=extend_schema(description="One role of one person."),
)
class MemberViewSet(MembersViewSet):
    """Roles in tenants: given and taken back, never edited. Several of one person add up."""

    queryset = TenantMembership.objects.select_related("user")
    serializer_class = MemberSerializer
    filterset_class = MemberFilterSet

    @extend_schema(request=NewMemberSerializer, responses={201: MemberSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Give somebody a role in a tenant, whether or not they have an account yet; the answer is the same."""
        body = NewMemberSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        given = memberships.give_role(
            tenant_id=wanted["tenant"].pk, email=wanted["email"], role=Role(wanted["role"]), actor=self.actor
        )
        return Response(MemberSerializer(given).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: OpenApiResponse(description="It is taken back.")})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take a role back; from the person's next request on they have it no longer."""
        memberships.take_role(self.get_object().pk, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProviderMembershipSerializer(serializers.ModelSerializer):
    """A role of provider staff, over one tenant group or all tenants."""

    email = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = ProviderMembership
        fields = ("id", "user", "email", "role", "reach", "group")
        read_only_fields = fields


class NewProviderMembershipSerializer(serializers.Serializer):
    """A role to be given to somebody who has an account. `group` goes with the reach `group` alone."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(Role.choices)
    reach = serializers.ChoiceField(Reach.choices)
    group = RowField(queryset=TenantGroup.objects.all(), required=False, allow_null=True, default=None)


class ProviderMembershipFilterSet(FilterSet):
    """By e-mail, role and reach."""

    email = CharFilter(field_name="user__email", lookup_expr="iexact", label="The roles of this person.")

    class Meta:
        model = ProviderMembership
        fields = ("email", "role", "reach")


@extend_schema_view(
    list=extend_schema(description="The roles of provider staff; empty unless you administer the provider."),
    retrieve=extend_schema(description="One role of one person."),
)
class ProviderMembershipViewSet(ProviderViewSet):
    """Roles of provider staff: given and taken back, never edited."""

    queryset = ProviderMembership.objects.select_related("user")
    serializer_class = ProviderMembershipSerializer
    filterset_class = ProviderMembershipFilterSet

    @extend_schema(request=NewProviderMembershipSerializer, responses={201: ProviderMembershipSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Give somebody a role over a tenant group or over all tenants."""
        body = NewProviderMembershipSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        given = memberships.give_provider_role(
            email=wanted["email"],
            role=Role(wanted["role"]),
            reach=Reach(wanted["reach"]),
            group=wanted["group"],
            actor=self.actor,
        )
        return Response(ProviderMembershipSerializer(given).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: OpenApiResponse(description="It is taken back.")})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take a role back. The last provider admin stays one."""
        memberships.take_provider_role(self.get_object().pk, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
