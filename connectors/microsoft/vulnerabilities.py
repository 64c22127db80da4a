"""Vulnerability management as Defender for Endpoint gives it: recommendations, devices and CVEs of each, activities.

Doubts kept from the facts (6.5): no page prints a quota for these lists, so the everyday one is assumed, each list for
itself; `$top` and `$skip` are documented for the lists of recommendations and remediation tasks and assumed for the
lists of one recommendation. A list that pays no heed to them is taken as it comes, whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from connectors.microsoft.http import Api

LARGEST_PAGE: Final = 10_000
"""The most rows a page may have (Defender "List remediation activities")."""

ROUND: Final = 1000
"""A page of just so many rows, or of a few times that, may be all that a server gives at once, whatever `$top` says."""

Rows = Sequence[Mapping[str, Any]]


class Vulnerabilities:
    """Reads what is weak on one tenant's devices. Every method yields pages of Microsoft's rows; ConnectorError."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def recommendations(self) -> Iterator[Rows]:
        """Yield pages of all security recommendations."""
        return self._pages("/api/recommendations")

    def exposed_devices(self, recommendation_id: str) -> Iterator[Rows]:
        """Yield pages of references to the machines exposed to one recommendation."""
        return self._pages(f"/api/recommendations/{quote(recommendation_id, safe='')}/machineReferences")

    def weaknesses(self, recommendation_id: str) -> Iterator[Rows]:
        """Yield pages of the vulnerabilities (CVEs) of one recommendation."""
        return self._pages(f"/api/recommendations/{quote(recommendation_id, safe='')}/vulnerabilities")

    def remediation_tasks(self) -> Iterator[Rows]:
        """Yield pages of the remediation activities that were made in Defender itself."""
        return self._pages("/api/remediationTasks")

    def _pages(self, path: str) -> Iterator[Rows]:
        first: Mapping[str, Any] | None = None
        seen, may_go_on = 0, True
        while may_go_on:
            for page in self._api.pages(path, {"$top": str(LARGEST_PAGE), "$skip": str(seen)}):
                if page and page[0] == first:
                    return  # `$skip` was passed over: this is the page before once more
                first = page[0] if page else None
                yield page
                seen += len(page)
                may_go_on = len(page) > 0 and len(page) % ROUND == 0
