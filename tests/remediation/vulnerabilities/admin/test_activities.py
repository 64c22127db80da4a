"""The list of activities, an activity's page, and completing one by hand."""

import csv
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity, SecurityTask
from remediation.vulnerabilities.querysets import today
from tests.factories import make_device
from tests.remediation.vulnerabilities.admin.conftest import PAGES, activities_of, make_activity, make_recommendation

Browse = Callable[[User], Client]


def page(client: Client, path: str = "", **query: str) -> str:
    """The text of one of the pages."""
    answer = client.get(f"{PAGES}{path}", query)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def add_ticket(activity: RemediationActivity, **fields: str) -> None:
    """Give the activity a ticket."""
    with acting_for(activity.tenant_id):
        SecurityTask.objects.create(tenant_id=activity.tenant_id, activity=activity, kind="app", **fields)
        RemediationActivity.objects.filter(pk=activity.pk).update(wants_ticket=True, devices_sent=1)


def test_the_list_shows_every_activity_with_a_fixed_number_of_queries(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for tenant in (acme, globex):
        found = make_recommendation(tenant)
        add_ticket(make_activity(tenant, make_device(tenant), recommendation=found), status="rejected")
    make_activity(acme, due_on=today() - timedelta(days=1), title="Update Zoom", priority="high")
    client = browse(pia)
    page(client)
    with django_assert_num_queries(12):
        shown = page(client)

    assert "0 of 1 device" in shown
    assert shown.count("Rejected</span>") == 2
    assert shown.count("Overdue</span>") == 1


@pytest.mark.parametrize(
    "query",
    [
        {"due": "overdue"},
        {"priority": "high"},
        {"mitigation": "warn"},
        {"option": "software_uninstall"},
        {"ticket": "rejected"},
        {"requested_by_label__icontains": "bob"},
        {"q": "zoom"},
    ],
)
def test_each_filter_finds_the_one(acme: Tenant, ada: User, browse: Browse, query: dict[str, str]) -> None:
    make_activity(acme)
    zoom = make_activity(
        acme,
        title="Uninstall Zoom",
        option="software_uninstall",
        mitigation="warn",
        priority="high",
        due_on=today() - timedelta(days=1),
        requested_by_label="bob@acme.example",
    )
    add_ticket(zoom, status="rejected")
    shown = page(browse(ada), **query)
    assert "Uninstall Zoom" in shown
    assert "Update Google Chrome" not in shown


def test_what_is_exposed_again_is_found_among_the_completed(acme: Tenant, ada: User, browse: Browse) -> None:
    done = {"state": "completed", "completion": "system", "completed_at": timezone.now()}
    make_activity(acme, **done)
    make_activity(acme, title="Uninstall Zoom", exposed_again_at=timezone.now(), exposed_again_count=1, **done)

    shown = page(browse(ada), state="exposed_again")

    assert "Uninstall Zoom" in shown
    assert "Update Google Chrome" not in shown
    assert "Update Google Chrome" in page(browse(ada), state="completed")


def test_an_empty_list_says_what_to_do(ada: User, browse: Browse) -> None:
    assert "Open a security recommendation" in page(browse(ada))


def test_the_page_tells_both_counts_the_note_and_who_is_exposed_again(acme: Tenant, ada: User, browse: Browse) -> None:
    devices = [make_device(acme, f"pc-{number}") for number in range(3)]
    again = {"exposed_again_at": timezone.now(), "exposed_again_count": 2}
    done = {"state": "completed", "completion": "system", "completed_at": timezone.now()}
    left_out = {"devices_without_entra_id": 2}
    activity = make_activity(acme, *devices, devices_exposed=0, devices_fixed=3, **again, **done, **left_out)
    add_ticket(activity, status="completed", admin_note="Rolled out in ring 2.")
    with acting_for(acme.id):
        ActivityDevice.objects.update(standing="fixed")
        ActivityDevice.objects.filter(device=devices[0]).update(standing="gone")

    shown = page(browse(ada), f"{activity.pk}/change/")
    assert "2 devices of this completed activity are exposed again" in shown
    assert "System confirmation" in shown
    assert "Rolled out in ring 2." in shown
    assert "1 of 3" in shown
    assert "without an Entra device id" in shown
    assert "beyond 10,000" not in shown
    assert "Mark as completed" not in shown
    narrowed = page(browse(ada), f"{activity.pk}/change/", standing="gone")
    assert "pc-0" in narrowed
    assert "pc-1" not in narrowed


def test_a_rejected_ticket_says_what_to_do_next(acme: Tenant, ada: User, pia: User, browse: Browse) -> None:
    activity = make_activity(acme, make_device(acme), wants_ticket=True)
    add_ticket(activity, status="rejected", admin_note="Frozen until December.")
    shown = page(browse(ada), f"{activity.pk}/change/")
    assert "The IT admin rejected the ticket" in shown
    assert "Frozen until December." in shown
    assert "Place a legal hold" not in shown
    held = f"legalhold/add/?tenant={acme.pk}&amp;covers=activity&amp;object_id={activity.pk}"
    assert held in page(browse(pia), f"{activity.pk}/change/")


def test_an_activity_from_defender_says_that_nobody_knows_who_completed_it(
    acme: Tenant, ada: User, browse: Browse
) -> None:
    done = {"state": "completed", "completion": "unknown", "completed_at": timezone.now()}
    activity = make_activity(acme, origin="defender", defender_task_id="1", devices_at_start=5, **done)
    shown = page(browse(ada), f"{activity.pk}/change/")
    assert "<dd>N/A</dd>" in shown
    assert "tells how many devices there are but not which ones" in shown


def test_completing_by_hand_says_its_effect_and_shows_the_email(acme: Tenant, ada: User, browse: Browse) -> None:
    activity, client = make_activity(acme, make_device(acme)), browse(ada)
    asked = page(client, f"{activity.pk}/complete/")
    assert "1 device is still exposed and is no longer followed." in asked
    assert activities_of(acme)[0].state == "active"

    assert "Say why" in client.post(f"{PAGES}{activity.pk}/complete/", {"note": ""}).content.decode()
    done = client.post(f"{PAGES}{activity.pk}/complete/", {"note": "Replaced."}, follow=True).content.decode()
    assert "<dd>ada@acme.example</dd>" in done
    assert "Replaced." in done
    assert "This cannot be done now." in page(client, f"{activity.pk}/complete/")
    second_tab = client.post(f"{PAGES}{activity.pk}/complete/", {"note": "Me too."}).content.decode()
    assert "This activity is completed already, by ada@acme.example" in second_tab
    assert "is no longer followed" not in second_tab


def test_notes_are_changed_and_the_former_ones_stay_in_the_history(acme: Tenant, ada: User, browse: Browse) -> None:
    activity, client = make_activity(acme, notes="Old."), browse(ada)
    client.post(f"{PAGES}{activity.pk}/notes/", {"notes": "New."})
    assert activities_of(acme)[0].notes == "New."
    assert "activity.notes_changed" in page(client, f"{activity.pk}/history/")


def test_readers_change_nothing_whatever_they_may_elsewhere(
    acme: Tenant, globex: Tenant, ren: User, browse: Browse
) -> None:
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ren, role=Role.ANALYST)
    activity, client = make_activity(acme), browse(ren)
    assert "Mark as completed" not in page(client, f"{activity.pk}/change/")
    for verb in ("complete", "notes"):
        assert client.post(f"{PAGES}{activity.pk}/{verb}/", {"note": "x", "notes": "x"}).status_code == 403


def test_a_filter_that_makes_no_sense_leads_the_csv_back_to_the_list(acme: Tenant, ada: User, browse: Browse) -> None:
    client = browse(ada)
    assert client.get(f"{PAGES}csv/", {"bogus": "1"}).headers["Location"] == f"{PAGES}?e=1"
    assert client.get(f"{PAGES}csv/", {"tenant__id__exact": "x"}).headers["Location"] == f"{PAGES}?e=1"


@pytest.mark.parametrize(
    "path",
    [
        "remediationactivity/?ticket=%00",
        "recommendation/customers/?cve=a%00b",
        "manageddevice/?compliance_state=%00",
        "knownexploitedvulnerability/%00/change/",
    ],
)
def test_no_page_breaks_on_nul(acme: Tenant, ada: User, browse: Browse, path: str) -> None:
    assert browse(ada).get(f"/admin/vulnerabilities/{path}").status_code == 404


def test_csv_holds_the_filtered_list_and_an_activitys_devices(acme: Tenant, ada: User, browse: Browse) -> None:
    activity = make_activity(acme, make_device(acme, "=cmd|'/c calc'!A1"), title="Update Zoom")
    make_activity(acme)
    client = browse(ada)
    lines = b"".join(client.get(f"{PAGES}csv/", {"q": "zoom"})).decode().splitlines()
    assert len(list(csv.reader(lines))) == 2
    assert "Update Zoom" in lines[1]
    devices = b"".join(client.get(f"{PAGES}{activity.pk}/csv/")).decode()
    assert "'=cmd|" in devices
