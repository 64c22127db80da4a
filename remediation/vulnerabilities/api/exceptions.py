"""/exceptions/: ask for exceptions, see what they would change, decide, end them early, export the register."""

from collections.abc import Callable
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from django_filters.rest_framework import BooleanFilter, CharFilter, ChoiceFilter, DateFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from investigations.models import DeviceGroup
from portal.access.roles import Capability
from portal.api.csv_export import CSV_ANSWER, csv_response
from portal.api.fields import ExactSerializer, PersonSerializer, ReasonSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.parsing import CsvParser
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.api.groups import DecideSerializer, ResultsSerializer
from remediation.actions.states import Answer
from remediation.vulnerabilities.api.exception_import import (
    CSV_BODY,
    ImportedRegisterSerializer,
    PreviewedRegisterSerializer,
    text_of,
    told,
)
from remediation.vulnerabilities.exceptions.bulk import MOST, decide_many
from remediation.vulnerabilities.exceptions.cancelling import cancel, cancel_group
from remediation.vulnerabilities.exceptions.deciding import approve, reject
from remediation.vulnerabilities.exceptions.exporting import REGISTER_COLUMNS
from remediation.vulnerabilities.exceptions.importing import import_register, preview_register, source_of
from remediation.vulnerabilities.exceptions.preview import preview, preview_of
from remediation.vulnerabilities.exceptions.requesting import (
    JUSTIFICATIONS,
    LENGTHS,
    LONGEST_CONTEXT,
    Reach,
    Subject,
    checked_groups,
    last_day,
    request_exception,
    subject_of_cve,
)
from remediation.vulnerabilities.models import ExceptedDevice, Recommendation, RecommendationException
from remediation.vulnerabilities.states import ExceptionKind, ExceptionState, Justification

JUSTIFICATION_CHOICES: Final = [(item.value, item.label) for item in JUSTIFICATIONS]

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "kind",
    "recommendation",
    "recommendation_name",
    "cve_id",
    "is_global",
    "groups",
    "justification",
    "context",
    "expires_on",
    "state",
    "requested_by",
    "requested_at",
    "decided_by",
    "decided_at",
    "decision_reason",
    "ended_by",
    "ended_at",
    "end_reason",
    "exposed_before",
    "exposed_after",
    "new_device_count",
)


class ExceptedGroupSerializer(serializers.Serializer):
    """A device group an exception names, by the name it had then."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class GroupPreviewSerializer(serializers.Serializer):
    """A device group, and how many of its devices are exposed without and with the exception."""

    id = serializers.UUIDField(source="group_id")
    name = serializers.CharField()
    exposed_before = serializers.IntegerField()
    exposed_after = serializers.IntegerField()


class PreviewSerializer(serializers.Serializer):
    """What an exception would leave exposed, in all and group by group."""

    exposed_before = serializers.IntegerField()
    exposed_after = serializers.IntegerField()
    groups = GroupPreviewSerializer(many=True)


class ImportSourceSerializer(serializers.Serializer):
    """The file that an import asked for an exception in, and the line of it."""

    file = serializers.CharField(allow_blank=True, help_text="Its name; empty where it was sent to the API.")
    line = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Of the file.")


class ExceptionSerializer(serializers.ModelSerializer):
    """An exception. `expires_on` is the last day it covers, UTC; `ended_by` is null for what ended by itself."""

    recommendation_name = serializers.CharField(source="recommendation.name", default=None, allow_null=True)
    groups = serializers.SerializerMethodField(help_text="Empty for the whole tenant.")
    requested_by = PersonSerializer(read_only=True, allow_null=True)
    decided_by = PersonSerializer(read_only=True, allow_null=True)
    ended_by = PersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = RecommendationException
        fields = _FIELDS
        read_only_fields = fields

    @extend_schema_field(ExceptedGroupSerializer(many=True))
    def get_groups(self, exception: RecommendationException) -> list[dict[str, str]]:
        """Return the groups it names."""
        pairs = zip(exception.group_ids, exception.group_names, strict=True)
        return [{"id": str(key), "name": name} for key, name in pairs]


class ExceptionDetailSerializer(ExceptionSerializer):
    """An exception; while it waits, with what granting it would change."""

    preview = serializers.SerializerMethodField(help_text="Null once it was decided.")
    imported_from = serializers.SerializerMethodField(help_text="Null for what was not imported.")

    class Meta(ExceptionSerializer.Meta):
        fields = (*_FIELDS, "preview", "imported_from")
        read_only_fields = fields

    @extend_schema_field(PreviewSerializer(allow_null=True))
    def get_preview(self, exception: RecommendationException) -> Any:
        """Return what it would change."""
        waits = exception.state == ExceptionState.REQUESTED
        return PreviewSerializer(preview_of(exception)).data if waits else None

    @extend_schema_field(ImportSourceSerializer(allow_null=True))
    def get_imported_from(self, exception: RecommendationException) -> Any:
        """Return the file and line it was asked for in."""
        return source_of(exception)


class PreviewRequestSerializer(ExactSerializer):
    """An exception to be: for a `recommendation`, or a `cve_id` in a `tenant`; for `groups`, or `is_global`."""

    recommendation = RowField(queryset=Recommendation.objects.all(), required=False)
    tenant = RowField(queryset=Tenant.objects.exclude(pk=PROVIDER_TENANT_ID), required=False)
    cve_id = serializers.CharField(required=False, max_length=30)
    is_global = serializers.BooleanField(default=False, help_text="The whole tenant, groups made later included.")
    groups = serializers.ListField(child=RowField(queryset=DeviceGroup.objects.all()), default=list, max_length=1000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what names no one thing, and add the `subject` and `reach` it comes to."""
        recommendation, tenant, cve_id = (attrs.get(name) for name in ("recommendation", "tenant", "cve_id"))
        if recommendation is not None and tenant is None and cve_id is None:
            subject = Subject(recommendation.tenant_id, recommendation)
        elif recommendation is None and tenant is not None and cve_id is not None:
            subject = subject_of_cve(tenant.pk, cve_id)
        else:
            raise serializers.ValidationError(_("Name a recommendation, or a tenant and a CVE, one of the two."))
        groups = frozenset(group.pk for group in attrs["groups"])
        return {**attrs, "subject": subject, "reach": Reach(attrs["is_global"], groups)}


class RequestExceptionSerializer(PreviewRequestSerializer):
    """An exception to ask for, with a term: a number of `days`, or `expires_on`, its last day (UTC)."""

    justification = serializers.ChoiceField(JUSTIFICATION_CHOICES)
    context = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class again
        max_length=LONGEST_CONTEXT, help_text="Why; the second person reads it."
    )
    days = serializers.ChoiceField(LENGTHS, required=False)
    expires_on = serializers.DateField(required=False, help_text="Today or later, at most 365 days off.")


class DecideExceptionsSerializer(ExactSerializer, DecideSerializer):
    """One answer about the exceptions with these ids."""

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST)


class CancelSerializer(ExactSerializer, ReasonSerializer):
    """Why it ends, and for which of its device groups; without one, altogether."""

    group = serializers.UUIDField(required=False, help_text="The id of one of its device groups.")


class ExceptedDeviceSerializer(serializers.ModelSerializer):
    """An exposed device in the scope of an exception; `is_new` where it came after it was granted."""

    name = serializers.CharField(source="device.name", read_only=True)
    group = serializers.UUIDField(source="device.group_id", read_only=True)
    group_name = serializers.CharField(source="device.group.name", read_only=True)

    class Meta:
        model = ExceptedDevice
        fields = ("device", "name", "group", "group_name", "is_new", "since")
        read_only_fields = fields


class ExceptionFilterSet(TenantFilterSet):
    """Microsoft's filters (justification, type, status), and what the exception is for, whom, and until when."""

    state = ChoiceFilter(choices=ExceptionState.choices)
    kind = ChoiceFilter(choices=ExceptionKind.choices)
    justification = ChoiceFilter(choices=Justification.choices)
    recommendation = UUIDFilter(field_name="recommendation_id", label="For this recommendation, by its id.")
    cve = CharFilter(field_name="cve_id", lookup_expr="iexact", label="For this CVE.")
    ending_before = DateFilter(field_name="expires_on", lookup_expr="lt", label="With a last day before this (UTC).")
    is_global = BooleanFilter(label="For a whole tenant, or not.")
    requested_by = UUIDFilter(field_name="requested_by_id", label="Asked for by this person, by their id.")

    class Meta:
        model = RecommendationException
        fields = ("tenant", "state", "kind", "justification", "recommendation", "cve", "ending_before", "is_global")


@extend_schema_view(
    list=extend_schema(description="The register of exceptions, newest first; `state=requested` are those that wait."),
    retrieve=extend_schema(description="One exception; while it waits, with what granting it would change."),
)
class ExceptionViewSet(ReadingViewSet):
    """Exceptions leave a recommendation or a CVE as it is for a while. One person asks, another decides.

    A key can ask; only people decide. Exceptions made in Defender are not here: Microsoft has no API for them, and says
    of a recommendation only that there is one.
    """

    queryset = RecommendationException.objects.select_related(
        "recommendation", "requested_by", "decided_by", "ended_by"
    )
    serializer_class = ExceptionSerializer
    detail_serializer_class = ExceptionDetailSerializer
    filterset_class = ExceptionFilterSet

    @extend_schema(request=RequestExceptionSerializer, responses={201: ExceptionDetailSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Ask for an exception; it takes effect once a second person approves it.

        409 where the same is excepted already or asked for, or Microsoft no longer lists what it is for.
        """
        body = RequestExceptionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        with acting_for(asked["subject"].tenant_id):
            made = request_exception(
                asked["subject"],
                asked["reach"],
                justification=Justification(asked["justification"]),
                context=asked["context"],
                expires_on=last_day(asked.get("days"), asked.get("expires_on")),
                actor=self.actor,
            )
        return self._answer(made, status=201)

    @extend_schema(request=PreviewRequestSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Count what is exposed without and with an exception; nothing is asked for and nothing changes."""
        body = PreviewRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        subject, reach = body.validated_data["subject"], body.validated_data["reach"]
        self.actor.require(Capability.HANDLE_REMEDIATION, subject.tenant_id)
        checked_groups(subject, reach)
        return Response(PreviewSerializer(preview(subject, reach)).data)

    @extend_schema(request=ReasonSerializer, responses=ExceptionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def approve(self, request: Request, pk: str) -> Response:
        """Grant an exception that somebody else asked for.

        One for the whole tenant takes a fresh second factor, and suspends those by group.
        """
        return self._carry_out(approve)

    @extend_schema(request=ReasonSerializer, responses=ExceptionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reject(self, request: Request, pk: str) -> Response:
        """Turn down an exception that somebody else asked for."""
        return self._carry_out(reject)

    @extend_schema(request=CancelSerializer, responses=ExceptionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def cancel(self, request: Request, pk: str) -> Response:
        """End an exception now, altogether or for one of its device groups; what it covered is exposed again."""
        found = self.get_object()
        body = CancelSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        reason, group = body.validated_data["reason"], body.validated_data.get("group")
        if group is None:
            return self._answer(cancel(found.pk, actor=self.actor, reason=reason))
        return self._answer(cancel_group(found.pk, group, actor=self.actor, reason=reason))

    @extend_schema(filters=False, responses=ExceptedDeviceSerializer(many=True))
    @action(detail=True)
    def devices(self, request: Request, pk: str) -> Response:
        """List the exposed devices in its scope."""
        found = self.get_object()
        rows = ExceptedDevice.objects.filter(exception=found).select_related("device__group")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(ExceptedDeviceSerializer(page, many=True).data)

    @extend_schema(responses=CSV_ANSWER)
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Stream the register as CSV, with the filters of the list."""
        rows = self.filter_queryset(self.get_queryset()).select_related(None)
        return csv_response(rows.order_by("-id"), REGISTER_COLUMNS, name="exceptions")

    @extend_schema(request=CSV_BODY, responses=ImportedRegisterSerializer)
    @action(detail=False, methods=["post"], url_path="import", url_name="import", parser_classes=[CsvParser])
    @replayable
    def import_register(self, request: Request) -> Response:
        """Ask for an exception per line of a register in CSV, UTF-8; each waits for a second person.

        The columns are those of `export/`, of which these count: `tenant` (name, short name or id), `recommendation_id`
        or `cve`, `device_groups` (parted by semicolons) or `whole_tenant`, `justification` (Microsoft's current set or
        the one before), `context` and `last_day`. At most 1,000 lines and 2 MB. A line that is refused does not keep
        the others; what is open already is refused, so sending a file twice makes nothing twice.
        """
        found = import_register(text_of(request), name="", actor=self.actor)
        return Response(ImportedRegisterSerializer(told(found)).data)

    @extend_schema(request=CSV_BODY, responses=PreviewedRegisterSerializer)
    @action(detail=False, methods=["post"], url_path="import/preview", parser_classes=[CsvParser])
    def preview_import(self, request: Request) -> Response:
        """Say what `import/` would ask for and what it would refuse; nothing is asked for and nothing changes."""
        found = preview_register(text_of(request), name="", actor=self.actor)
        return Response(PreviewedRegisterSerializer(told(found)).data)

    @extend_schema(request=DecideExceptionsSerializer, responses=ResultsSerializer)
    @action(detail=False, methods=["post"])
    @replayable
    def decide(self, request: Request) -> Response:
        """Approve or reject up to 300 exceptions, with a result for each.

        Each is held to the rules of deciding about one; one that is refused does not keep the others.
        """
        body = DecideExceptionsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        results = decide_many(asked["ids"], Answer(asked["answer"]), actor=self.actor, reason=asked["reason"])
        return Response(ResultsSerializer({"results": results}).data)

    def _carry_out(self, verb: Callable[..., RecommendationException]) -> Response:
        found = self.get_object()
        body = ReasonSerializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return self._answer(verb(found.pk, actor=self.actor, reason=body.validated_data["reason"]))

    def _answer(self, changed: RecommendationException, status: int = 200) -> Response:
        shown: Any = ExceptionDetailSerializer(self.get_queryset().get(pk=changed.pk))
        return Response(shown.data, status=status)
