"""Who is told by mail that the glass was broken: once, later where mail does not go out, and again if nobody looks."""

import smtplib
from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from django.core import mail
from pytest_django import Settings

from portal.access.models import User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.safeguards import alarms, tasks
from remediation.safeguards.models import BreakGlass
from tests.conftest import make_member
from tests.remediation.safeguards.test_break_glass import REASON, AsActor, ago, bix, change, open_one, quiet_bells, use

__all__ = ["bix", "quiet_bells", "use"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_everybody_who_decides_is_told_by_mail_once(
    acme: Tenant, globex: Tenant, bix: User, bob: User, tess: User, pia: User, gil: User, ren: User, as_actor: AsActor
) -> None:
    gone = make_member("gone", acme, Role.APPROVER)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    use = open_one(acme, as_actor(bix))
    tasks.alarm(str(acme.id))
    tasks.alarm(str(acme.id))
    assert sorted(address for message in mail.outbox for address in message.to) == sorted(
        [bob.email, tess.email, pia.email]
    )
    assert all(len(message.to) == 1 and REASON in message.body for message in mail.outbox)
    with acting_for(acme.id):
        assert BreakGlass.objects.get(pk=use.pk).alarmed_at is not None


def test_opening_rings_after_commit_and_the_sweep_rings_for_what_was_not_sent(
    acme: Tenant,
    bix: User,
    bob: User,
    as_actor: AsActor,
    monkeypatch: pytest.MonkeyPatch,
    forget_cache: Callable[[], None],
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: rung.append((name, args)))
    open_one(acme, as_actor(bix))
    assert rung == [(alarms.TASK, [str(acme.id)])]
    tasks.sweep()
    assert len(rung) == 1  # a bell that was just rung is quiet for a minute
    forget_cache()
    tasks.sweep()
    assert len(rung) == 2
    tasks.alarm(str(acme.id))
    forget_cache()
    tasks.sweep()
    assert len(rung) == 2  # it has gone out


def test_mail_that_does_not_go_out_stays_due(
    use: BreakGlass, bob: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    class Broken:
        def send_messages(self, messages: object) -> None:
            raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as broken:
        broken.setattr(alarms, "get_connection", Broken)
        tasks.alarm(str(use.tenant_id))
    settings.EMAIL_IS_CONFIGURED = False
    tasks.alarm(str(use.tenant_id))
    with acting_for(use.tenant_id):
        assert BreakGlass.objects.get(pk=use.pk).alarmed_at is None
    settings.EMAIL_IS_CONFIGURED = True
    tasks.alarm(str(use.tenant_id))
    assert [message.to for message in mail.outbox] == [[bob.email]]


def test_an_overdue_review_is_called_out_once_more(use: BreakGlass, bob: User) -> None:
    tasks.alarm(str(use.tenant_id))
    change(use, review_before=ago(seconds=1))
    tasks.alarm(str(use.tenant_id))
    tasks.alarm(str(use.tenant_id))
    assert [message.subject.split(" for ")[0] for message in mail.outbox] == [
        "Break glass was opened",
        "The review of a break-glass use",
    ]
