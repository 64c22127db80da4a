"""POST /investigations/{id}/stop/: ends an investigation and takes back its actions that are not sent yet."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from investigations.api.investigations import InvestigationDetailSerializer, InvestigationViewSet
from portal.api.fields import ReasonSerializer
from portal.api.idempotency import replayable
from remediation.actions import services


class StoppableInvestigationViewSet(InvestigationViewSet):
    """Investigations, with the verb that reaches their actions."""

    @extend_schema(request=ReasonSerializer, responses=InvestigationDetailSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def stop(self, request: Request, pk: str) -> Response:
        """End an investigation by hand: actions not yet sent are cancelled, those under way run to their end."""
        investigation = self.get_object()
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.stop_investigation(investigation, actor=self.actor, reason=body.validated_data["reason"])
        return Response(self._whole(investigation))
