"""/legal-holds/: what must not leave. One person places a hold, two lift it."""

from typing import Any

from django.utils.translation import gettext as _
from django_filters.rest_framework import BooleanFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from investigations.models import Investigation
from portal.api.fields import ExactSerializer, PersonSerializer, ReasonSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from remediation.actions.models import RemediationAction
from remediation.retention.holds import keep_hold, lift_hold, place_hold
from remediation.retention.models import LegalHold
from remediation.vulnerabilities.models import RemediationActivity


class LegalHoldSerializer(serializers.ModelSerializer):
    """A legal hold. Once somebody asked for it to be lifted, `lift_asked_by` says who; it holds until another does."""

    in_force = serializers.SerializerMethodField(help_text="Whether nobody has lifted it.")
    placed_by = PersonSerializer(read_only=True)
    lift_asked_by = PersonSerializer(read_only=True, allow_null=True)
    lifted_by = PersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = LegalHold
        fields = (
            "id",
            "tenant",
            "covers",
            "object_id",
            "target",
            "reason",
            "placed_by",
            "placed_at",
            "in_force",
            "lift_asked_by",
            "lift_asked_at",
            "lift_reason",
            "lifted_by",
            "lifted_at",
        )
        read_only_fields = fields

    def get_in_force(self, hold: LegalHold) -> bool:
        """Return whether nobody has lifted it."""
        return hold.lifted_at is None


class PlaceHoldSerializer(ExactSerializer):
    """A hold to be: over a whole tenant, or one activity, one action, or one investigation. Name one of the four."""

    tenant = RowField(queryset=Tenant.objects.all(), required=False)
    activity = RowField(queryset=RemediationActivity.objects.all(), required=False)
    action = RowField(queryset=RemediationAction.objects.all(), required=False)
    investigation = RowField(queryset=Investigation.objects.all(), required=False)
    reason = serializers.CharField(max_length=1000, help_text="Why; it goes on record.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what names none of the four, or more than one."""
        named = [covers for covers in LegalHold.Covers if covers in attrs]
        if len(named) != 1:
            raise serializers.ValidationError(
                {"tenant": [_("Name one: a tenant, an activity, an action or an investigation.")]}
            )
        return {**attrs, "covers": named[0]}


class LegalHoldFilterSet(TenantFilterSet):
    """By tenant, what it covers and whether it is in force."""

    in_force = BooleanFilter(field_name="lifted_at", lookup_expr="isnull", label="Whether nobody has lifted it.")

    class Meta:
        model = LegalHold
        fields = ("tenant", "covers", "in_force")


@extend_schema_view(
    list=extend_schema(description="Legal holds of the tenants you may see, in force and lifted, newest first."),
    retrieve=extend_schema(description="One legal hold."),
)
class LegalHoldViewSet(ReadingViewSet):
    """Legal holds; API keys can neither place nor lift one."""

    queryset = LegalHold.objects.select_related("placed_by", "lift_asked_by", "lifted_by")
    serializer_class = LegalHoldSerializer
    filterset_class = LegalHoldFilterSet

    @extend_schema(request=PlaceHoldSerializer, responses={201: LegalHoldSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Keep what it covers from this answer on, whatever the rules say."""
        body = PlaceHoldSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        covers, row = asked["covers"], asked[asked["covers"]]
        is_whole = covers == LegalHold.Covers.TENANT
        hold = place_hold(
            row.pk if is_whole else row.tenant_id,
            actor=self.actor,
            reason=asked["reason"],
            covers=covers,
            object_id=None if is_whole else row.pk,
        )
        return self._answer(hold, status=201)

    @extend_schema(request=ReasonSerializer, responses=LegalHoldSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def lift(self, request: Request, pk: str) -> Response:
        """Ask for it to be lifted; asked for by somebody else already, lift it."""
        return self._answer(lift_hold(self.get_object().pk, actor=self.actor, reason=self._reason()))

    @extend_schema(request=ReasonSerializer, responses=LegalHoldSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def keep(self, request: Request, pk: str) -> Response:
        """Turn down that it be lifted, or take back that you asked."""
        return self._answer(keep_hold(self.get_object().pk, actor=self.actor, reason=self._reason()))

    def _reason(self) -> str:
        body = ReasonSerializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return str(body.validated_data["reason"])

    def _answer(self, hold: LegalHold, status: int = 200) -> Response:
        shown: Any = LegalHoldSerializer(self.get_queryset().get(pk=hold.pk))
        return Response(shown.data, status=status)
