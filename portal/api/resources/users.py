"""/users/: all people's accounts, for provider admins over all tenants."""

from django_filters.rest_framework import BooleanFilter, CharFilter, FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import people
from portal.access.models import User
from portal.api.idempotency import replayable
from portal.api.resources.managing import ProviderViewSet


class UserSerializer(serializers.ModelSerializer):
    """A person's account."""

    class Meta:
        model = User
        fields = ("id", "email", "name", "is_active", "last_login", "created_at")
        read_only_fields = fields


class NewUserSerializer(serializers.Serializer):
    """An account to be."""

    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class ChangeUserSerializer(serializers.Serializer):
    """What can be changed about an account."""

    name = serializers.CharField(max_length=200, allow_blank=True)


class UserFilterSet(FilterSet):
    """By e-mail, and whether they are switched on."""

    email = CharFilter(lookup_expr="iexact", label="The account with this e-mail.")
    is_active = BooleanFilter(label="Those that are switched on, or off.")

    class Meta:
        model = User
        fields = ("email", "is_active")


@extend_schema_view(
    list=extend_schema(description="All people's accounts; empty unless you administer the provider."),
    retrieve=extend_schema(description="One account."),
)
class UserViewSet(ProviderViewSet):
    """Accounts of people. They are switched off, never deleted."""

    queryset = User.objects.filter(is_service_account=False)
    serializer_class = UserSerializer
    filterset_class = UserFilterSet

    @extend_schema(request=NewUserSerializer, responses={201: UserSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Make an account without any role; an e-mail tells the person how to set their password."""
        body = NewUserSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = people.create_person(**body.validated_data, actor=self.actor)
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ChangeUserSerializer, responses=UserSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what an account is called."""
        body = ChangeUserSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = people.rename_person(self.get_object().pk, **body.validated_data, actor=self.actor)
        return Response(UserSerializer(user).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def deactivate(self, request: Request, pk: str) -> Response:
        """Switch an account off: the next request is turned away, approvals given no longer count."""
        return Response(UserSerializer(people.deactivate_person(self.get_object().pk, actor=self.actor)).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reactivate(self, request: Request, pk: str) -> Response:
        """Switch an account on again, with the roles it has."""
        return Response(UserSerializer(people.reactivate_person(self.get_object().pk, actor=self.actor)).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def invite(self, request: Request, pk: str) -> Response:
        """Send somebody who cannot sign in yet a new link to set their password."""
        return Response(UserSerializer(people.invite_again(self.get_object().pk, actor=self.actor)).data)
