"""The addresses for load balancers: what they say, without what, how soon, and what they leave alone."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from portal import health

pytestmark = pytest.mark.django_db


def get(path: str) -> Any:
    """Ask as a load balancer does: in plain http, and by an address."""
    return Client(headers={"host": "10.0.0.7:8000"}).get(path)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port where somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    """Lead everybody to https, and answer to one name alone."""
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["quell.example"]


def test_all_is_well_and_nobody_is_asked_who_they_are(django_assert_num_queries: Any) -> None:
    assert get("/accounts/login/").status_code != 200
    with django_assert_num_queries(0):
        live, ready = get("/health/live"), get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "database": "reached", "broker": "reached"},
    )
    for answer in (live, ready):
        assert (answer["Cache-Control"], answer["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert not answer.cookies


def test_without_the_database_it_is_alive_and_not_ready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    ready = get("/health/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "not ready", "not reached")
    assert get("/health/live").status_code == 200
    assert "/nowhere" not in caplog.text + ready.content.decode()


def test_without_the_broker_it_is_ready_and_says_so(settings: Any) -> None:
    settings.BROKER_URL = "redis://:secret@127.0.0.1:1/0"
    ready = get("/health/ready")
    assert (ready.status_code, ready.json()["broker"]) == (200, "not reached")


def test_a_database_that_says_nothing_is_not_waited_for_and_is_found_again(
    monkeypatch: pytest.MonkeyPatch, silent_server: int
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 1)
    with monkeypatch.context() as away:
        away.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        away.setitem(connection.settings_dict, "PORT", str(silent_server))
        for _probe in range(2):
            began = time.monotonic()
            assert get("/health/ready").status_code == 503
            assert time.monotonic() - began < 1.9
    began = time.monotonic()
    while get("/health/ready").status_code != 200:
        assert time.monotonic() - began < 10
