"""/action-types/: the action catalogue, for forms and integrations."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.api.permissions import SignedIn
from remediation.actions.asking import is_by_undo_alone
from remediation.catalogue import CATALOGUE, REQUESTABLE, ActionType, Area, Route


class ParameterSerializer(serializers.Serializer):
    """One parameter. Empty `choices`: free text of this `kind`."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="What it must be, such as sha1, path, mailbox, url, messages or text.")
    choices = serializers.ListField(child=serializers.CharField())
    is_optional = serializers.BooleanField(help_text="Whether it may be left out.")


class ActionTypeSerializer(serializers.Serializer):
    """A type of action. `inverse` undoes it, "" where nothing does; 0 `approvers`: an approver's request is enough."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field's own `label` is another thing
    area = serializers.ChoiceField([item.value for item in Area])
    route = serializers.ChoiceField([item.value for item in Route])
    parameters = ParameterSerializer(many=True)
    inverse = serializers.CharField(allow_blank=True)
    approvers = serializers.IntegerField()
    hourly_cap = serializers.IntegerField(allow_null=True, help_text="How many are sent an hour at most, by default.")
    repeat_is_harmless = serializers.BooleanField(help_text="Whether it may be sent again after a doubt was resolved.")
    is_free = serializers.BooleanField(help_text="Whether it touches no device and no mailbox, and goes at once.")
    needs_capability = serializers.CharField(help_text="What a tenant needs for it; without it a person does it.")
    is_wired = serializers.BooleanField(help_text="Whether it can be carried out yet.")
    is_requestable = serializers.SerializerMethodField(help_text="Whether a person may ask for it today.")

    def get_is_requestable(self, kind: ActionType) -> bool:
        """Return whether people may ask for it."""
        return kind.name in REQUESTABLE and not is_by_undo_alone(kind)


class ActionTypesView(APIView):
    """The whole catalogue, the same for every tenant."""

    permission_classes = [SignedIn]

    @extend_schema(operation_id="action_types_list", responses=ActionTypeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Every type of action, with its parameters, what undoes it and how many people must approve it."""
        return Response(ActionTypeSerializer(CATALOGUE.values(), many=True).data)
