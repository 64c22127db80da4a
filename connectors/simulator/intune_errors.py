"""Intune's way of refusing over Graph: JSON inside JSON inside the message (facts/graph.md 5.3)."""

import json
from uuid import uuid4

from starlette.requests import Request

from connectors.simulator.exchange import Json, Refusal
from connectors.simulator.gateway import Api, graph_error
from connectors.simulator.login import GRAPH

_FROM_INTUNE = frozenset({400, 403, 404, 409})


def intune_error(refusal: Refusal, request: Request) -> Json:
    """Graph's shape; what Intune itself refuses is wrapped, what Graph refuses before it (401, 429) is not."""
    body = graph_error(refusal, request)
    if refusal.status in _FROM_INTUNE:
        said = f"{refusal.message} - Operation ID (for customer support): {uuid4()} - Activity ID: {uuid4()}"
        inner = json.dumps({"_version": 3, "Message": said, "CustomApiErrorPhrase": "", "RetryAfter": None})
        body["error"]["code"] = "UnknownError" if refusal.status == 409 else refusal.code
        body["error"]["message"] = json.dumps({"ErrorCode": refusal.code, "Message": inner})
    return body


INTUNE_API = Api(frozenset({GRAPH}), intune_error)
