"""/recommendations/: what is weak at all tenants, which devices are exposed, and which customers a CVE concerns."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import BooleanFilter, CharFilter, MultipleChoiceFilter, NumberFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access.exceptions import BadRequest
from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.scope import has_scope
from remediation.vulnerabilities.activities.requesting import offer_for
from remediation.vulnerabilities.models import Exposure, ExposureDay, Recommendation
from remediation.vulnerabilities.recommendations.customers import about, cve_trouble, exposed_customers, never_read
from remediation.vulnerabilities.recommendations.searching import search
from remediation.vulnerabilities.states import Mitigation, RecommendationStatus, RemediationOption

DAYS_SHOWN = 366

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "tenant_name",
    "recommendation_id",
    "name",
    "product_name",
    "vendor",
    "related_component",
    "recommended_version",
    "recommended_vendor",
    "recommended_program",
    "category",
    "sub_category",
    "remediation_type",
    "status",
    "status_at_source",
    "weaknesses",
    "severity_score",
    "exposure_impact",
    "config_score_impact",
    "has_public_exploit",
    "has_active_alert",
    "associated_threats",
    "tags",
    "total_count",
    "exposed_count",
    "exposed_critical_count",
    "no_user_impact_count",
    "exposed_after_exceptions",
    "cve_ids",
    "is_known_exploited",
    "is_used_by_ransomware",
    "known_exploited_due_on",
    "first_seen_at",
    "seen_at",
    "changed_at",
    "disappeared_at",
    "exposures_read_at",
    "cves_read_at",
)


class RecommendationSerializer(serializers.ModelSerializer):
    """A security recommendation. `recommendation_id`, the same at every tenant, and the counts are Microsoft's."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)

    class Meta:
        model = Recommendation
        fields = _FIELDS
        read_only_fields = fields


class ExposedDeviceSerializer(serializers.ModelSerializer):
    """A device that is exposed to the recommendation, and since when Quell knows it."""

    machine_id = serializers.CharField(source="device.machine_id", read_only=True)
    name = serializers.CharField(source="device.name", read_only=True)
    os_platform = serializers.CharField(source="device.os_platform", read_only=True)
    group = serializers.UUIDField(source="device.group_id", read_only=True)
    group_name = serializers.CharField(source="device.group.name", read_only=True)
    last_seen_at = serializers.DateTimeField(source="device.last_seen_at", read_only=True, allow_null=True)

    class Meta:
        model = Exposure
        fields = ("device", "machine_id", "name", "os_platform", "group", "group_name", "last_seen_at", "since")
        read_only_fields = fields


class ExposureDaySerializer(serializers.ModelSerializer):
    """How many devices were exposed on one day (UTC)."""

    class Meta:
        model = ExposureDay
        fields = ("day", "exposed_count", "total_count")
        read_only_fields = fields


class ExposedCustomerSerializer(serializers.Serializer):
    """One tenant's count of what was asked for; a device counts once. Tenants with none are left out."""

    tenant = serializers.UUIDField(source="tenant_id")
    tenant_name = serializers.CharField()
    recommendations = serializers.IntegerField()
    exposed_devices = serializers.IntegerField()
    exposed_since = serializers.DateTimeField(help_text="When Quell first saw the oldest of these recommendations.")
    is_known_exploited = serializers.BooleanField()


class UnreadCustomerSerializer(serializers.Serializer):
    """A tenant of which nothing is known yet."""

    tenant = serializers.UUIDField(source="pk")
    tenant_name = serializers.CharField(source="name")


class CustomersOfSerializer(serializers.Serializer):
    """What customers are looked for by: one of the three at least."""

    cve = serializers.CharField(default="", allow_blank=True, max_length=200)
    product = serializers.CharField(default="", allow_blank=True, max_length=200)
    vendor = serializers.CharField(default="", allow_blank=True, max_length=200)


class OfferSerializer(serializers.Serializer):
    """What can be asked for on a recommendation now."""

    options = serializers.ListField(child=serializers.ChoiceField(RemediationOption.choices))
    mitigations = serializers.ListField(child=serializers.ChoiceField(Mitigation.choices))
    open_ticket = serializers.BooleanField(required=False, help_text="A ticket in Intune may be asked for.")


class RecommendationFilterSet(TenantFilterSet):
    """By CVE, product, vendor, kind, status, exploits, and how many devices are exposed."""

    cve = CharFilter(method="filter_cve", label="A CVE of its weaknesses.")
    product = CharFilter(field_name="product_name", lookup_expr="icontains", label="Part of the product, in any case.")
    vendor = CharFilter(lookup_expr="icontains", label="Part of the vendor, in any case.")
    search = CharFilter(method="filter_search", label="Part of name, product, vendor or component, or a CVE.")
    category = CharFilter(lookup_expr="iexact", label="Microsoft's word, such as `Application`, in any case.")
    remediation_type = CharFilter(lookup_expr="iexact", label="Microsoft's word, such as `Update`, in any case.")
    status = MultipleChoiceFilter(
        choices=RecommendationStatus.choices, label="Without it, those in full exception are left out."
    )
    is_known_exploited = BooleanFilter(label="On CISA's list of known exploited vulnerabilities.")
    has_public_exploit = BooleanFilter(label="An exploit is public.")
    exposed_min = NumberFilter(field_name="exposed_count", lookup_expr="gte", label="At least so many exposed devices.")
    is_listed = BooleanFilter(
        field_name="disappeared_at", lookup_expr="isnull", label="Whether Microsoft lists it; true without the filter."
    )

    class Meta:
        model = Recommendation
        fields = ("tenant", "cve", "product", "vendor", "search", "category", "remediation_type", "status",
                  "is_known_exploited", "has_public_exploit", "exposed_min", "is_listed")  # fmt: skip

    def filter_cve(self, queryset: QuerySet[Recommendation], name: str, value: str) -> QuerySet[Recommendation]:
        """Return those about a CVE. Raises BadRequest for what is none."""
        if trouble := cve_trouble(value):
            raise BadRequest(trouble)
        return queryset.filter(about(cve=value))

    def filter_search(self, queryset: QuerySet[Recommendation], name: str, value: str) -> QuerySet[Recommendation]:
        """Return those that say it."""
        return queryset.filter(search(value))


def _asked_for(name: str, what: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.QUERY, description=what)


@extend_schema_view(
    list=extend_schema(description="Security recommendations of all tenants you may see, newest first."),
    retrieve=extend_schema(description="One security recommendation."),
)
class RecommendationViewSet(ReadingViewSet):
    """Recommendations come from Defender; what is done about them is a remediation activity."""

    queryset = Recommendation.objects.select_related("tenant").defer("raw")
    serializer_class = RecommendationSerializer
    filterset_class = RecommendationFilterSet

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows in scope; lists leave out what is hidden unless it is asked for."""
        queryset = super().get_queryset()
        if self.action == "list" and "status" not in self.request.query_params:
            queryset = queryset.exclude(status=RecommendationStatus.FULL_EXCEPTION)
        if self.action == "list" and "is_listed" not in self.request.query_params:
            queryset = queryset.filter(disappeared_at=None)
        return queryset

    @extend_schema(filters=False, responses=ExposedDeviceSerializer(many=True))
    @action(detail=True)
    def devices(self, request: Request, pk: str) -> Response:
        """Return the devices exposed to it now, page by page."""
        rows = Exposure.objects.filter(recommendation=self.get_object()).select_related("device__group")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(ExposedDeviceSerializer(page, many=True).data)

    @extend_schema(responses=ExposureDaySerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def history(self, request: Request, pk: str) -> Response:
        """Return how many devices were exposed each day of the last year, oldest first."""
        days = ExposureDay.objects.filter(recommendation=self.get_object()).order_by("-day")[:DAYS_SHOWN]
        return Response(ExposureDaySerializer(reversed(days), many=True).data)

    @extend_schema(responses=OfferSerializer)
    @action(detail=True, url_path="options", url_name="options")
    def offer(self, request: Request, pk: str) -> Response:
        """Return what can be asked for on it now, for a POST to /remediation-activities/."""
        offer = offer_for(self.get_object())
        ticket = {"open_ticket": True} if offer.ticket else {}
        return Response({"options": list(offer.options), "mitigations": list(offer.mitigations), **ticket})

    @extend_schema(
        responses=ExposedCustomerSerializer(many=True),
        filters=False,
        parameters=[
            _asked_for("cve", "A CVE."),
            _asked_for("product", "Part of a product's or component's name, in any case."),
            _asked_for("vendor", "Part of a vendor's name, in any case."),
        ],
    )
    @action(detail=False, pagination_class=None)
    def customers(self, request: Request) -> Response:
        """Return which tenants are exposed to a CVE or product, most devices first; one of the three must be given.

        Of tenants that were never read nothing is known; customers/never-read/ names them.
        """
        body = CustomersOfSerializer(data=request.query_params)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        if unknown := sorted(set(request.query_params) - asked.keys()):
            raise BadRequest(_("There is no such filter: %(names)s.") % {"names": ", ".join(unknown)})
        if not any(asked.values()):
            raise BadRequest(_("Name a CVE, a product or a vendor."))
        if trouble := cve_trouble(asked["cve"]):
            raise BadRequest(trouble)
        found = exposed_customers(about(**asked)) if has_scope() else []
        return Response(ExposedCustomerSerializer(found, many=True).data)

    @extend_schema(responses=UnreadCustomerSerializer(many=True), filters=False)
    @action(detail=False, pagination_class=None, url_path="customers/never-read", url_name="customers-never-read")
    def never_read(self, request: Request) -> Response:
        """Return the tenants whose recommendations were never read to the end: exposed or not, nobody knows."""
        return Response(UnreadCustomerSerializer(never_read() if has_scope() else [], many=True).data)
