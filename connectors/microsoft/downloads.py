"""What actions bring back: short-lived links for people, and the transcripts that tell how a script ended.

Microsoft keeps the results; Quell stores neither link nor file. A live-response link is good for 30 minutes, a
package link for "a short time", and either can be asked for again (Defender "Get live response results", "Get package
SAS URI"; the latter at most 2 times a minute and 120 an hour).
"""

import json
from dataclasses import dataclass
from urllib.parse import quote

from connectors.microsoft.http import Api, leads_to_microsoft
from connectors.protocol import ActionRequest, DownloadLink, OutcomeUnknown, Refused

LIVE_RESPONSE_LINK_SECONDS = 30 * 60
# Our scripts write a few lines; a device that sends more is not to be trusted with our memory.
LARGEST_TRANSCRIPT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Transcript:
    """How a script ended, in Microsoft's fields: exit code, standard output, standard error."""

    exit_code: int
    output: str
    errors: str


def package_link(api: Api, request: ActionRequest) -> DownloadLink:
    """Return a fresh link to a collected investigation package. Raises Refused (404) while it is being collected."""
    return DownloadLink(_link(api, request, "getPackageUri"), None)


def command_link(api: Api, request: ActionRequest, index: int) -> DownloadLink:
    """Return a fresh link to what one command of a live response brought back. Raises Refused, ConnectorError."""
    function = f"GetLiveResponseResultDownloadLink(index={int(index)})"
    return DownloadLink(_link(api, request, function), LIVE_RESPONSE_LINK_SECONDS)


def read_transcript(api: Api, request: ActionRequest) -> Transcript:
    """Return how the first script of a live response ended.

    Raises Refused when it is too large or not there, OutcomeUnknown when it cannot be read now.
    """
    content = api.fetch(command_link(api, request, 0).url, most_bytes=LARGEST_TRANSCRIPT)
    try:
        # Not strict: Microsoft's own sample has bare line ends inside its texts.
        found = json.loads(content.decode("utf-8-sig", errors="replace"), strict=False)
        return Transcript(int(found["exit_code"]), _text(found["script_output"]), _text(found.get("script_errors")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutcomeUnknown(f"The transcript of action {request.action_id} is unreadable; try again later.") from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _link(api: Api, request: ActionRequest, function: str) -> str:
    if not request.remote_id:
        raise Refused("This action was never accepted by Defender; it has brought back nothing.", code="NoResult")
    answer = api.get(f"/api/machineactions/{quote(request.remote_id, safe='')}/{function}")
    link = str((answer.body or {}).get("value") or "").strip('"')  # a package link comes with quotes inside
    if not leads_to_microsoft(link, api.url):
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with no link of its own; try again later.")
    return link
