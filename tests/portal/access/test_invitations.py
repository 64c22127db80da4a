"""Invitations: who is told how to set a password, by what link, and for how long."""

import re
import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from portal.access import invitations
from portal.access.models import Invitation, User

pytestmark = pytest.mark.django_db


def link_in(message: Any) -> str:
    return str(re.search(r"https?://\S+?(/accounts/\S+)", message.body)[1])  # type: ignore[index]


def test_whoever_is_new_gets_one_mail_with_a_link_that_lets_them_choose_a_password() -> None:
    user, is_new = invitations.find_or_invite("new@acme.example")
    assert is_new
    assert [invitations.send_due(), invitations.send_due()] == [1, 0]
    [message] = mail.outbox
    assert message.to == ["new@acme.example"]
    client = Client()
    page = client.get(link_in(message), follow=True)
    chosen = {"password1": "correct horse battery", "password2": "correct horse battery"}
    answer = client.post(page.redirect_chain[-1][0], chosen)
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password("correct horse battery")
    again = Client().get(link_in(message))
    assert again["Location"] == "/accounts/login/"


def test_the_link_ends_and_cannot_be_made_up(settings: Any, monkeypatch: Any) -> None:
    invitations.find_or_invite("new@acme.example")
    invitations.send_due()
    link = link_in(mail.outbox[0])
    assert Client().get(link[:-2] + "x/").status_code == 404
    monkeypatch.setattr(invitations, "LINK_LIVES", timedelta(seconds=-1))
    assert Client().get(link).status_code == 404


def test_people_who_can_sign_in_robots_and_the_switched_off_are_told_nothing() -> None:
    User.objects.create_user("has@acme.example", "correct horse battery")
    User.objects.create_user("off@acme.example", is_active=False)
    User.objects.create_user("robot@acme.example", is_service_account=True)
    User.objects.create_user("sso@acme.example", last_login=timezone.now())
    for name in ("has", "off", "robot", "sso"):
        assert invitations.find_or_invite(f"{name}@acme.example")[1] is False
    assert not Invitation.objects.exists()


def test_a_mail_server_that_fails_is_asked_again_later(monkeypatch: Any) -> None:
    def refuse(*_: object) -> None:
        raise smtplib.SMTPServerDisconnected

    invitations.find_or_invite("new@acme.example")
    with monkeypatch.context() as broken:
        broken.setattr(invitations, "send_mail", refuse)
        assert invitations.send_due() == 0
    assert invitations.send_due() == 0
    Invitation.objects.update(claimed_at=timezone.now() - timedelta(minutes=6))
    assert invitations.send_due() == 1


def test_without_a_mail_server_invitations_wait(settings: Any) -> None:
    settings.EMAIL_IS_CONFIGURED = False
    invitations.find_or_invite("new@acme.example")
    assert invitations.send_due() == 0
    settings.EMAIL_IS_CONFIGURED = True
    assert invitations.send_due() == 1
