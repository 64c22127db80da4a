"""Devices as Defender for Endpoint lists them."""

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.microsoft.http import Api
from connectors.protocol import Refused

PAGE_SIZE = 1000


def devices(api: Api) -> Iterator[Mapping[str, Any]]:
    """Yield the tenant's machines. A 404 means that none were seen lately (Defender "List machines API").

    Raises ConnectorError.
    """
    try:
        for page in api.pages("/api/machines", {"$top": str(PAGE_SIZE), "$skip": "0"}):
            yield from page
    except Refused as error:
        if error.code not in {"404", "NotFound", "ResourceNotFound"}:
            raise
