"""Row A4, and how long sessions last."""

import time

import pytest
from django.conf import LazySettings
from django.test import Client

from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.portal.access.sign_in.conftest import enter, with_password

pytestmark = pytest.mark.django_db


def wait(client: Client, **seconds: float) -> None:
    """Let a session look so much older."""
    session = client.session
    for name, amount in seconds.items():
        session[f"sign_in_{name}_at"] -= amount
    session.save()


@pytest.fixture
def signed_in(ada: User) -> Client:
    client = Client()
    enter(client, with_password(ada).email)
    return client


def test_a_disabled_person_is_out_with_the_next_request(signed_in: Client, ada: User) -> None:
    assert signed_in.get("/api/v1/me/").status_code == 200
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert signed_in.get("/api/v1/me/").status_code == 401
    assert signed_in.get("/admin/")["Location"].startswith("/admin/login/")


def test_a_role_that_is_taken_or_given_counts_with_the_next_request(signed_in: Client, ada: User, acme: Tenant) -> None:
    with acting_for(acme.id):
        TenantMembership.objects.filter(user=ada).update(role=Role.READER)
    [tenant] = signed_in.get("/api/v1/me/").json()["tenants"]
    assert tenant["permissions"] == ["security data basics (read)"]
    with acting_for(acme.id):
        TenantMembership.objects.filter(user=ada).update(role=Role.APPROVER)
    assert signed_in.get("/api/v1/me/").status_code == 403
    with acting_for(acme.id):
        TenantMembership.objects.filter(user=ada).delete()
    assert signed_in.get("/api/v1/me/").json()["tenants"] == []


def test_a_form_from_before_a_new_sign_in_is_told_to_be_too_old(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    answer = client.post("/admin/password_change/", {"csrfmiddlewaretoken": "x" * 64})

    assert answer.status_code == 403
    assert "This page is too old" in answer.content.decode()


def test_an_idle_session_ends_and_one_in_use_does_not(signed_in: Client, history) -> None:
    for _ in range(3):
        wait(signed_in, seen=1790)
        assert signed_in.get("/api/v1/me/").status_code == 200
    wait(signed_in, seen=1801)
    assert signed_in.get("/api/v1/me/").status_code == 401
    assert history()[-1][1]["reason"] == "idle"


def test_no_session_outlives_a_working_day_however_busy(signed_in: Client, history) -> None:
    wait(signed_in, started=35_990)
    assert signed_in.get("/api/v1/me/").status_code == 200
    wait(signed_in, started=20)
    assert signed_in.get("/api/v1/me/").status_code == 401
    assert history()[-1][1]["reason"] == "older than allowed"
    assert "session was over" in signed_in.get("/accounts/login/").content.decode()


def test_the_limits_are_settings(signed_in: Client, settings: LazySettings) -> None:
    settings.SESSION_IDLE_SECONDS = 60
    wait(signed_in, seen=61)
    assert signed_in.get("/api/v1/me/").status_code == 401


def test_signing_in_gives_the_session_a_new_id(ada: User) -> None:
    with_password(ada)
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = str(session.session_key)
    client.cookies["quell_session"] = planted
    enter(client, ada.email)
    assert client.cookies["quell_session"].value != planted
    other = Client()
    other.cookies["quell_session"] = planted
    assert other.get("/api/v1/me/").status_code == 401


def test_reading_pages_seldom_writes_the_session(signed_in: Client, django_assert_num_queries) -> None:
    before = signed_in.session["sign_in_seen_at"]
    signed_in.get("/api/v1/me/")
    assert signed_in.session["sign_in_seen_at"] == before
    wait(signed_in, seen=61)
    signed_in.get("/api/v1/me/")
    assert time.time() - signed_in.session["sign_in_seen_at"] < 5
