"""What every registered connector promises, tried on each of them."""

import socket
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.utils.module_loading import import_string

from connectors.protocol import ActionRequest, NotSent, Refused
from connectors.registry import CONNECTORS, open_connection
from portal.secrets.secret_text import SecretText
from tests.connectors.microsoft.conftest import Simulator

pytestmark = pytest.mark.process

ISOLATE = ActionRequest(uuid4(), "isolate_device", "a" * 40, {"isolation_type": "Full"}, "why")


@pytest.fixture(params=CONNECTORS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_is_what_it_is_registered_as(kind: str) -> None:
    connector: Any = import_string(CONNECTORS[kind])

    assert connector.kind == kind
    assert isinstance(connector.action_types, frozenset)
    assert connector.action_types
    assert all(callable(getattr(connector, verb)) for verb in ("send", "look_up", "download_link", "devices", "alerts"))


def test_one_connector_a_setting(kind: str, simulator: Simulator) -> None:
    settings = replace(simulator.settings, kind=kind)

    assert open_connection(settings, deadline_seconds=2) is open_connection(replace(settings), deadline_seconds=2)
    other = replace(settings, client_secret=SecretText("another"))
    assert open_connection(other, deadline_seconds=2) is not open_connection(settings, deadline_seconds=2)


def test_an_unknown_kind_says_what_there_is(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="microsoft"):
        open_connection(replace(simulator.settings, kind="unheard-of"), deadline_seconds=2)


def test_a_type_it_does_not_have_is_refused(kind: str, simulator: Simulator) -> None:
    connector = open_connection(replace(simulator.settings, kind=kind), deadline_seconds=2)

    with pytest.raises(Refused, match="make_coffee"):
        connector.send(replace(ISOLATE, type="make_coffee"), before_sending=lambda: None)
    assert connector.look_up([replace(ISOLATE, type="make_coffee")]).unanswered == {ISOLATE.action_id}


def test_a_veto_at_the_last_moment_sends_nothing(kind: str, simulator: Simulator) -> None:
    def veto() -> None:
        raise LookupError("frozen")

    with pytest.raises(LookupError):
        open_connection(replace(simulator.settings, kind=kind), deadline_seconds=2).send(ISOLATE, before_sending=veto)
    assert simulator.accepted() == []


def test_nobody_there_is_not_sent_and_names_no_secret(kind: str, simulator: Simulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"https://127.0.0.1:{gone.getsockname()[1]}"
    settings = replace(simulator.settings, kind=kind, login_url=url, client_secret=SecretText("s3cret-canary"))

    with pytest.raises(NotSent) as caught:
        open_connection(settings, deadline_seconds=2).send(ISOLATE, before_sending=lambda: None)

    assert "s3cret-canary" not in f"{caught.value!r} {settings!r}"


def test_an_address_without_https_is_never_opened(kind: str, simulator: Simulator) -> None:
    settings = replace(simulator.settings, kind=kind, graph_url=simulator.url.replace("https", "http"))

    with pytest.raises(ValueError, match="https"):
        open_connection(settings, deadline_seconds=2)
