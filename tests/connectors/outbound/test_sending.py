"""Deliveries over real sockets: what arrives, what is tried again, what is given up, and what never leaves."""

import hashlib
import hmac
import json
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from connectors import transport
from connectors.outbound import posting, sending, services
from connectors.outbound.addresses import reachable_addresses
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.outcomes import NotDelivered
from connectors.outbound.sending import MOST_ATTEMPTS, PAUSES_SECONDS, has_due, send_next
from connectors.outbound.states import DeliveryState
from connectors.outbound.tasks import sweep
from connectors.outbound.telling import tell
from portal.access.actors import Actor
from portal.audit.models import AuditEvent
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.connectors.outbound.conftest import MailServer, Receiver, ledger, let_time_pass, overdue, tell_acme

pytestmark = pytest.mark.django_db(transaction=True)
MakeChannel = Callable[..., tuple[Channel, SecretText]]


def only(tenant: Tenant) -> Delivery:
    [delivery] = ledger(tenant)
    return delivery


def wait_of(delivery: Delivery) -> float:
    return (delivery.not_before - timezone.now()).total_seconds()


def test_a_webhook_is_signed_as_the_standard_says_and_the_channel_says_that_it_works(
    acme: Tenant, receiver: Receiver, make_channel: MakeChannel
) -> None:
    channel, secret = make_channel("webhook", receiver.url)
    assert tell_acme(acme) == 1

    assert send_next(acme.id)

    [(headers, body)] = receiver.requests
    delivery = only(acme)
    signed = f"{delivery.pk}.{headers['webhook-timestamp']}.".encode() + body
    key = b64decode(secret.reveal().removeprefix("whsec_"))
    assert len(key) == 32
    expected = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert (headers["webhook-id"], headers["webhook-signature"]) == (str(delivery.pk), f"v1,{expected}")
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    said = json.loads(body)
    assert (said["type"], said["data"]["tenant"]["name"]) == ("overdue", "Acme")
    assert said["data"]["facts"] == [{"label": "Device", "value": "pc-1"}]
    assert (delivery.state, delivery.http_status, delivery.attempts) == (DeliveryState.DELIVERED, 200, 1)
    with acting_for(acme.id):
        channel.refresh_from_db()
    assert channel.last_delivered_at
    assert channel.failing_since is None
    assert not send_next(acme.id)


@pytest.mark.parametrize(
    ("answer", "status", "in_doubt", "words"),
    [
        (500, 500, False, "answered 500"),
        ((302, {"Location": "http://localhost:1/"}), 302, False, "does not follow"),
        ("reset", None, True, "broke off"),
        ("drip", None, True, "did not answer in time"),
    ],
)
def test_what_did_not_surely_arrive_is_tried_again_under_the_same_id(
    acme: Tenant,
    receiver: Receiver,
    make_channel: MakeChannel,
    settings: Any,
    answer: Any,
    status: int | None,
    in_doubt: bool,
    words: str,
) -> None:
    settings.OUTBOUND_DEADLINE_SECONDS = 0.6 if answer == "drip" else 10
    channel, _secret = make_channel("webhook", receiver.url)
    receiver.answers = [answer]
    tell_acme(acme)

    send_next(acme.id)

    delivery = only(acme)
    assert (delivery.state, delivery.http_status, delivery.was_in_doubt) == (DeliveryState.QUEUED, status, in_doubt)
    assert words in delivery.error
    assert "secret" not in delivery.error
    assert 5 < wait_of(delivery) < 15
    assert not has_due(acme.id)
    with acting_for(acme.id):
        channel.refresh_from_db()
    assert channel.failing_since

    settings.OUTBOUND_DEADLINE_SECONDS = 10
    let_time_pass(acme)
    send_next(acme.id)

    first, second = [headers["webhook-id"] for headers, _body in receiver.requests]
    assert first == second
    delivery = only(acme)
    assert (delivery.state, delivery.attempts, delivery.error) == (DeliveryState.DELIVERED, 2, "")
    with acting_for(acme.id):
        channel.refresh_from_db()
    assert channel.failing_since is None


def test_all_of_a_channel_waits_as_long_as_its_receiver_asks_for(
    acme: Tenant, receiver: Receiver, make_channel: MakeChannel
) -> None:
    make_channel("slack", receiver.url)
    receiver.answers = [(429, {"Retry-After": "1800"})]
    tell_acme(acme, "one")
    tell_acme(acme, "two")

    send_next(acme.id)

    assert [1700 < wait_of(delivery) < 1900 for delivery in ledger(acme)] == [True, True]
    assert not has_due(acme.id)


def test_pauses_grow_over_about_a_day_then_it_is_given_up_and_a_person_sends_it_again(
    acme: Tenant, receiver: Receiver, make_channel: MakeChannel, actor: Actor
) -> None:
    assert 20 * 3600 < sum(PAUSES_SECONDS) < 30 * 3600
    assert list(PAUSES_SECONDS) == sorted(PAUSES_SECONDS)
    make_channel("webhook", receiver.url)
    receiver.answers = [500] * MOST_ATTEMPTS
    tell_acme(acme)
    for _attempt in range(MOST_ATTEMPTS):
        let_time_pass(acme)
        assert send_next(acme.id)

    given_up = only(acme)
    assert (given_up.state, given_up.error) == (DeliveryState.FAILED, "The receiver answered 500.")
    let_time_pass(acme)
    assert not send_next(acme.id)
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(verb="delivery.given_up", object_id=given_up.pk).exists()
        again = services.replay(given_up.pk, actor=actor)
    send_next(acme.id)

    headers, body = receiver.requests[-1]
    assert headers["webhook-id"] == str(again.pk)
    assert json.loads(body)["data"]["replay_of"] == str(given_up.pk)
    old, new = ledger(acme)
    assert (old.state, new.state, new.replay_of_id) == (DeliveryState.FAILED, DeliveryState.DELIVERED, old.pk)
    assert new.asked_by_id == actor.id


def test_gone_for_good_is_given_up_at_once(acme: Tenant, receiver: Receiver, make_channel: MakeChannel) -> None:
    make_channel("teams", receiver.url)
    receiver.answers = [410]
    tell_acme(acme)
    send_next(acme.id)
    assert (only(acme).state, only(acme).attempts) == (DeliveryState.FAILED, 1)


def test_a_dead_workers_delivery_is_taken_over_and_its_late_word_does_not_count(
    acme: Tenant, receiver: Receiver, make_channel: MakeChannel
) -> None:
    make_channel("webhook", receiver.url)
    tell_acme(acme)
    ghost = sending._claim(acme.id)
    assert ghost is not None
    assert not send_next(acme.id)  # it is somebody's
    with acting_for(acme.id):
        Delivery.objects.update(lease_until=timezone.now())
    heir = sending._claim(acme.id)
    assert heir is not None

    sending._note_success(ghost, 200)
    assert only(acme).state == DeliveryState.SENDING
    sending._note_failure(heir, NotDelivered("The receiver answered 500.", http_status=500))

    delivery = only(acme)
    assert (delivery.state, delivery.was_in_doubt, delivery.attempts) == (DeliveryState.QUEUED, True, 2)


def test_one_key_tells_once_and_what_is_rolled_back_was_never_told(
    acme: Tenant, globex: Tenant, receiver: Receiver, make_channel: MakeChannel
) -> None:
    make_channel("slack", receiver.url, name="wants it")
    make_channel("slack", receiver.url, name="wants other things", events=["due_soon"])
    make_channel("slack", receiver.url, name="is off", is_on=False)
    with acting_for(acme.id):
        assert tell(acme.id, overdue(), key="one") == 1
        transaction.set_rollback(True)
    assert ledger(acme) == []

    assert (tell_acme(acme), tell_acme(acme), tell_acme(globex)) == (1, 0, 0)
    assert only(acme).channel_name == "wants it"


def test_a_channel_is_told_in_its_own_language(acme: Tenant, receiver: Receiver, make_channel: MakeChannel) -> None:
    make_channel("slack", receiver.url, language="de")
    tell_acme(acme, subject=format_lazy("{what}: 7-zip", what=gettext_lazy("Password")))
    assert only(acme).subject == "Passwort: 7-zip"


def test_a_mail_goes_out_over_smtp_and_nobodys_words_become_headers(
    acme: Tenant, mail_server: MailServer, make_channel: MakeChannel
) -> None:
    make_channel("email", emails=["it@acme.example", "helpdesk@acme.example"])
    tell_acme(
        acme,
        subject="Overdue\r\nBcc: everybody@evil.example",
        facts=[("Device", "pc-1\n.\r\nMAIL FROM:<a@b>"), ("Path", "‮gnp.exe")],
    )
    mail_server.refuses = {"DATA": 451}

    send_next(acme.id)
    assert (only(acme).state, only(acme).error) == (DeliveryState.QUEUED, "The mail server answered 451.")
    let_time_pass(acme)
    send_next(acme.id)

    [(recipients, _raw)] = mail_server.mails
    found = mail_server.mail()
    assert recipients == ["it@acme.example", "helpdesk@acme.example"]
    assert found["Bcc"] is None
    assert found["Subject"] == "[Acme] Overdue Bcc: everybody@evil.example"
    assert found["Message-ID"] == f"<{only(acme).pk}@provider.example>"
    text = found.get_content()
    assert "Device: pc-1 . MAIL FROM:<a@b>\n" in text.replace("\r\n", "\n")
    assert "‮" not in text
    assert (only(acme).state, only(acme).http_status) == (DeliveryState.DELIVERED, None)


def test_a_mail_server_that_breaks_off_leaves_a_doubt_and_the_second_mail_has_the_same_id(
    acme: Tenant, mail_server: MailServer, make_channel: MakeChannel
) -> None:
    make_channel("email", emails=["it@acme.example"])
    tell_acme(acme)
    mail_server.refuses = {"after": 1}
    send_next(acme.id)
    assert (only(acme).state, only(acme).was_in_doubt) == (DeliveryState.QUEUED, True)
    let_time_pass(acme)
    send_next(acme.id)
    assert mail_server.mail(0)["Message-ID"] == mail_server.mail(1)["Message-ID"]


def test_without_a_mail_server_the_ledger_says_so(acme: Tenant, make_channel: MakeChannel, settings: Any) -> None:
    settings.EMAIL_IS_CONFIGURED = False
    make_channel("email", emails=["it@acme.example"])
    tell_acme(acme)
    send_next(acme.id)
    assert "EMAIL_HOST" in only(acme).error


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's certificate for localhost, and the file with the authority that signed it."""
    signer = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer.issue_cert("localhost").configure_cert(context)
    signer.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return context, str(tmp_path / "ca.pem")


def test_tls_is_checked_against_the_name_and_the_name_is_looked_up_once(
    acme: Tenant,
    listen: Callable[..., Receiver],
    make_channel: MakeChannel,
    authority: tuple[ssl.SSLContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, ca_file = authority
    receiver = listen(context)
    make_channel("webhook", receiver.url)
    tell_acme(acme)
    send_next(acme.id)
    assert "certificate" in only(acme).error
    assert receiver.requests == []
    names: list[Any] = []
    resolve = socket.getaddrinfo

    def note(host: Any, *rest: Any, **options: Any) -> Any:
        names.append(host)
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    monkeypatch.setattr(posting, "trust_bundle", lambda _system: ssl.create_default_context(cafile=ca_file))

    let_time_pass(acme)
    send_next(acme.id)

    assert only(acme).state == DeliveryState.DELIVERED
    assert names.count("localhost") == 1  # a second look-up could lead elsewhere


def test_whom_to_trust_is_read_once_and_every_address_is_checked_anew(
    acme: Tenant, receiver: Receiver, make_channel: MakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    checked: list[str] = []

    def note(host: str, port: int) -> list[str]:
        checked.append(host)
        return reachable_addresses(host, port)

    def read_bundle(**options: object) -> ssl.SSLContext:
        read.append(options)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", read_bundle)
    monkeypatch.setattr(posting, "reachable_addresses", note)
    transport.trust_bundle.cache_clear()
    make_channel("webhook", receiver.url)
    for key in ("one", "two", "three"):
        tell_acme(acme, key)
        send_next(acme.id)
    transport.trust_bundle.cache_clear()
    assert [row.state for row in ledger(acme)] == [DeliveryState.DELIVERED] * 3
    assert (len(read), len(checked)) == (1, 3)


def test_outside_development_nothing_is_sent_into_a_private_network(
    acme: Tenant, listen: Callable[..., Receiver], make_channel: MakeChannel, authority: Any, settings: Any
) -> None:
    receiver = listen(authority[0])
    make_channel("webhook", receiver.url)  # a name: where it leads is seen when it is sent
    settings.IS_DEVELOPMENT = False
    tell_acme(acme)
    send_next(acme.id)
    assert (only(acme).state, receiver.connections) == (DeliveryState.FAILED, 0)
    assert "private network" in only(acme).error


def test_the_sweep_rings_for_what_is_due_and_deletes_nothing(
    acme: Tenant, globex: Tenant, receiver: Receiver, make_channel: MakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr("connectors.outbound.tasks.ring", rung.append)
    make_channel("slack", receiver.url)
    tell_acme(acme, "old")
    with acting_for(acme.id):
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=4000), state="delivered")
    tell_acme(acme, "new")

    sweep()

    assert rung == [acme.id]
    assert [delivery.key for delivery in ledger(acme)] == ["old", "new"]  # what is old, retention purges: holds count
