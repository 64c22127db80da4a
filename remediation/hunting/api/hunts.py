"""/hunts/: ask a query in one or many tenants, read what it found, and ask for actions on its rows."""

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import ChoiceFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import PersonSerializer
from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from remediation.actions.deciding import MESSAGES_OF_ACTION
from remediation.catalogue import CHOICES
from remediation.hunting.acting import MOST_ACTIONS, RowOutcome, request_on_rows
from remediation.hunting.api.answering import BatchSerializer, answer_batch
from remediation.hunting.models import Hunt
from remediation.hunting.services import LONGEST_QUERY, MOST_TENANTS, Question, ask_everywhere
from remediation.hunting.states import HuntSource, HuntState
from remediation.hunting.telling import told_to
from remediation.hunting.timespans import LONGEST

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "tenant_name",
    "batch",
    "source",
    "query",
    "timespan",
    "criteria",
    "evidence",
    "state",
    "row_count",
    "error_code",
    "error",
    "asked_by",
    "created_at",
    "started_at",
    "ended_at",
)


_NOT_TOLD = (
    "Null for who did not ask it and may not read every tenant it was put to: a query over several customers may name"
    " one of them."
)


class HuntSerializer(serializers.ModelSerializer):
    """One query in one tenant. `batch` is shared by all that one request asked for; `asked_by` is null for Quell's."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)
    query = serializers.CharField(read_only=True, allow_null=True, help_text=_NOT_TOLD)
    criteria = serializers.DictField(read_only=True, allow_null=True, help_text=f"Null without a form. {_NOT_TOLD}")
    asked_by = PersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Hunt
        fields = _FIELDS
        read_only_fields = fields

    def to_representation(self, instance: Hunt) -> dict[str, Any]:
        """Leave out what was asked for whom it is not told."""
        shown: dict[str, Any] = super().to_representation(instance)
        return shown if instance.is_told else {**shown, "query": None, "criteria": None}


class HuntDetailSerializer(HuntSerializer):
    """A query with what it found: at most 1,000 of the `row_count` rows that came."""

    columns = serializers.SerializerMethodField(help_text="The columns in their order, with Microsoft's types.")
    rows = serializers.ListField(child=serializers.DictField(), read_only=True)

    class Meta(HuntSerializer.Meta):
        fields = (*_FIELDS, "columns", "rows")
        read_only_fields = fields

    def get_columns(self, hunt: Hunt) -> list[dict[str, str]]:
        """Return the names and types of the columns."""
        return [{"name": name, "type": kind} for name, kind in hunt.columns]


class AskSerializer(serializers.Serializer):
    """A query to ask in one or many tenants."""

    tenants = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_TENANTS)
    query = serializers.CharField(max_length=LONGEST_QUERY, help_text="In KQL, over advanced hunting's tables.")
    timespan = serializers.CharField(
        max_length=LONGEST,
        default="P30D",
        help_text="ISO 8601: `P7D`, start/end, duration/end, start/duration, or a start.",
    )


class RowActionsSerializer(serializers.Serializer):
    """An action to ask for on rows of a result. What the columns tell (device, file, message) is read from the rows."""

    type = serializers.ChoiceField(CHOICES)
    rows = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=1,
        max_length=MOST_ACTIONS * MESSAGES_OF_ACTION,
        help_text="Positions in `rows`, from 0.",
    )
    parameters = serializers.DictField(required=False, default=dict, help_text="The parameters the rows do not tell.")
    reason = serializers.CharField(max_length=1000, help_text="Why; approvers read it, and it goes on record.")


class RowResultSerializer(serializers.Serializer):
    """What came of one row: its action, or why there is none."""

    row = serializers.IntegerField()
    outcome = serializers.ChoiceField(RowOutcome.choices)
    action = serializers.UUIDField(source="action.pk", default=None, allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class RowResultsSerializer(serializers.Serializer):
    """What came of each row."""

    tenant = serializers.UUIDField()
    results = RowResultSerializer(many=True)


class HuntFilterSet(TenantFilterSet):
    """By tenant, batch, state, where it came from, who asked, and when."""

    batch = UUIDFilter(label="All that one request asked for, by its batch.")
    state = ChoiceFilter(choices=HuntState.choices)
    source = ChoiceFilter(choices=HuntSource.choices)
    asked_by = UUIDFilter(field_name="asked_by_id", label="Asked by this person, by their id.")
    created = MomentRangeFilter(field_name="created_at", label="Between two moments (ISO 8601).")

    class Meta:
        model = Hunt
        fields = ("tenant", "batch", "state", "source", "asked_by", "created")


@extend_schema_view(
    list=extend_schema(description="Hunts of all tenants you may see, newest first, without their rows."),
    retrieve=extend_schema(description="One hunt with what it found. Results are kept for 30 days."),
)
class HuntViewSet(ReadingViewSet):
    """Ask a query, then read its hunts until each is `done` or `failed`; nothing here calls Microsoft itself."""

    queryset = Hunt.objects.select_related("tenant", "asked_by")
    serializer_class = HuntSerializer
    detail_serializer_class = HuntDetailSerializer
    filterset_class = HuntFilterSet

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows in scope, with what was found where one is shown whole."""
        queryset: QuerySet[Hunt] = super().get_queryset().annotate(is_told=told_to(self.actor)).order_by("-id")
        return queryset.defer("rows") if self.action == "list" else queryset

    @extend_schema(request=AskSerializer, responses={201: BatchSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Ask a query in each of these tenants. What stands against one tenant is told for it; the others go on.

        One person has at most 20 open in a tenant; 409 where that is so in all of them.
        """
        body = AskSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        question = Question(asked["query"], asked["timespan"])
        return answer_batch(ask_everywhere(question, asked["tenants"], actor=self.actor))

    @extend_schema(request=RowActionsSerializer, responses={200: RowResultsSerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def actions(self, request: Request, pk: str) -> Response:
        """Ask for an action on chosen rows; each waits for the usual approval before anything is sent."""
        hunt = self.get_object()
        body = RowActionsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        results = request_on_rows(
            hunt,
            type_name=asked["type"],
            rows=asked["rows"],
            parameters=asked["parameters"],
            reason=asked["reason"],
            actor=self.actor,
        )
        told = RowResultsSerializer({"tenant": hunt.tenant_id, "results": results}).data
        return Response(told, status=status.HTTP_200_OK)
