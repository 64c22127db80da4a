"""The first step of signing in, and everything one may do about one's password."""

import re

import pytest
from django.conf import LazySettings
from django.core import mail
from django.test import Client

from portal import settings as shipped
from portal.access.models import User
from tests.portal.access.sign_in.codes import code, give_app
from tests.portal.access.sign_in.conftest import PASSWORD, enter, with_password

pytestmark = pytest.mark.django_db


def test_a_person_signs_in_by_e_mail_in_any_case_and_it_is_on_record(ada: User, history) -> None:
    with_password(ada)
    client = Client()
    answer = enter(client, "ADA@acme.example")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/v1/me/").json()["email"] == ada.email
    [(verb, data)] = history()
    assert (verb, data["means"], data["address"]) == ("sign_in.succeeded", ["password"], "127.0.0.1")


@pytest.mark.parametrize("typed", ["ada@acme.example", "nobody@acme.example"])
def test_a_wrong_password_and_an_unknown_address_are_told_alike(ada: User, typed: str, history) -> None:
    with_password(ada)
    client = Client()
    answer = enter(client, typed, "something else")
    assert answer.status_code == 200
    assert "The email address and/or password you specified are not correct." in answer.content.decode()
    assert client.get("/api/v1/me/").status_code == 401
    [(verb, data)] = history()
    assert (verb, data["is_known"]) == ("sign_in.refused", typed == ada.email)


def test_what_is_kept_of_a_password_is_its_argon2_hash(ada: User, settings: LazySettings) -> None:
    settings.PASSWORD_HASHERS = shipped.PASSWORD_HASHERS  # the suite hashes quickly otherwise

    assert with_password(ada).password.startswith("argon2$argon2id$")
    assert ada.check_password(PASSWORD)


def test_a_service_account_and_a_disabled_person_never_get_a_session(acme: object) -> None:
    robot = User.objects.create_user("robot@acme.example", PASSWORD, is_service_account=True)
    gone = User.objects.create_user("gone@acme.example", PASSWORD, is_active=False)
    for user in (robot, gone):
        client = Client()
        assert enter(client, user.email).status_code == 200
        client.force_login(user)
        assert client.get("/api/v1/me/").status_code == 401


def test_the_admin_has_no_door_of_its_own(ada: User) -> None:
    with_password(ada)
    client = Client()
    assert client.get("/admin/", follow=True).redirect_chain[-1] == ("/accounts/login/?next=%2Fadmin%2F", 302)
    tried = client.post("/admin/login/", {"username": ada.email, "password": PASSWORD})
    assert tried["Location"].startswith("/accounts/login/")
    assert client.get("/api/v1/me/").status_code == 401
    enter(client, ada.email)
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert client.post("/admin/logout/", follow=True).status_code == 200
    assert client.get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize("path", ["signup/", "email/", "password/set/", "login/code/confirm/", "3rdparty/"])
def test_pages_of_the_library_that_nobody_needs_are_not_there(db: None, path: str) -> None:
    assert Client().get(f"/accounts/{path}").status_code == 404


def test_a_new_password_ends_the_other_sessions_and_is_on_record(ada: User, history) -> None:
    with_password(ada)
    here, elsewhere = Client(), Client()
    enter(here, ada.email)
    enter(elsewhere, ada.email)
    form = {"oldpassword": PASSWORD, "password1": "another long password", "password2": "another long password"}
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert here.get("/api/v1/me/").status_code == 200
    assert elsewhere.get("/api/v1/me/").status_code == 401
    assert history()[-1][0] == "password.changed"


def test_signing_out_everywhere_else_keeps_the_password(ada: User, history) -> None:
    with_password(ada)
    here, elsewhere = Client(), Client()
    enter(here, ada.email)
    enter(elsewhere, ada.email)
    assert here.post("/accounts/logout/everywhere/", {"password": "a guess"}).status_code == 200
    assert elsewhere.get("/api/v1/me/").status_code == 200
    assert here.post("/accounts/logout/everywhere/", {"password": PASSWORD}).status_code == 302
    assert (here.get("/api/v1/me/").status_code, elsewhere.get("/api/v1/me/").status_code) == (200, 401)
    assert history()[-1][1]["reason"] == "signed out everywhere else"
    assert enter(Client(), ada.email).status_code == 302


def test_a_reset_link_works_once_and_keeps_the_second_factor(ada: User) -> None:
    with_password(ada)
    give_app(ada)
    client = Client()
    client.post("/accounts/password/reset/", {"email": "ADA@acme.example"})
    [message] = mail.outbox
    [link] = re.findall(r"http://testserver(\S+)", str(message.body))
    form_page = client.get(link)["Location"]
    form = {"password1": "another long password", "password2": "another long password"}
    assert client.post(form_page, form).status_code == 302
    assert client.get("/api/v1/me/").status_code == 401
    assert "This link has ended" in Client().get(link).content.decode()
    assert enter(client, ada.email, "another long password")["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/api/v1/me/").status_code == 401
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert client.get("/api/v1/me/").status_code == 200


def test_a_reset_goes_to_the_accounts_own_address_and_to_no_look_alike(db: None) -> None:
    with_password(User.objects.create_user("mike@info.example"))
    for typed in ("mike@\N{LATIN SMALL LETTER DOTLESS I}nfo.example", "MIKE@Info.example"):
        assert Client().post("/accounts/password/reset/", {"email": typed}).status_code == 302
    assert [message.to for message in mail.outbox] == [["mike@info.example"]]


def test_a_reset_says_nothing_about_who_is_known_and_mails_no_stranger(ada: User, acme: object) -> None:
    User.objects.create_user("robot@acme.example", PASSWORD, is_service_account=True)
    with_password(ada)
    answers = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in (ada.email, "nobody@acme.example", "robot@acme.example")
    ]
    bodies = {re.sub(r"[\w-]{60,}", "", answer.content.decode()) for answer in answers}
    assert (len(bodies), [message.to for message in mail.outbox]) == (1, [[ada.email]])
