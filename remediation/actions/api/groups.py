"""/action-groups/ and /actions/decide/: decide once, apply to many, with a result for each."""

import base64
import binascii
import json
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from connectors.storable import as_storable
from portal.api.fields import ReasonSerializer, RowField
from portal.api.idempotency import replayable
from portal.api.permissions import SignedIn, actor_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import has_scope
from remediation.actions.bulk import MOST, Result, decide_many
from remediation.actions.entities import KINDS, LONGEST
from remediation.actions.grouping import GroupFilter, Key, decide_group, find_groups
from remediation.actions.states import Answer
from remediation.catalogue import CHOICES

ENTITY_KINDS: Final = [(kind, kind) for kind in KINDS]
GROUPS_A_PAGE: Final = 50
MOST_GROUPS: Final = 200


class GroupSerializer(serializers.Serializer):
    """Actions of one type on one entity that wait for approval. Send `as_of` and `count` back when you decide."""

    type = serializers.ChoiceField(CHOICES)
    type_label = serializers.CharField(source="kind.label")
    entity = serializers.CharField(help_text="Its kind and name, such as `sha1:…` or `sender:…`.")
    count = serializers.IntegerField()
    tenants = serializers.IntegerField()
    devices = serializers.IntegerField()
    oldest = serializers.DateTimeField(help_text="Since when the oldest waits.")
    expires = serializers.DateTimeField(allow_null=True, help_text="When the first of them expires.")
    approvals = serializers.IntegerField(help_text="Approvals given so far, over all of them.")
    as_of = serializers.DateTimeField(help_text="When you looked.")


class GroupPageSerializer(serializers.Serializer):
    """A page of groups, in order of type and entity."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True, help_text="Always null: pages are walked forward.")
    results = GroupSerializer(many=True)


class GroupQuerySerializer(serializers.Serializer):
    """The filters of the list. A tenant where you do not decide has no groups for you."""

    type = serializers.ChoiceField(CHOICES, required=False, default="")
    entity_kind = serializers.ChoiceField(ENTITY_KINDS, required=False, default="", help_text="The entity's kind.")
    tenant = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        default=list,
        help_text="These tenants alone; may be repeated.",
    )
    at_least = serializers.IntegerField(
        min_value=1, max_value=1_000_000, required=False, default=1, help_text="Groups of so many actions or more."
    )
    cursor = serializers.CharField(required=False, default="", max_length=2000)
    limit = serializers.IntegerField(min_value=1, required=False, default=GROUPS_A_PAGE)

    def validate_cursor(self, text: str) -> Key | None:
        """Return the key that the cursor stands for."""
        if not text:
            return None
        try:
            type_name, entity = json.loads(base64.urlsafe_b64decode(text.encode()))
        except (ValueError, binascii.Error, TypeError, RecursionError) as error:
            raise serializers.ValidationError(_("Follow `next` as it is.")) from error
        named = [type_name, entity]
        if not all(isinstance(name, str) for name in named) or as_storable(named) != named:
            raise serializers.ValidationError(_("Follow `next` as it is."))
        return type_name, entity


class DecideSerializer(ReasonSerializer):
    """One answer about many actions."""

    answer = serializers.ChoiceField(Answer.choices)


class DecideActionsSerializer(DecideSerializer):
    """One answer about the actions with these ids."""

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST)


class DecideGroupSerializer(DecideSerializer):
    """One answer about a group as you saw it: with the `as_of` and `count` that the list gave you."""

    type = serializers.ChoiceField(CHOICES)
    entity = serializers.CharField(max_length=LONGEST)
    as_of = serializers.DateTimeField()
    count = serializers.IntegerField(min_value=1)
    tenants = RowField(
        queryset=Tenant.objects.all(),
        many=True,
        required=False,
        default=list,
        help_text="The tenants that the list was narrowed to, if it was.",
    )


class ItemResultSerializer(serializers.Serializer):
    """What came of one item. `not_found` is for an id that is unknown or another tenant's."""

    id = serializers.UUIDField()
    tenant = serializers.UUIDField(allow_null=True)
    result = serializers.ChoiceField(Result.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why, in words; what is still missing where it waits.")


class ResultsSerializer(serializers.Serializer):
    """A result for each item."""

    results = ItemResultSerializer(many=True)


class GroupResultsSerializer(ResultsSerializer):
    """A result for each action of the group that was there to be seen."""

    arrived_later = serializers.IntegerField(help_text="Came after you looked; nothing was decided about them.")
    left_over = serializers.IntegerField(help_text="More than 1,000 at once; send the same again with a new key.")


class GroupsView(APIView):
    """What waits for approval, by what would be done and to what."""

    permission_classes = [SignedIn]

    @extend_schema(
        operation_id="action_groups_list",
        parameters=[GroupQuerySerializer],
        responses=GroupPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Groups of pending actions over all tenants you may decide for, each with what it holds."""
        asked = _read_query(request)
        limit = min(asked["limit"], MOST_GROUPS)
        wanted = GroupFilter(
            type=asked["type"],
            entity_kind=asked["entity_kind"],
            tenants=tuple(asked["tenant"]),
            at_least=asked["at_least"],
        )
        actor = actor_of(request)
        found = find_groups(wanted, actor=actor, after=asked["cursor"] or None, limit=limit + 1) if has_scope() else []
        page = {"next": _next(request, found, limit), "previous": None, "results": found[:limit]}
        return Response(GroupPageSerializer(page).data)


class DecideGroupView(APIView):
    """The verb on one group."""

    permission_classes = [SignedIn]

    @extend_schema(operation_id="action_groups_decide", request=DecideGroupSerializer, responses=GroupResultsSerializer)
    @replayable
    def post(self, request: Request) -> Response:
        """Approve or reject the actions of a group that you saw, at most 1,000 at once, with a result for each.

        Each is held to the rules of deciding about one. What arrived after `as_of` is left out. 409 when the group is
        not what you saw; actions that somebody decided meanwhile say so.
        """
        body = DecideGroupSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        decided = decide_group(
            (asked["type"], asked["entity"]),
            Answer(asked["answer"]),
            actor=actor_of(request),
            reason=asked["reason"],
            as_of=asked["as_of"],
            count=asked["count"],
            tenants=[tenant.pk for tenant in asked["tenants"]],
        )
        return Response(GroupResultsSerializer(decided).data)


class DecideActionsView(APIView):
    """The verb on many actions."""

    permission_classes = [SignedIn]

    @extend_schema(operation_id="actions_decide", request=DecideActionsSerializer, responses=ResultsSerializer)
    @replayable
    def post(self, request: Request) -> Response:
        """Approve or reject up to 1,000 actions, with a result for each.

        Each is held to the rules of deciding about one; one that is refused does not keep the others.
        """
        body = DecideActionsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        results = decide_many(asked["ids"], Answer(asked["answer"]), actor=actor_of(request), reason=asked["reason"])
        return Response(ResultsSerializer({"results": results}).data)


def _read_query(request: Request) -> dict[str, Any]:
    unknown = set(request.query_params) - set(GroupQuerySerializer().fields)
    if unknown:
        raise serializers.ValidationError({name: [_("There is no such filter.")] for name in sorted(unknown)})
    query = GroupQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def _next(request: Request, found: list[Any], limit: int) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    cursor = base64.urlsafe_b64encode(json.dumps([last.type, last.entity]).encode()).decode()
    kept = [(name, value) for name, value in request.query_params.lists() if name != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*kept, ('cursor', [cursor])], doseq=True)}")
