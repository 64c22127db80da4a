"""Activities that were made in Defender: taken over as they are, and followed there."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.audit.models import AuditEvent
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.importing import forget_completed_before, store_remediation_tasks
from remediation.vulnerabilities.activities.progress import refresh_progress
from remediation.vulnerabilities.models import RemediationActivity
from tests.factories import make_recommendation
from tests.remediation.vulnerabilities.activities.conftest import in_days

TASK = {
    "id": "e41f7b20-6a3c-4d95-b1e8-90c27af3d158",
    "title": "Update 7-zip",
    "createdOn": "2026-01-20T09:31:44.1234567Z",
    "requesterId": "2f6d0c91-58ab-4e37-a4d2-1b9e7c60f3aa",
    "requesterEmail": "lead@customer.example",
    "status": "Active",
    "statusLastModifiedOn": "2026-01-20T09:31:44Z",
    "description": "Move 7-zip to a fixed release",
    "relatedComponent": "7-zip",
    "targetDevices": 412,
    "fixedDevices": 97,
    "rbacGroupNames": ["Finance laptops", "UnassignedGroup"],
    "requesterNotes": "change CHG-884",
    "dueOn": "2026-02-10T00:00:00Z",
    "category": "Software",
    "priority": "High",
    "completionMethod": None,
    "completerId": None,
    "completerEmail": None,
    "scid": None,
    "type": "Update",
    "productId": "7-zip-_-7-zip",
}
DONE = {"status": "Completed", "statusLastModifiedOn": "2026-02-01T10:00:00Z"}


def only(tenant):
    """The tenant's one activity."""
    with acting_for(tenant.id):
        return RemediationActivity.objects.get()


def test_an_activity_of_defender_is_shown_with_microsofts_counts(acme):
    found = make_recommendation(acme)
    assert store_remediation_tasks(acme.id, [TASK]) == []

    made = only(acme)
    assert (made.origin, made.state, made.option, made.priority) == ("defender", "active", "software_update", "high")
    assert (made.devices_at_start, made.devices_fixed, made.devices_exposed, made.devices_gone) == (412, 97, 315, 0)
    assert (made.recommendation_id, made.requested_by_label) == (found.pk, "lead@customer.example")
    assert (made.notes, made.group_names) == ("change CHG-884", ["Finance laptops", "UnassignedGroup"])
    assert made.requested_at == datetime(2026, 1, 20, 9, 31, 44, 123456, tzinfo=UTC)
    assert made.due_on.isoformat() == "2026-02-10"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"completerEmail": "eve@customer.example", "completionMethod": "Manual"}, ("person", "eve@customer.example")),
        ({"completionMethod": "Automatic"}, ("system", "System confirmation")),
        ({"completionMethod": None}, ("unknown", "N/A")),
        ({"completionMethod": "Manual"}, ("unknown", "N/A")),
    ],
)
def test_who_completed_it_is_told_as_far_as_microsoft_says(fields, shown, acme):
    store_remediation_tasks(acme.id, [TASK | DONE | fields])
    made = only(acme)

    assert (made.state, made.completion, made.completed_by_label) == ("completed", *shown)
    assert made.completed_at == datetime(2026, 2, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"type": "Upgrade"}, "software_update"),
        ({"type": "Uninstall"}, "software_uninstall"),
        ({"type": "ConfigurationChange", "category": "SecurityConfiguration"}, "configuration_change"),
        ({"type": "AttentionRequired"}, "attention_required"),
        ({"type": "FirmwareUpdate"}, "software_update"),
        ({"type": None, "category": "Security configuration"}, "configuration_change"),
    ],
)
def test_its_type_is_one_of_ours(fields, option, acme):
    store_remediation_tasks(acme.id, [TASK | fields])
    made = only(acme)

    assert made.option == option
    assert (made.due_on is None) == (option == "attention_required")


def test_reading_again_brings_it_up_to_date_and_puts_its_completion_on_record(acme):
    store_remediation_tasks(acme.id, [TASK])
    first = only(acme)
    store_remediation_tasks(acme.id, [TASK | {"fixedDevices": 200}])
    store_remediation_tasks(acme.id, [TASK | DONE | {"fixedDevices": 412, "completionMethod": "Automatic"}])
    store_remediation_tasks(acme.id, [TASK | DONE | {"fixedDevices": 412, "completionMethod": "Automatic"}])
    now = only(acme)

    assert (now.pk, now.campaign, now.devices_exposed, now.state) == (first.pk, first.campaign, 0, "completed")
    with acting_for(acme.id):
        [event] = AuditEvent.objects.filter(object_id=now.pk)
        assert event.data["after"] == {"state": "completed", "completed_by": "System confirmation"}


def test_its_counts_are_not_ours_to_follow(acme):
    make_recommendation(acme)
    store_remediation_tasks(acme.id, [TASK])
    refresh_progress(acme.id)

    assert (only(acme).devices_exposed, only(acme).state) == (315, "active")


def test_a_row_that_cannot_be_used_is_named_and_the_others_go_on(acme, globex):
    rows = [TASK | {"id": None}, TASK | {"id": "2", "targetDevices": "many"}, TASK, TASK | {"title": "Again"}]
    refused = store_remediation_tasks(acme.id, rows)

    assert refused == [
        "remediation task 0: id is missing",
        "remediation task 1: targetDevices is not a whole number",
    ]
    assert only(acme).title == "Again"
    with acting_for(globex.id):
        assert not RemediationActivity.objects.exists()


def test_the_recommendation_is_found_by_what_microsoft_names(acme):
    by_reference = make_recommendation(acme, recommendation_id="va-_-a-_-b")
    setting = make_recommendation(acme, recommendation_id="sca-_-scid-2000")
    store_remediation_tasks(
        acme.id,
        [
            TASK | {"id": "1", "recommendationReference": "va-_-a-_-b"},
            TASK | {"id": "2", "scid": "scid-2000", "productId": None},
            TASK | {"id": "3"},
        ],
    )
    with acting_for(acme.id):
        found = dict(RemediationActivity.objects.values_list("defender_task_id", "recommendation_id"))
    assert found == {"1": by_reference.pk, "2": setting.pk, "3": None}


def test_what_was_overdue_before_it_was_known_is_no_news_and_a_day_that_moves_is(acme):
    store_remediation_tasks(acme.id, [TASK])
    assert only(acme).told_overdue_at is not None

    store_remediation_tasks(acme.id, [TASK | {"dueOn": f"{in_days(2)}T00:00:00Z"}])
    assert (only(acme).told_overdue_at, only(acme).told_due_soon_at) == (None, None)


def test_what_retention_purged_does_not_come_back_and_what_is_known_or_active_is_followed(acme):
    cutoff = datetime(2026, 2, 2, tzinfo=UTC)
    kept = TASK | DONE | {"id": "kept"}
    store_remediation_tasks(acme.id, [kept])
    with acting_for(acme.id):
        forget_completed_before(acme.id, cutoff)
        forget_completed_before(acme.id, cutoff - timedelta(days=90))  # never backwards

    store_remediation_tasks(
        acme.id,
        [
            kept | {"title": "Held, and followed"},
            TASK | DONE | {"id": "purged"},
            TASK | DONE | {"id": "purged, without a day", "statusLastModifiedOn": None},
            TASK | DONE | {"id": "later", "statusLastModifiedOn": cutoff.isoformat()},
            TASK | {"id": "active"},
        ],
    )

    with acting_for(acme.id):
        found = dict(RemediationActivity.objects.values_list("defender_task_id", "title"))
    assert found == {"kept": "Held, and followed", "later": "Update 7-zip", "active": "Update 7-zip"}
