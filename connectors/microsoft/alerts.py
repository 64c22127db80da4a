"""Alerts with their evidence, from Graph.

Doubts kept from the facts: the largest `$top` is not stated, so pages are small and always followed; some
alerts (tuned, standalone, low-signal ones) are never in this list.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.microsoft.http import Api

PAGE_SIZE = 50
# Without it six remediation states, pendingApproval among them, come back as unknownFutureValue (Graph, alertEvidence).
_ALL_STATES = {"Prefer": "include-unknown-enum-members"}


def pages(api: Api, since: datetime | None) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield pages of alerts last updated at or after `since` (all of them for None), oldest first.

    Raises ConnectorError; pages before it stay good.
    """
    query = {"$orderby": "lastUpdateDateTime asc", "$top": str(PAGE_SIZE)}
    if since is not None:
        # Cut to milliseconds, that is, never later than asked.
        moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        query["$filter"] = f"lastUpdateDateTime ge {moment}"
    return api.pages("/v1.0/security/alerts_v2", query, headers=_ALL_STATES)
