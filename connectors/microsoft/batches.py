"""Many reads of Graph in one call.

`$batch` takes 20 parts; they come back in any order, and the outer 200 says nothing about any of them: each has its own
status and its own throttling (facts: JSON batching). Only reads go this way; what acts goes alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import httpx

from connectors.microsoft.http import Answer, Api, classify
from connectors.protocol import ConnectorError, NotSent, OutcomeUnknown

PARTS_AT_MOST: Final = 20
TROUBLES_AT_MOST: Final = 2
"""After so many calls that failed as a whole the service is taken to be away, and the rest is left for later."""

_PATH: Final = "/v1.0/$batch"


def read(api: Api, urls: Sequence[str]) -> list[Answer | ConnectorError]:
    """Read each of Graph's v1.0 addresses (paths), and return an answer or what went wrong, in the same order."""
    read: list[Answer | ConnectorError] = []
    troubles = 0
    for start in range(0, len(urls), PARTS_AT_MOST):
        some = urls[start : start + PARTS_AT_MOST]
        try:
            read += _read_some(api, some)
        except ConnectorError as error:
            troubles += TROUBLES_AT_MOST if isinstance(error, NotSent) else 1
            read += [error] * (len(some) if troubles < TROUBLES_AT_MOST else len(urls) - start)
            if troubles >= TROUBLES_AT_MOST:
                break
    return read


def _read_some(api: Api, urls: Sequence[str]) -> Iterator[Answer | ConnectorError]:
    parts = [
        {"id": str(number), "method": "GET", "url": url.removeprefix("/v1.0")} for number, url in enumerate(urls, 1)
    ]
    rows = (api.inquire(_PATH, {"requests": parts}).body or {}).get("responses")
    answers = {str(row.get("id")): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    return (_understood(answers.get(str(number)), url) for number, url in enumerate(urls, 1))


def _understood(part: Mapping[str, object] | None, url: str) -> Answer | ConnectorError:
    what = f"GET {url.partition('?')[0]}"
    if part is None or not isinstance(part.get("status"), int):
        return OutcomeUnknown(f"{what} was left out of the answer to a batch; try again later.")
    body, headers = part.get("body"), part.get("headers")
    answer = Answer(
        int(str(part["status"])),
        httpx.Headers({str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}),
        body if isinstance(body, dict) else None,
    )
    return classify(answer, what) or answer
