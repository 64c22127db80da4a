"""/actions/: the Action center. A state changes by a verb, never by PUT or PATCH."""

from collections.abc import Callable

from django.db.models import QuerySet
from django_filters.rest_framework import (
    ChoiceFilter,
    MultipleChoiceFilter,
    UUIDFilter,
)
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access.exceptions import Conflict
from portal.api.fields import ReasonSerializer
from portal.api.filters import MomentRangeFilter, TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from remediation.actions import results, services
from remediation.actions.api.serializers import (
    ActionDetailSerializer,
    ActionSerializer,
    RequestActionSerializer,
    ResolveActionSerializer,
    ResultLinkSerializer,
)
from remediation.actions.asking import source_by_key
from remediation.actions.models import RemediationAction
from remediation.actions.querysets import ActionQuerySet
from remediation.actions.states import Source, State
from remediation.catalogue import CATALOGUE, CHOICES

TABS = [("pending", "Pending"), ("history", "History")]


class ActionFilterSet(TenantFilterSet):
    """The Action center's filters."""

    state = MultipleChoiceFilter(choices=State.choices, distinct=False, label="One or more states.")
    tab = ChoiceFilter(choices=TABS, method="filter_tab", label="`pending` waits for approval, `history` is the rest.")
    type = ChoiceFilter(choices=CHOICES)
    device = UUIDFilter(field_name="device_id", label="Actions on one device, by its id.")
    investigation = UUIDFilter(field_name="investigation_id", label="Actions of one investigation, by its id.")
    evidence = UUIDFilter(field_name="evidence_links__evidence_id", label="Actions that answer one piece of evidence.")
    source = ChoiceFilter(choices=Source.choices)
    created = MomentRangeFilter(field_name="created_at", label="Between two moments (ISO 8601).")
    requested_by = UUIDFilter(field_name="requested_by_id", label="Asked for by this person, by their id.")

    class Meta:
        model = RemediationAction
        fields = (
            "tenant",
            "state",
            "tab",
            "type",
            "device",
            "investigation",
            "evidence",
            "source",
            "created",
            "requested_by",
        )

    def filter_tab(
        self, queryset: ActionQuerySet[RemediationAction], name: str, value: str
    ) -> ActionQuerySet[RemediationAction]:
        """Return the actions on one tab."""
        return queryset.awaiting_approval() if value == "pending" else queryset.decided()


@extend_schema_view(
    list=extend_schema(description="Actions of all tenants you may see, newest first."),
    retrieve=extend_schema(description="One action, with its decisions, its evidence and what undoes it."),
)
class ActionViewSet(ReadingViewSet):
    """Ask for actions, read them, and decide about them by the named verbs."""

    queryset = RemediationAction.objects.for_lists()
    serializer_class = ActionSerializer
    detail_serializer_class = ActionDetailSerializer
    filterset_class = ActionFilterSet

    def get_queryset(self) -> QuerySet[RemediationAction]:
        """Return the rows in scope, with their decisions and evidence where one is shown whole."""
        queryset = super().get_queryset()
        return queryset if self.action == "list" else queryset.prefetch_related("decisions__user", "evidence_links")

    @extend_schema(
        request=RequestActionSerializer,
        responses={
            201: ActionDetailSerializer,
            200: OpenApiResponse(ActionDetailSerializer, description="The same action was open already: this one."),
        },
    )
    @replayable
    def create(self, request: Request) -> Response:
        """Ask for an action.

        It waits for approval, except a release, which an approver may order by themselves, and what touches no device
        and no mailbox. What Microsoft does not do on the device's operating system is refused.
        """
        body = RequestActionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        found, is_new = services.request_action(
            tenant_id=asked["tenant"].pk,
            type_name=asked["type"],
            device=asked["device"],
            parameters=asked["parameters"],
            reason=asked["reason"],
            actor=self.actor,
            source=self._source(asked["type"]),
        )
        return self._answer(found, status=201 if is_new else 200)

    @extend_schema(request=ReasonSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def approve(self, request: Request, pk: str) -> Response:
        """Approve exactly this action; with the last approval it is sent.

        Never your own, and never with an API key. What cuts off, stops or deletes takes a second factor shown within
        the last five minutes.
        """
        return self._carry_out(services.approve_action)

    @extend_schema(request=ReasonSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"], url_path="break-glass")
    @replayable
    def break_glass(self, request: Request, pk: str) -> Response:
        """Approve exactly this action alone, while your break-glass use of its tenant is open; it is sent."""
        return self._carry_out(services.approve_in_emergency)

    @extend_schema(request=ReasonSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reject(self, request: Request, pk: str) -> Response:
        """Reject an action that waits for approval: one rejection ends it, whoever else approved."""
        return self._carry_out(services.reject_action)

    @extend_schema(request=ReasonSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def cancel(self, request: Request, pk: str) -> Response:
        """Take back an action: your own, or any if you may decide.

        One that Microsoft has accepted and still stops becomes none yet: `cancel_asked_at` is set, and its state tells
        how it ended.
        """
        return self._carry_out(services.cancel_action)

    @extend_schema(request=ReasonSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def undo(self, request: Request, pk: str) -> Response:
        """Order the inverse of an action that succeeded, and get that one back; `undoes` names this one."""
        return self._carry_out(services.undo_action)

    @extend_schema(request=ResolveActionSerializer, responses=ActionDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def resolve(self, request: Request, pk: str) -> Response:
        """Say what became of an action, after looking in Microsoft's own portal.

        That is one that needs attention, or one with a `portal_url`, which a person does there.
        """
        found = self.get_object()
        body = ResolveActionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        outcome = State(body.validated_data["outcome"])
        return self._answer(
            services.resolve_action(found.pk, outcome, actor=self.actor, reason=body.validated_data["reason"])
        )

    @extend_schema(
        request=None,
        responses={
            200: OpenApiResponse(ResultLinkSerializer, description="The link, handed over this once."),
            202: OpenApiResponse(ResultLinkSerializer, description="Microsoft is being asked; repeat in two seconds."),
        },
    )
    @action(detail=True, methods=["post"])
    def result(self, request: Request, pk: str) -> Response:
        """Ask for a short-lived link to what the action brought back: a package, a file, or a script's transcript.

        The link needs no sign-in at Microsoft, so it is given once, to who asked. 409 says why there is none.
        """
        found = self.get_object()
        handed = results.take_result(found, actor=self.actor)
        if handed.words:
            raise Conflict(handed.words)
        if handed.stage == results.Stage.NONE:
            results.ask_for_result(found, actor=self.actor)
            handed = results.Handed(results.Stage.ASKED)
        return Response(ResultLinkSerializer(handed).data, status=200 if handed.url else 202)

    def _source(self, type_name: str) -> Source | None:
        """Return what the request counts as, None for what a page's would; a key's is not a person's on a page."""
        is_by_key: bool = self.request._request.is_key_request  # type: ignore[attr-defined]  # the door put it there
        return source_by_key(CATALOGUE[type_name]) if is_by_key else None

    def _carry_out(self, verb: Callable[..., RemediationAction]) -> Response:
        found = self.get_object()
        body = ReasonSerializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return self._answer(verb(found.pk, actor=self.actor, reason=body.validated_data["reason"]))

    def _answer(self, changed: RemediationAction, status: int = 200) -> Response:
        """Answer with the action as it now stands in the database."""
        return Response(ActionDetailSerializer(self.get_queryset().get(pk=changed.pk)).data, status=status)
