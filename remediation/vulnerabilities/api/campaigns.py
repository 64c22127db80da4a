"""/remediation-campaigns/: one request over many tenants, and what has come of it in all of them."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access.exceptions import Forbidden
from portal.access.roles import Capability
from portal.api.errors import UnusableBody
from portal.api.fields import rows_in_scope
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.paging import KeysetPagination
from portal.api.viewsets import ScopedViewSet
from portal.tenancy.scope import has_scope
from remediation.vulnerabilities.activities.reading import activities_for_lists, campaigns
from remediation.vulnerabilities.activities.requesting import MOST_TENANTS, TenantAnswer, request_campaign
from remediation.vulnerabilities.api.activities import ActivitySerializer, RequestSerializer
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption

OUTCOMES: Final = [("requested", "Requested"), ("refused", "Refused"), ("not_found", "Not found")]


class CampaignSerializer(serializers.Serializer):
    """One request over several tenants, added up over those you may see; devices where progress is measured."""

    campaign = serializers.UUIDField()
    title = serializers.CharField()
    related_component = serializers.CharField()
    option = serializers.ChoiceField(RemediationOption.choices)
    mitigation = serializers.ChoiceField(Mitigation.choices)
    priority = serializers.ChoiceField(Priority.choices)
    due_on = serializers.DateField(allow_null=True)
    requested_by = serializers.CharField(source="requested_by_label")
    requested_at = serializers.DateTimeField()
    tenants = serializers.IntegerField(help_text="How many tenants have an activity of it.")
    active = serializers.IntegerField()
    overdue = serializers.IntegerField()
    completed = serializers.IntegerField()
    devices_at_start = serializers.IntegerField()
    devices_fixed = serializers.IntegerField()
    devices_exposed = serializers.IntegerField()
    devices_gone = serializers.IntegerField()


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with its activity in each tenant."""

    activities = ActivitySerializer(many=True)


class RequestCampaignSerializer(RequestSerializer):
    """A request in many tenants, by the recommendation's id at Microsoft, which is the same in all of them."""

    recommendation_id = serializers.CharField(max_length=500, help_text="Microsoft's, such as `va-_-7-zip-_-7-zip`.")
    tenants = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_TENANTS)


class CampaignAnswerSerializer(serializers.Serializer):
    """What became of the request in one tenant: its activity, or why there is none."""

    tenant = serializers.UUIDField()
    outcome = serializers.ChoiceField(OUTCOMES)
    activity = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was refused.")


class CampaignAnswersSerializer(serializers.Serializer):
    """What became of the request in each tenant."""

    campaign = serializers.UUIDField()
    results = CampaignAnswerSerializer(many=True)


class CampaignPagination(KeysetPagination):
    """Newest first: a campaign's id grows with time."""

    ordering = "-campaign"


class CampaignFilterSet(TenantFilterSet):
    """By tenant: then the figures are that tenant's alone."""

    class Meta:
        model = RemediationActivity
        fields = ("tenant",)


@extend_schema_view(
    list=extend_schema(description="Requests over several tenants, newest first, added up over those you may see.")
)
class CampaignViewSet(ListModelMixin, ScopedViewSet):
    """Ask for the same remediation in many tenants at once, and follow it in all of them."""

    queryset = RemediationActivity.objects.all()
    serializer_class = CampaignSerializer
    filterset_class = CampaignFilterSet
    pagination_class = CampaignPagination
    lookup_field = "campaign"

    def get_queryset(self) -> QuerySet[Any, Any]:
        """Return the campaigns in scope."""
        return campaigns() if has_scope() else RemediationActivity.objects.none()

    @extend_schema(responses=CampaignDetailSerializer)
    def retrieve(self, request: Request, campaign: UUID) -> Response:
        """One campaign, with its activity in each tenant you may see."""
        totals = self.get_object()
        rows = rows_in_scope(activities_for_lists().filter(campaign=campaign)).order_by("tenant__name")
        return Response(CampaignDetailSerializer({**totals, "activities": rows}).data)

    @extend_schema(request=RequestCampaignSerializer, responses={201: CampaignAnswersSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Ask for remediation in each of these tenants. What stands against one is told for it; the others go on.

        400 with a reason for each tenant where it can be done in none of them.
        """
        body = RequestCampaignSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        if not self.actor.may_anywhere(Capability.HANDLE_REMEDIATION):
            raise Forbidden(_("You may not request remediation in any tenant."))
        answers = request_campaign(values["recommendation_id"], values["tenants"], body.asked(), actor=self.actor)
        made = [answer.activity for answer in answers if answer.activity is not None]
        if not made:
            raise UnusableBody(
                _("It was requested in none of these tenants; errors says why for each."),
                [_error(answer) for answer in answers],
            )
        told = {"campaign": made[0].campaign, "results": [_told(answer) for answer in answers]}
        return Response(CampaignAnswersSerializer(told).data, status=status.HTTP_201_CREATED)


def _told(answer: TenantAnswer) -> dict[str, Any]:
    refused = "refused" if answer.is_found else "not_found"
    return {
        "tenant": answer.tenant_id,
        "outcome": "requested" if answer.activity else refused,
        "activity": answer.activity.pk if answer.activity else None,
        "reason": answer.reason,
    }


def _error(answer: TenantAnswer) -> dict[str, str]:
    return {"field": f"tenants.{answer.tenant_id}", "message": answer.reason}
