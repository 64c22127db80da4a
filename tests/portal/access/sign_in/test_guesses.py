"""Row A3: guesses reach the hasher seldom, and a flood of them locks out nobody who signs in from where they do."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from unittest import mock

import pytest
from allauth.core.context import request_context
from django.conf import LazySettings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client, RequestFactory

from portal.access.addresses import client_address
from portal.access.models import User
from portal.access.sign_in.account_adapter import AccountAdapter
from tests.portal.access.sign_in.conftest import enter, with_password

pytestmark = pytest.mark.django_db

HOME = "198.51.100.7"


@contextmanager
def counted_hasher() -> Iterator[list[str]]:
    """Count how often a password is really hashed, for people who exist and for those who do not."""
    runs: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: MD5PasswordHasher, password: str, salt: str) -> str:
        runs.append(password)
        return encode(self, password, salt)

    with mock.patch.object(MD5PasswordHasher, "encode", counting):
        yield runs


def guess(email: str, number: int, address: str) -> None:
    """Try a password as the sign-in page does, without the page around it."""
    request = RequestFactory().post("/accounts/login/", REMOTE_ADDR=address)
    with request_context(request), suppress(ValidationError):
        assert AccountAdapter().authenticate(request, email=email, password=f"guess {number}") is None


def test_a_thousand_guesses_from_fifty_addresses_hash_twenty_times_and_lock_nobody_out(ada: User, history) -> None:
    with_password(ada)
    enter(Client(), ada.email, REMOTE_ADDR=HOME)
    with counted_hasher() as runs:
        for number in range(1000):
            guess(ada.email, number, f"203.0.113.{number % 50}")
        assert len(runs) == 20
        stranger = enter(Client(), ada.email, REMOTE_ADDR="203.0.113.99")
        assert "Too many failed login attempts" in stranger.content.decode()
        assert len(runs) == 20
        assert enter(Client(), ada.email, REMOTE_ADDR=HOME).status_code == 302
    refusals = [data["reason"] for verb, data in history() if verb == "sign_in.refused"]
    assert (len(refusals), refusals.count("too many guesses")) == (21, 1)


def test_a_browser_that_signed_the_person_in_before_gets_in_from_anywhere(ada: User, bob: User) -> None:
    with_password(ada)
    laptop = Client()
    enter(laptop, ada.email, REMOTE_ADDR=HOME)
    laptop.post("/accounts/logout/")
    for number in range(30):
        guess(ada.email, number, f"203.0.113.{number}")
    forged = Client()
    forged.cookies["quell_device"] = laptop.cookies["quell_device"].value[:-1] + "x"
    assert enter(forged, ada.email, REMOTE_ADDR="192.0.2.1").status_code == 200
    assert enter(laptop, ada.email, REMOTE_ADDR="192.0.2.1").status_code == 302


def test_a_known_browser_has_a_small_allowance_and_it_is_for_its_own_person_alone(ada: User, bob: User) -> None:
    for user in (ada, bob):
        with_password(user)
    laptop = Client()
    enter(laptop, ada.email, REMOTE_ADDR=HOME)
    laptop.post("/accounts/logout/")
    with counted_hasher() as runs:
        for number in range(30):
            enter(laptop, ada.email, f"guess {number}", REMOTE_ADDR="192.0.2.1")
        assert len(runs) == 10
        for number in range(30):
            enter(laptop, bob.email, f"guess {number}", REMOTE_ADDR=f"192.0.2.{number + 10}")
        assert len(runs) == 30


def test_one_address_that_tries_a_thousand_people_is_held_back(db: None) -> None:
    with counted_hasher() as runs:
        for number in range(1000):
            guess(f"person-{number}@acme.example", number, "203.0.113.1")
        assert len(runs) == 30
        for number in range(100):
            guess(f"person-{number}@globex.example", number, f"2001:db8::{number:x}")
        assert len(runs) == 60, "a customer's whole IPv6 network counts as one"


def test_right_passwords_use_up_nobodys_allowance(ada: User) -> None:
    with_password(ada)
    for _ in range(32):
        assert enter(Client(), ada.email, REMOTE_ADDR="203.0.113.1").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_guesses_made_at_once_do_not_slip_past_the_count(ada: User) -> None:
    with_password(ada)

    def one(number: int) -> None:
        guess(ada.email, number, f"203.0.113.{number % 50}")
        connection.close()

    with counted_hasher() as runs, ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))
    assert len(runs) == 20


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (0, "192.0.2.1", "10.0.0.1"),
        (1, "192.0.2.66, 192.0.2.1", "192.0.2.1"),
        (2, "192.0.2.66, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
        (2, "192.0.2.66", "10.0.0.1"),
        (1, "nonsense", "10.0.0.1"),
        (1, "192.0.2.1:4711", "192.0.2.1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        (1, "", "10.0.0.1"),
    ],
)
def test_the_clients_address_is_what_the_trusted_proxies_saw(
    settings: LazySettings, proxies: int, forwarded: str, found: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})
    assert str(client_address(request)) == found


def test_without_any_address_there_is_none() -> None:
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="")) is None
