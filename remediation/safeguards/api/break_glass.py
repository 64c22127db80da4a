"""/break-glass/: emergencies in which one person's own approval is enough, and their reviews."""

from typing import Any
from uuid import UUID

from django_filters.rest_framework import BooleanFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import PersonSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from remediation.safeguards import break_glass
from remediation.safeguards.models import BreakGlass


class BreakGlassSerializer(serializers.ModelSerializer):
    """A use of break glass. It is open until `ends_at`, and its review is due by `review_before`."""

    user = PersonSerializer(read_only=True)
    reviewed_by = PersonSerializer(read_only=True, allow_null=True)
    approved_actions = serializers.SerializerMethodField(help_text="The actions that were approved in it, by id.")

    class Meta:
        model = BreakGlass
        fields = (
            "id",
            "tenant",
            "user",
            "reason",
            "opened_at",
            "ends_at",
            "alarmed_at",
            "review_before",
            "reviewed_by",
            "reviewed_at",
            "review",
            "approved_actions",
        )
        read_only_fields = fields

    def get_approved_actions(self, use: BreakGlass) -> list[UUID]:
        """Return the ids of the actions that were approved in it."""
        return sorted(decision.action_id for decision in use.decisions.all())


class OpenBreakGlassSerializer(serializers.Serializer):
    """An emergency."""

    tenant = RowField(queryset=Tenant.objects.all())
    reason = serializers.CharField(max_length=1000, help_text="What the emergency is, in 15 characters or more.")


class ReviewBreakGlassSerializer(serializers.Serializer):
    """What a review found."""

    review = serializers.CharField(max_length=2000, help_text="What you found; it goes on record.")


class BreakGlassFilterSet(TenantFilterSet):
    """By tenant, and by whether it waits for its review."""

    unreviewed = BooleanFilter(field_name="reviewed_at", lookup_expr="isnull", label="Whether its review is not done.")

    class Meta:
        model = BreakGlass
        fields = ("tenant", "unreviewed")


@extend_schema_view(
    list=extend_schema(description="Break-glass uses, newest first."),
    retrieve=extend_schema(description="One break-glass use."),
)
class BreakGlassViewSet(ReadingViewSet):
    """Open one, and review somebody else's. Actions are approved in it by POST /actions/ID/break-glass/."""

    queryset = BreakGlass.objects.select_related("user", "reviewed_by").prefetch_related("decisions")
    serializer_class = BreakGlassSerializer
    filterset_class = BreakGlassFilterSet

    @extend_schema(request=OpenBreakGlassSerializer, responses={201: BreakGlassSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Open break glass for yourself in one tenant; everybody who decides there is told at once."""
        body = OpenBreakGlassSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        use = break_glass.open_break_glass(asked["tenant"].pk, actor=self.actor, reason=asked["reason"])
        return self._answer(use, status=201)

    @extend_schema(request=ReviewBreakGlassSerializer, responses=BreakGlassSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def review(self, request: Request, pk: str) -> Response:
        """Close the review of somebody else's use; one that is still open ends with it."""
        found = self.get_object()
        body = ReviewBreakGlassSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self._answer(
            break_glass.review_break_glass(found.pk, actor=self.actor, words=body.validated_data["review"])
        )

    def _answer(self, use: BreakGlass, status: int = 200) -> Response:
        shown: Any = BreakGlassSerializer(self.get_queryset().get(pk=use.pk))
        return Response(shown.data, status=status)
