"""What can happen to an answer on its way back: late, cut, doubled, in drops, or about somebody else altogether."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from connectors.simulator.exchange import Answer, Json
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.wire import ConnectionReset, DoubledAnswer

_ERROR_PAGE: Final = "<html><head><title>Service</title></head><body>Our services are not available now.</body></html>"
_WHOSE: Final = {
    "machineId": "f" * 40,
    "aadTenantId": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "tenantId": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "networkMessageId": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "indicatorValue": "f" * 40,
    "DeviceId": "f" * 40,
}


async def deliver(answer: Answer, faults: Faults, occasion: Occasion) -> Response:
    """The response to send for an answer, after whatever a fault does to it. What was accepted stays accepted."""
    response = as_response(answer)
    if answer.status >= 400:
        return response
    if late := faults.take("answer_late", occasion):
        await asyncio.sleep(late.seconds)
    if faults.take("reset_after_accepting", occasion):
        return ConnectionReset()
    return _spoilt(answer, response, faults, occasion)


def as_response(answer: Answer) -> Response:
    """The answer as it is."""
    if answer.content is not None:
        return Response(answer.content, answer.status, answer.headers, media_type="application/json")
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, answer.headers)


def _spoilt(answer: Answer, response: Response, faults: Faults, occasion: Occasion) -> Response:
    if faults.take("truncate", occasion):
        half = bytes(response.body)[: len(response.body) // 2]
        return Response(half, answer.status, answer.headers, media_type="application/json")
    if faults.take("answer_twice", occasion):
        return DoubledAnswer(response)
    if faults.take("html", occasion):
        return HTMLResponse(_ERROR_PAGE, answer.status)
    if faults.take("error_in_success", occasion):
        error = {"error": {"code": "InternalServerError", "message": "Something went wrong.", "target": ""}}
        return JSONResponse(error, answer.status)
    if faults.take("about_another", occasion):
        return JSONResponse(_about_another(answer.as_json() or {}), answer.status, answer.headers)
    if drip := faults.take("drip", occasion):
        length = {"Content-Length": str(len(response.body))}
        drops = _drops(bytes(response.body), drip.seconds)
        return StreamingResponse(drops, answer.status, {**answer.headers, **length}, media_type="application/json")
    return response


def _about_another(body: Json) -> Json:
    """The same answer with somebody else's ids in it."""
    return dict(json.loads(json.dumps(body), object_hook=lambda row: {k: _WHOSE.get(k, v) for k, v in row.items()}))


async def _drops(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    for place in range(len(content)):
        yield content[place : place + 1]
        await asyncio.sleep(seconds)
