"""Lists about vulnerabilities are read to their end, also from a server that gives less than it is asked for."""

import socket
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.microsoft.http import Api
from connectors.microsoft.vulnerabilities import Vulnerabilities
from tests.connectors.microsoft.conftest import Wire, http


@pytest.mark.parametrize("most", [1_000, 2_000, 10_000])
def test_a_page_of_whole_thousands_is_not_taken_for_the_last(api: Api, wire: Wire, most: int) -> None:
    rows = [{"id": f"{number:040x}"} for number in range(3_500)]

    def script(out: socket.socket, request: bytes) -> None:
        query = parse_qs(urlsplit(request.split()[1].decode()).query)
        start, wanted = int(query["$skip"][0]), int(query["$top"][0])
        out.sendall(http(200, {"value": rows[start : start + min(wanted, most)]}))

    wire.script = script

    assert [row for page in Vulnerabilities(api).exposed_devices("va-_-x-_-y") for row in page] == rows
