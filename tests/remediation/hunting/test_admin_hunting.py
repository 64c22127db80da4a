"""The pages of hunting and the explorer: asking, following, and asking for actions on rows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from connectors.models import Connection
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from remediation.actions.models import RemediationAction
from remediation.actions.states import Source, State
from remediation.hunting.models import Hunt
from remediation.hunting.states import HuntState
from tests.factories import make_device
from tests.remediation.hunting.conftest import MACHINE, MESSAGE, make_hunt

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
HUNTING, EXPLORER = "/admin/hunting/hunt/", "/admin/hunting/mailsearch/"


def page(client: Client, path: str, **sent: Any) -> str:
    answer = client.post(path, sent, follow=True) if sent else client.get(path)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


@pytest.fixture
def connection(acme: Tenant) -> None:
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme)


@pytest.mark.usefixtures("connection")
def test_a_person_asks_sees_it_under_way_and_can_ask_again(acme: Tenant, ada: User, browse: Browse) -> None:
    client = browse(ada)
    assert "Nothing in the last 30 days." in page(client, HUNTING)

    shown = page(client, HUNTING, query="DeviceInfo | take 5", timespan="P7D", tenants=[str(acme.id)])

    assert "data-follow" in shown
    assert "DeviceInfo | take 5" in shown
    with acting_for(acme.id):
        hunt = Hunt.objects.get()
    assert (hunt.timespan, hunt.asked_by_id) == ("P7D", ada.pk)
    again = page(client, f"{HUNTING}?again={hunt.batch}")
    assert "DeviceInfo | take 5</textarea>" in again
    assert "0 of 1 done" in again


@pytest.mark.parametrize("wrong", [{"tenants": []}, {"query": " "}])
def test_a_form_filled_in_badly_asks_nothing(acme: Tenant, ada: User, browse: Browse, wrong: dict[str, Any]) -> None:
    sent = {"query": "DeviceInfo", "timespan": "P7D", "tenants": [str(acme.id)], **wrong}

    assert "errorlist" in page(browse(ada), HUNTING, **sent)

    with acting_for(acme.id):
        assert not Hunt.objects.exists()


@pytest.mark.parametrize("path", [HUNTING, EXPLORER])
def test_all_customers_are_asked_by_one_box_and_no_others(
    acme: Tenant, globex: Tenant, pia: User, ada: User, browse: Browse, path: str
) -> None:
    sent = {"query": "DeviceInfo", "timespan": "P7D", "sender": "eve@bad.example", "all_tenants": "on"}
    assert "All my customers" in page(browse(pia), path)
    assert "All my customers" not in page(browse(ada), path)

    page(browse(pia), path, **sent)

    with viewing([acme.id, globex.id]):
        assert set(Hunt.objects.values_list("tenant_id", flat=True)) == {acme.id, globex.id}
    assert "errorlist" in page(browse(ada), path, **sent)  # there is one tenant to choose, and no box


def test_a_tenant_without_a_connection_fails_at_once_with_what_to_do(acme: Tenant, ada: User, browse: Browse) -> None:
    shown = page(browse(ada), HUNTING, query="DeviceInfo", timespan="P7D", tenants=[str(acme.id)])

    assert "Set one up under Connections" in shown
    assert "data-follow" not in shown


def test_nothing_found_says_so(acme: Tenant, ada: User, browse: Browse) -> None:
    hunt = make_hunt(acme, columns=[["DeviceId", "String"]])

    assert "Nothing was found." in page(browse(ada), f"{HUNTING}{hunt.pk}/change/")


def test_a_ready_made_query_fills_the_form(ada: User, browse: Browse) -> None:
    assert "DeviceProcessEvents" in page(browse(ada), f"{HUNTING}?ready=script-downloads")


def test_a_batch_says_for_each_tenant_how_far_it_is_and_why_it_failed(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    done = make_hunt(acme, rows=[{"DeviceId": MACHINE}])
    make_hunt(globex, batch=done.batch, state=HuntState.FAILED, error="No connection here.")
    client = browse(pia)
    client.get(HUNTING)

    with django_assert_num_queries(10):
        shown = page(client, f"{HUNTING}batch/{done.batch}/")

    assert "2 of 2 tenants are done" in shown
    assert "No connection here." in shown
    assert "data-follow" not in shown


def test_a_reader_reads_and_is_offered_no_form_and_no_action(acme: Tenant, ren: User, browse: Browse) -> None:
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE}])
    client = browse(ren)

    assert "needs the role Analyst" in page(client, HUNTING)
    assert 'type="checkbox"' not in page(client, f"{HUNTING}{hunt.pk}/change/")
    assert client.post(f"{HUNTING}{hunt.pk}/act/", {"type": "isolate_device", "row": "0"}).status_code == 403
    assert client.post(HUNTING, {"query": "DeviceInfo", "timespan": "P7D", "tenants": [acme.id]}).status_code == 200
    with acting_for(acme.id):
        assert Hunt.objects.count() == 1


def test_chosen_rows_become_actions_only_after_the_confirmation(acme: Tenant, ada: User, browse: Browse) -> None:
    make_device(acme, "lap-7", machine_id=MACHINE, os_platform="Windows11")
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE}, {"DeviceId": "2" * 40}])
    client, path = browse(ada), f"{HUNTING}{hunt.pk}/act/"

    asked = page(client, path, type="isolate_device", row=["0", "1"])
    assert "1 target of Acme: the device loses its network" in asked
    assert "Quell does not know this device" in asked
    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()

    told = page(client, path, type="isolate_device", row=["0", "1"], confirmed="1", isolation_type="Full", reason="It.")

    assert "Asked for" in told
    assert "Refused" in told
    with acting_for(acme.id):
        action = RemediationAction.objects.get()
    assert (action.source, action.state) == (Source.ADVANCED_HUNTING, State.PENDING_APPROVAL)


def test_a_confirmation_without_a_reason_asks_again_and_does_nothing(acme: Tenant, ada: User, browse: Browse) -> None:
    make_device(acme, "lap-7", machine_id=MACHINE, os_platform="Windows11")
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE}])
    sent = {"type": "isolate_device", "row": ["0"], "confirmed": "1", "isolation_type": "Full", "reason": " "}

    assert "Give a reason" in page(browse(ada), f"{HUNTING}{hunt.pk}/act/", **sent)

    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()


@pytest.mark.usefixtures("connection")
def test_the_explorer_asks_kql_of_its_own(acme: Tenant, ada: User, browse: Browse) -> None:
    sent = {"sender": "bad.example", "subject": 'In "voice', "received_after": "2026-11-01T00:00"}

    page(browse(ada), EXPLORER, tenants=[str(acme.id)], **sent)

    with acting_for(acme.id):
        hunt = Hunt.objects.get()
    assert 'SenderFromDomain =~ "bad.example"\n| where Subject contains "In \\"voice"' in hunt.query
    assert hunt.criteria is not None
    assert (hunt.timespan, hunt.criteria["sender"]) == ("2026-11-01T00:00:00Z", "bad.example")
    assert 'value="bad.example"' in page(browse(ada), f"{EXPLORER}?again={hunt.batch}")


def test_a_hard_delete_says_how_many_and_that_it_is_for_good(acme: Tenant, ada: User, browse: Browse) -> None:
    rows = [{"NetworkMessageId": MESSAGE, "RecipientEmailAddress": f"p{number}@acme.example"} for number in range(130)]
    hunt = make_hunt(acme, source="explorer", rows=rows)
    client = browse(ada)
    shown = page(client, f"{EXPLORER}{hunt.pk}/change/")
    assert shown.count('name="row"') == 100
    assert all(name in shown for name in ("move_to_junk", "soft_delete_email", "hard_delete_email"))

    asked = page(client, f"{EXPLORER}{hunt.pk}/act/", type="hard_delete_email", all="on")
    assert "130 messages of Acme: the messages are deleted for good" in asked
    assert "This cannot be undone." in asked

    page(client, f"{EXPLORER}{hunt.pk}/act/", type="hard_delete_email", all="on", confirmed="1", reason="Phish.")
    with acting_for(acme.id):
        counts = sorted(len(action.parameters["messages"]) for action in RemediationAction.objects.all())
        assert {action.source for action in RemediationAction.objects.all()} == {Source.EXPLORER}
    assert counts == [30, 100]
