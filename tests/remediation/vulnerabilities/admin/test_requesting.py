"""Requesting remediation on its page: what is offered, what is refused, and that nothing is made unconfirmed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from investigations.models import DeviceGroup
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import Recommendation
from remediation.vulnerabilities.querysets import today
from tests.factories import connect_intune, make_device, make_group
from tests.remediation.vulnerabilities.admin.conftest import PAGES, activities_of, make_recommendation

Browse = Callable[[User], Client]


def ask(client: Client, recommendation: Recommendation, **data: Any) -> Any:
    """Fill in the form and send it."""
    due_on = (today() + timedelta(days=14)).isoformat()
    filled = {"option": "software_update", "reach": "all", "priority": "high", "due_on": due_on} | data
    sent = {name: value for name, value in filled.items() if value is not None}
    return client.post(f"{PAGES}request/{recommendation.pk}/", sent, follow=True)


def test_a_request_is_made_only_once_its_effect_was_confirmed(
    acme: Tenant, chrome: Recommendation, ada: User, browse: Browse
) -> None:
    client = browse(ada)
    shown = ask(client, chrome, notes="Before the audit.").content.decode()
    assert "Nothing is changed on any device." in shown
    assert "3 devices are exposed." in shown
    assert activities_of(acme) == []
    alone = make_recommendation(acme, make_device(acme, "alone"), recommendation_id="va-_-zoom")
    assert "<p>1 device is exposed.</p>" in client.get(f"{PAGES}request/{alone.pk}/").content.decode()

    shown = ask(client, chrome, notes="Before the audit.", confirmed="1").content.decode()
    (made,) = activities_of(acme)
    assert (made.priority, made.notes, made.devices_at_start) == ("high", "Before the audit.", 3)
    assert "0 of 3 devices" in shown
    assert "Before the audit." in shown


def test_devices_that_are_not_read_yet_are_not_called_none(
    acme: Tenant, chrome: Recommendation, ada: User, browse: Browse
) -> None:
    with acting_for(acme.id):
        Recommendation.objects.update(exposures_read_at=None, exposed_count=40)

    assert "Microsoft counts 40 exposed devices" in browse(ada).get(f"{PAGES}request/{chrome.pk}/").content.decode()


@pytest.mark.parametrize("page", ["request", "request-many"])
def test_a_recommendation_that_left_while_the_form_was_open_says_so(
    acme: Tenant, chrome: Recommendation, ada: User, browse: Browse, page: str
) -> None:
    with acting_for(acme.id):
        Recommendation.objects.update(disappeared_at=Now())

    answer = browse(ada).post(f"{PAGES}{page}/{chrome.pk}/", {"option": "software_update"}, follow=True)

    assert "for Acme, so nothing was requested." in answer.content.decode()
    assert activities_of(acme) == []


def test_attention_required_takes_no_due_date(acme: Tenant, chrome: Recommendation, ada: User, browse: Browse) -> None:
    client = browse(ada)
    refused = ask(client, chrome, option="attention_required", confirmed="1").content.decode()
    assert "has no due date. Leave it empty." in refused
    assert activities_of(acme) == []

    ask(client, chrome, option="attention_required", due_on=None, confirmed="1")
    (made,) = activities_of(acme)
    shown = client.get(f"{PAGES}{made.pk}/change/").content.decode()
    assert "has no progress and no ticket" in shown
    assert "<progress" not in shown


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ({"due_on": None}, "Say by which day it is to be done."),
        ({"due_on": "2020-01-01"}, "Choose a day from today"),
        ({"reach": "chosen"}, "Choose at least one device group"),
        ({"option": "configuration_change"}, "not one of the available choices"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    acme: Tenant, chrome: Recommendation, ada: User, browse: Browse, data: dict[str, Any], refusal: str
) -> None:
    assert refusal in ask(browse(ada), chrome, confirmed="1", **data).content.decode()
    assert activities_of(acme) == []


def test_only_chosen_groups_are_asked_for(acme: Tenant, chrome: Recommendation, ada: User, browse: Browse) -> None:
    with acting_for(acme.id):
        servers = DeviceGroup.objects.get(name="Servers")
    client = browse(ada)
    assert "Servers: 2 exposed" in client.get(f"{PAGES}request/{chrome.pk}/").content.decode()
    assert "2 devices are exposed." in ask(client, chrome, reach="chosen", groups=[servers.pk]).content.decode()

    ask(client, chrome, reach="chosen", groups=[servers.pk], confirmed="1")
    assert [(made.group_names, made.devices_at_start) for made in activities_of(acme)] == [(["Servers"], 2)]


def test_a_ticket_is_offered_only_where_intune_is_connected(
    acme: Tenant, chrome: Recommendation, ada: User, browse: Browse
) -> None:
    client = browse(ada)
    assert "Open a ticket" not in client.get(f"{PAGES}request/{chrome.pk}/").content.decode()
    off_by_now = ask(client, chrome, opens_ticket="on", confirmed="1").content.decode()
    assert "connection is off by now, so no ticket can be opened" in off_by_now
    assert not activities_of(acme)

    connect_intune(acme)
    assert "Open a ticket" in client.get(f"{PAGES}request/{chrome.pk}/").content.decode()
    shown = ask(client, chrome, opens_ticket="on").content.decode()
    assert "3 devices are exposed; 1 go to Intune." in shown
    assert "Intune gets at most 10,000 devices" in shown
    assert "Waits to be sent to Intune" in ask(client, chrome, opens_ticket="on", confirmed="1").content.decode()


def test_strangers_and_readers_request_nothing(
    chrome: Recommendation, acme: Tenant, gil: User, ren: User, browse: Browse
) -> None:
    assert ask(browse(gil), chrome, confirmed="1").status_code == 404
    assert ask(browse(ren), chrome, confirmed="1").status_code == 403
    assert activities_of(acme) == []


def test_another_tenants_group_is_no_choice(
    acme: Tenant, globex: Tenant, chrome: Recommendation, ada: User, browse: Browse
) -> None:
    foreign = make_group(globex)
    shown = ask(browse(ada), chrome, reach="chosen", groups=[foreign.pk], confirmed="1").content.decode()
    assert "is not one of the available choices" in shown
    assert activities_of(acme) == []
