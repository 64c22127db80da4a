"""Admin consent: the link, what its answer is worth, and the whole way round by the simulator's own page."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client

from connectors.models import Connection, Health
from investigations.syncing import sync_tenant
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.conftest import make_member
from tests.factories import make_key
from tests.remediation.actions.conftest import Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]
Browse = Callable[[User], Client]
RETURN = "/admin/connectors/connection/consent/"


def the_connection(tenant: Tenant) -> Connection:
    with acting_for(tenant.id):
        return Connection.objects.get()


def ask(client: Client, tenant: Tenant) -> str:
    """Return the link a person gets."""
    answer = client.post(f"/api/v1/connections/{the_connection(tenant).pk}/ask-for-consent/")
    assert answer.status_code == 201, answer.content
    return str(answer.json()["url"])


def answer_to(link: str, tenant: Tenant, **changes: str) -> dict[str, str]:
    """What Microsoft would send back for a link, with some fields changed."""
    state = parse_qs(urlsplit(link).query)["state"][0]
    return {"state": state, "tenant": str(tenant.entra_tenant_id), "admin_consent": "True", **changes}


def verbs(tenant: Tenant) -> list[str]:
    with acting_for(tenant.id):
        return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def settle(tenant: Tenant) -> None:
    """Forget that anything is to be checked."""
    sync_tenant(tenant.id, lambda page: None)
    assert the_connection(tenant).checked_at is not None


def test_the_link_names_tenant_application_and_where_to_come_back(
    connected: Tenant, vendor: Vendor, tess: User, browse: Browse
) -> None:
    link = urlsplit(ask(browse(tess), connected))
    asked = dict(parse_qsl(link.query))
    assert f"{link.scheme}://{link.netloc}" == vendor.url
    assert link.path == f"/{connected.entra_tenant_id}/adminconsent"
    assert (asked["client_id"], asked["redirect_uri"]) == ("quell-demo", f"http://testserver{RETURN}")
    row = the_connection(connected)
    assert asked["state"] not in str(vars(row))
    with acting_for(connected.id):
        assert asked["state"] not in str(list(AuditEvent.objects.values_list("data", flat=True)))


def test_the_whole_way_round(connected: Tenant, vendor: Vendor, tess: User, browse: Browse) -> None:
    vendor.seed(connected, consent_revoked=True)
    sync_tenant(connected.id, lambda page: None)
    assert the_connection(connected).health == Health.CONSENT_MISSING
    client = browse(tess)
    shown = client.post(f"/admin/connectors/connection/{the_connection(connected).pk}/ask-for-consent/")
    link = shown.context["link"].replace("http%3A%2F%2Ftestserver", "http%3A%2F%2Flocalhost")
    assert b"Accept" in vendor.admin.get(link).content
    back = vendor.admin.post(link, data={"answer": "accept"})
    assert back.status_code == 302

    landed = client.get(f"{RETURN}?{urlsplit(back.headers['location']).query}", follow=True)

    assert "being checked" in landed.content.decode()
    row = the_connection(connected)
    assert (row.checked_at, row.health) == (None, Health.CONSENT_MISSING)  # unproven until a token works
    sync_tenant(connected.id, lambda page: None)
    assert the_connection(connected).health == Health.WORKING
    assert verbs(connected)[-3:] == [
        "connection.consent_requested",
        "connection.consent_reported",
        "connection.check_requested",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tenant": "11111111-2222-3333-4444-555555555555"}, "in another tenant"),
        ({"tenant": ""}, "in another tenant"),
        ({"error": "access_denied", "error_description": "<b>no</b>"}, "&lt;b&gt;no&lt;/b&gt;"),
        ({"admin_consent": "False"}, "does not say"),
    ],
)
def test_an_answer_that_is_no_consent_changes_nothing_and_is_used_up(
    connected: Tenant, tess: User, browse: Browse, changes: Mapping[str, str], words: str
) -> None:
    client = browse(tess)
    settle(connected)
    good = answer_to(ask(client, connected), connected)

    landed = client.get(f"{RETURN}?{urlencode({**good, **changes})}", follow=True)

    assert words in landed.content.decode()
    assert the_connection(connected).checked_at is not None
    assert verbs(connected)[-1] == "connection.consent_refused"
    again = client.get(f"{RETURN}?{urlencode(good)}", follow=True)
    assert "used already" in again.content.decode()


def test_a_state_is_one_persons_own_once_and_not_for_long(connected: Tenant, tess: User, browse: Browse) -> None:
    other = make_member("tom", connected, Role.TENANT_ADMIN)
    client = browse(tess)
    settle(connected)

    def is_heard(wanted: Mapping[str, str], by: Client) -> bool:
        by.get(RETURN, wanted)
        return the_connection(connected).checked_at is None

    first = answer_to(ask(client, connected), connected)
    second = answer_to(ask(client, connected), connected)
    assert not is_heard({**second, "state": "made-up"}, client)
    assert not is_heard({**second, "state": ""}, client)
    assert not is_heard(first, client)  # the later link took its place
    assert not is_heard(second, browse(other))
    with acting_for(connected.id):
        row = Connection.objects.get()
        assert row.consent_state_ends_at is not None
        Connection.objects.update(consent_state_ends_at=row.consent_state_ends_at - timedelta(minutes=15))
    assert not is_heard(second, client)
    with acting_for(connected.id):
        Connection.objects.update(consent_state_ends_at=row.consent_state_ends_at)
    assert is_heard(second, client)


def test_who_may_not_manage_the_connection_gets_no_link(
    connected: Tenant, ada: User, gil: User, tess: User, browse: Browse
) -> None:
    path = f"/api/v1/connections/{the_connection(connected).pk}/ask-for-consent/"
    assert browse(ada).post(path).status_code == 403
    assert browse(gil).post(path).status_code == 404
    assert browse(ada).get(RETURN).status_code == 403
    assert Client().get(f"{RETURN}?state=x").status_code == 302  # to sign-in, and back from there
    key = Client(headers={"Authorization": f"Api-Key {make_key(connected, Role.TENANT_ADMIN)}"})
    assert key.post(path).status_code == 403


def test_a_replay_of_the_request_tells_no_link(connected: Tenant, tess: User, browse: Browse) -> None:
    client = browse(tess)
    path = f"/api/v1/connections/{the_connection(connected).pk}/ask-for-consent/"
    sent: dict[str, Any] = {"content_type": "application/json", "headers": {"Idempotency-Key": "one"}}
    answers: list[Any] = [client.post(path, **sent).json() for _ in range(2)]
    assert answers[0]["url"]
    assert answers[1]["url"] is None
