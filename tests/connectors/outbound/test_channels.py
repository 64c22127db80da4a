"""Channels and the ledger through API and pages: who may, what is shown once or never, and what goes on record."""

import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.outbound.models import Channel, Delivery
from connectors.outbound.sending import _unsealed
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.secrets.envelope import data_key_version_of
from portal.secrets.rotation import renew
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.connectors.outbound.conftest import ledger, tell_acme
from tests.factories import make_key

pytestmark = pytest.mark.django_db
Browse = Callable[[User], Client]
MakeChannel = Callable[..., tuple[Channel, SecretText]]
URL = "https://hooks.slack.com/services/T0/B0/Zebra-canary-path"


def send(client: Client, method: str, path: str, **body: Any) -> Any:
    return getattr(client, method)(f"/api/v1/{path}", body, content_type="application/json")


def new(tenant: Tenant, **fields: Any) -> dict[str, Any]:
    return {"tenant": str(tenant.id), "kind": "slack", "name": "IT", "events": ["overdue"], "url": URL} | fields


def an_hour_later(client: Client) -> Client:
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time() - 3600}]
    session.save()
    return client


def test_a_tenant_admin_adds_a_webhook_and_its_address_and_secret_are_never_shown_again(
    acme: Tenant, tess: User, browse: Browse
) -> None:
    client = browse(tess)
    answer = send(client, "post", "notification-channels/", **new(acme, kind="webhook"))
    assert answer.status_code == 201, answer.content
    secret = answer.json()["signing_secret"]
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    pk = answer.json()["channel"]["id"]
    assert answer.json()["channel"]["host"] == "hooks.slack.com"
    test = send(client, "post", f"notification-channels/{pk}/test/")
    assert (test.status_code, test.json()["event"], test.json()["sent_to"]) == (201, "test", "hooks.slack.com")

    pages = [
        client.get("/api/v1/notification-channels/"),
        client.get(f"/api/v1/notification-channels/{pk}/"),
        client.get("/api/v1/deliveries/"),
        client.get("/api/v1/audit-events/"),
        client.get("/admin/outbound/channel/"),
        client.get(f"/admin/outbound/channel/{pk}/change/"),
        client.get(f"/admin/outbound/channel/{pk}/history/"),
        client.get(f"/admin/outbound/channel/{pk}/delete/"),
        client.get(f"/admin/outbound/delivery/{test.json()['id']}/change/"),
    ]
    assert [page.status_code for page in pages] == [200] * len(pages)
    said = b"".join(page.content for page in pages)
    assert b"Zebra-canary" not in said
    assert secret.encode() not in said
    with acting_for(acme.id):
        row = Channel.objects.defer(None).get()
        assert b"Zebra" not in bytes(row.url_sealed or b"")
        assert [part.reveal() for part in _unsealed(row)] == [URL, secret]
        assert AuditEvent.objects.filter(object_id=pk).count() == 2


def test_the_page_adds_one_shows_a_new_secret_once_and_tests_it(acme: Tenant, tess: User, browse: Browse) -> None:
    client = browse(tess)
    form = {
        "tenant": str(acme.id), "kind": "webhook", "name": "SOC", "is_on": "on", "events": ["overdue", "due_soon"],
        "language": "sv", "emails": "", "new_url": "https://soc.example/hook",
    }  # fmt: skip
    assert f'<option value="{acme.id}" selected>' in client.get("/admin/outbound/channel/add/").content.decode()
    refused = client.post("/admin/outbound/channel/add/", form | {"new_url": "ftp://soc.example"})
    assert "begin with https://" in refused.content.decode()
    answer = client.post("/admin/outbound/channel/add/", form)
    assert answer.status_code == 302, answer.content.decode()
    with acting_for(acme.id):
        row = Channel.objects.defer(None).get()
        [_url, first] = _unsealed(row)
    assert answer.headers["Location"] == f"/admin/outbound/channel/{row.pk}/change/"
    assert (row.host, row.language, row.events) == ("soc.example", "sv", ["overdue", "due_soon"])

    shown = client.post(f"/admin/outbound/channel/{row.pk}/renew-signing-secret/")

    assert "no-store" in shown.headers["Cache-Control"]
    with acting_for(acme.id):
        [_url, second] = _unsealed(Channel.objects.defer(None).get())
    assert second.reveal() in shown.content.decode()
    assert second != first
    page = client.get(f"/admin/outbound/channel/{row.pk}/change/")
    assert page.context["adminform"].form["emails"].value() == ""
    changed = form | {"name": "SOC 2", "new_url": ""}
    assert client.post(f"/admin/outbound/channel/{row.pk}/change/", changed).status_code == 302
    assert client.post(f"/admin/outbound/channel/{row.pk}/test/").status_code == 302
    assert [delivery.channel_name for delivery in ledger(acme)] == ["SOC 2"]


def test_a_channel_that_fails_is_called_out_on_the_first_page(
    acme: Tenant, tess: User, browse: Browse, make_channel: MakeChannel
) -> None:
    client = browse(tess)
    make_channel("slack", URL, name="well")
    make_channel("slack", URL, name="ailing")
    label = '<span class="count-label">Notification channels that fail</span>'
    assert f'<span class="count">0</span> {label}' in " ".join(client.get("/admin/").content.decode().split())
    with acting_for(acme.id):
        Channel.objects.filter(name="ailing").update(failing_since=timezone.now())
    assert f'<span class="count">1</span> {label}' in " ".join(client.get("/admin/").content.decode().split())
    rows = client.get("/admin/outbound/channel/?health=failing").context["cl"].result_list
    assert [row.name for row in rows] == ["ailing"]


def test_who_may_not(acme: Tenant, bob: User, ren: User, tess: User, browse: Browse, make_channel: MakeChannel) -> None:
    channel, _secret = make_channel("slack", URL)
    assert send(browse(bob), "post", "notification-channels/", **new(acme, name="two")).status_code == 403
    stale = an_hour_later(browse(tess))
    assert send(stale, "post", "notification-channels/", **new(acme, name="two")).status_code == 403
    path = f"notification-channels/{channel.pk}/"
    assert send(stale, "patch", path, url="https://elsewhere.example/").status_code == 403
    assert send(stale, "patch", path, name="IT help").status_code == 200
    by_key = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    assert send(by_key, "post", f"{path}renew-signing-secret/").status_code == 403
    for method in ("patch", "delete"):
        refused = send(by_key, method, path, url="https://elsewhere.example/")
        assert (refused.status_code, "an API key cannot" in refused.json()["detail"]) == (403, True)
    reader = browse(ren)
    assert reader.get(f"/api/v1/{path}").status_code == 200
    for method, tail in (("patch", ""), ("delete", ""), ("post", "test/")):
        assert send(reader, method, path + tail, name="x").status_code == 403
    with acting_for(acme.id):
        assert (Channel.objects.get().host, Delivery.objects.count()) == ("hooks.slack.com", 0)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "IT"}, 409, "of this name"),
        ({"url": ""}, 400, "posts to"),
        ({"url": "https://me:word@hooks.example/"}, 400, "user name or password"),
        ({"kind": "email", "url": ""}, 400, "at least one e-mail address"),
        ({"kind": "email", "emails": ["it@acme.example"]}, 400, "no address to post to"),
        ({"emails": ["it@acme.example"]}, 400, "Only a channel by e-mail"),
        ({"kind": "email", "url": "", "emails": ["it@acme.example\nBcc: a@b.example"]}, 400, "valid email"),
        ({"events": []}, 400, "events"),
        ({"isOn": False}, 400, "no such field"),
        ({"language": "xx"}, 400, "language"),
    ],
)
def test_what_fits_no_channel_is_refused(
    acme: Tenant,
    tess: User,
    browse: Browse,
    make_channel: MakeChannel,
    fields: dict[str, Any],
    status: int,
    words: str,
) -> None:
    make_channel("slack", URL)
    answer = send(browse(tess), "post", "notification-channels/", **(new(acme, name="two") | fields))
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_switching_off_and_deleting_give_up_what_waits_and_the_ledger_stays(
    acme: Tenant, tess: User, browse: Browse, make_channel: MakeChannel
) -> None:
    channel, _secret = make_channel("slack", URL)
    client, path = browse(tess), f"notification-channels/{channel.pk}/"
    tell_acme(acme, "one")
    assert send(client, "patch", path, is_on=False).json()["is_on"] is False
    [one] = ledger(acme)
    assert (one.state, one.error) == ("failed", "Its channel was switched off before it was sent.")
    assert send(client, "post", f"{path}test/").status_code == 409
    assert send(client, "post", f"deliveries/{one.pk}/replay/").status_code == 409
    send(client, "patch", path, is_on=True)
    again = send(client, "post", f"deliveries/{one.pk}/replay/")
    assert (again.status_code, again.json()["replay_of"]) == (201, str(one.pk))
    assert send(client, "post", f"deliveries/{again.json()['id']}/replay/").status_code == 409

    assert send(client, "delete", path).status_code == 204

    _one, two = ledger(acme)
    assert (two.state, two.channel_id, two.channel_name) == ("failed", None, "IT")
    assert send(client, "post", f"deliveries/{one.pk}/replay/").status_code == 409
    with acting_for(acme.id):
        verbs = AuditEvent.objects.filter(object_id=channel.pk).order_by("seq").values_list("verb", flat=True)
        assert [verb.partition(".")[2] for verb in verbs] == ["created", "changed", "changed", "deleted"]


def test_a_new_data_key_seals_addresses_and_secrets_anew(acme: Tenant, make_channel: MakeChannel) -> None:
    _channel, secret = make_channel("webhook", URL)
    assert renew(acme.id) == 2
    with acting_for(acme.id):
        row = Channel.objects.defer(None).get()
        assert data_key_version_of(bytes(row.url_sealed or b"")) == 2
        assert _unsealed(row) == (SecretText(URL), secret)


def test_lists_ask_the_same_number_of_questions_however_long_they_are(
    acme: Tenant, tess: User, browse: Browse, make_channel: MakeChannel
) -> None:
    client = browse(tess)

    def questions(path: str) -> int:
        with CaptureQueriesContext(
            database,
        ) as asked:
            assert client.get(path).status_code == 200
        return len(asked)

    paths = (
        "/api/v1/notification-channels/",
        "/api/v1/deliveries/?state=queued",
        "/admin/outbound/channel/",
        "/admin/outbound/delivery/",
    )
    make_channel("slack", URL, name="first")
    tell_acme(acme, "first")
    before = [questions(path) for path in paths]
    for number in range(5):
        make_channel("slack", URL, name=f"channel {number}")
        tell_acme(acme, f"{number}")
    assert [questions(path) for path in paths] == before
    assert before[:2] == [8, 8]
