"""What is past its time leaves, whole and receipted; nothing else does, and nobody who reads waits."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from portal.access.models import User
from portal.api.models import IdempotentAnswer
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import Decision, RemediationAction
from remediation.retention import purging
from remediation.retention.kinds import KINDS
from remediation.retention.models import Purge, PurgeTurn
from remediation.retention.purging import purge_tenant
from remediation.retention.receipts import file_waiting, read_receipts
from remediation.retention.tasks import purge, tenants_due
from remediation.vulnerabilities.activities.importing import store_remediation_tasks
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity, SecurityTask
from tests.factories import make_device, make_pending_action
from tests.remediation.retention.conftest import as_owner, kept, make_activity

pytestmark = pytest.mark.django_db(transaction=True)


def purged_events(tenant: Tenant) -> list[dict[str, Any]]:
    with acting_for(tenant.id):
        return list(AuditEvent.objects.filter(verb="retention.purged").order_by("seq").values_list("data", flat=True))


def end_action(action: RemediationAction, days_ago: int) -> None:
    with as_owner(Tenant(id=action.tenant_id)) as owner:
        owner.execute("ALTER TABLE actions_remediationaction DISABLE TRIGGER action_guard")
        owner.execute(
            "UPDATE actions_remediationaction SET state = 'rejected', ended_at = now() - %s * interval '1 day'"
            " WHERE id = %s",
            [days_ago, action.pk],
        )
        owner.execute("ALTER TABLE actions_remediationaction ENABLE TRIGGER action_guard")


def test_day_179_stays_and_day_181_leaves_with_a_receipt(acme: Tenant, globex: Tenant, receipts_file: Path) -> None:
    device = make_device(acme)
    young = make_activity(acme, days_ago=179, devices=(device,))
    old = make_activity(acme, days_ago=181, devices=(device,))
    foreign = make_activity(globex, days_ago=181)
    with acting_for(acme.id):
        task = SecurityTask.objects.create(tenant=acme, activity=old, kind="app", display_name="t", status="pending")

    assert purge_tenant(acme.id)

    assert (kept(acme), kept(globex)) == ({young.pk}, {foreign.pk})
    with acting_for(acme.id):
        assert [row.activity_id for row in ActivityDevice.objects.all()] == [young.pk]
        assert SecurityTask.objects.get(pk=task.pk).activity_id is None
        receipt = Purge.objects.get()
    [event] = purged_events(acme)
    assert (event["kind"], event["rows"], event["days"]) == ("remediation_activities", 1, 180)
    assert event["parts"] == {"vulnerabilities_activitydevice": 1}
    assert (event["first"], event["last"], event["sha256"]) == (str(old.pk), str(old.pk), receipt.sha256)
    assert receipt.filed_at is not None
    assert receipt.row_ids == []
    assert receipts_file.stat().st_mode & 0o777 == 0o600
    [filed] = read_receipts(acme.id)
    assert (filed.pk, filed.row_ids, filed.sha256, filed.cutoff) == (
        receipt.pk, [old.pk], receipt.sha256, receipt.cutoff,
    )  # fmt: skip
    assert list(read_receipts(globex.id)) == []


def test_an_activity_of_defender_that_left_does_not_come_back_with_the_next_import(acme: Tenant) -> None:
    days_ago = (timezone.now() - timedelta(days=181)).isoformat()
    row = {"id": "t-1", "title": "Update 7-zip", "status": "Completed", "statusLastModifiedOn": days_ago}
    store_remediation_tasks(acme.id, [row])
    assert len(kept(acme)) == 1

    assert purge_tenant(acme.id)
    store_remediation_tasks(acme.id, [row, row | {"id": "t-2", "statusLastModifiedOn": timezone.now().isoformat()}])

    with acting_for(acme.id):
        assert [found.defender_task_id for found in RemediationActivity.objects.all()] == ["t-2"]


def test_an_active_activity_never_leaves(acme: Tenant) -> None:
    activity = make_activity(acme, days_ago=181)
    with as_owner(acme) as owner:
        owner.execute(
            "UPDATE vulnerabilities_remediationactivity SET state = 'active', completion = '', completed_at = NULL,"
            " requested_at = now() - interval '9 years'"
        )
    assert purge_tenant(acme.id)
    assert kept(acme) == {activity.pk}


def test_an_action_leaves_with_its_decisions_and_after_what_took_it_back(
    acme: Tenant, bob: User, receipts_file: Path
) -> None:
    old, undo, young = (make_pending_action(acme, make_device(acme, f"pc-{n}")) for n in range(3))
    with acting_for(acme.id):
        Decision.objects.create(tenant=acme, action=undo, user=bob, answer="reject", reason="No.")
    with as_owner(acme) as owner:
        owner.execute("UPDATE actions_remediationaction SET undoes_id = %s WHERE id = %s", [old.pk, undo.pk])
    end_action(old, 401)
    end_action(undo, 401)
    end_action(young, 399)

    assert purge_tenant(acme.id)
    with acting_for(acme.id):
        assert set(RemediationAction.objects.values_list("pk", flat=True)) == {old.pk, young.pk}
        assert Decision.objects.count() == 0
    assert purge_tenant(acme.id)
    with acting_for(acme.id):
        assert set(RemediationAction.objects.values_list("pk", flat=True)) == {young.pk}
    assert [event["parts"].get("actions_decision") for event in purged_events(acme)] == [1, 0]


def test_stored_answers_go_after_thirty_days(acme: Tenant, ada: User) -> None:
    with acting_for(acme.id):
        for key, days in (("old", 31), ("young", 29)):
            row = IdempotentAnswer.objects.create(
                tenant=acme, user=ada, key=key, fingerprint="0", status=201, body={"any": "thing"}
            )
            IdempotentAnswer.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=days))
    assert purge_tenant(acme.id)
    with acting_for(acme.id):
        assert [row.key for row in IdempotentAnswer.objects.all()] == ["young"]


def test_a_crash_between_batches_leaves_receipts_that_add_up(
    acme: Tenant, monkeypatch: Any, receipts_file: Path
) -> None:
    all_ids = {make_activity(acme).pk for _each in range(5)}
    monkeypatch.setattr(purging, "Pace", lambda: StillPace(2))

    crashes = iter([False, True])

    def crash_before_filing(tenant_id: Any) -> None:
        if next(crashes, False):
            raise KeyboardInterrupt
        file_waiting(tenant_id)

    monkeypatch.setattr(purging, "file_waiting", crash_before_filing)
    with pytest.raises(KeyboardInterrupt):
        purge_tenant(acme.id)
    assert (len(kept(acme)), sum(event["rows"] for event in purged_events(acme))) == (3, 2)
    assert list(read_receipts(acme.id)) == []

    assert purge_tenant(acme.id)

    assert kept(acme) == set()
    events, receipts = purged_events(acme), list(read_receipts(acme.id))
    assert [event["rows"] for event in events] == [2, 2, 1]
    assert [event["sha256"] for event in events] == [receipt.sha256 for receipt in receipts]
    assert {row for receipt in receipts for row in receipt.row_ids} == all_ids


class StillPace(purging.Pace):
    """A pace that does not change."""

    def rest(self, took: float) -> None:
        """Go on at once."""


def test_a_failing_receipt_keeps_the_rows(acme: Tenant, settings: Any, monkeypatch: Any) -> None:
    activity = make_activity(acme)
    monkeypatch.setattr(purging, "_note", lambda receipt: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        purge_tenant(acme.id)
    assert kept(acme) == {activity.pk}


def test_nothing_more_leaves_while_receipts_cannot_be_filed(acme: Tenant, settings: Any, tmp_path: Path) -> None:
    first, second = make_activity(acme), make_activity(acme)
    with acting_for(acme.id):
        purging.purge_batch(acme.id, KINDS["remediation_activities"], uuid7(), after=None, size=1)
    settings.RETENTION_RECEIPTS_FILE = str(tmp_path)
    with pytest.raises(OSError, match="directory"):
        purge_tenant(acme.id)
    purge(str(acme.id))
    assert first.pk < second.pk
    assert kept(acme) == {second.pk}
    assert acme.id in tenants_due()


def test_readers_go_on_while_a_batch_is_held_open_and_rows_in_use_are_passed_over(acme: Tenant) -> None:
    busy, free = make_activity(acme), make_activity(acme)
    seen: list[int] = []

    def read() -> None:
        try:
            with acting_for(acme.id), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '1s'")
                seen.append(len(RemediationActivity.objects.order_by("-id")[:50]))
        finally:
            connection.close()

    with as_owner(acme) as other:
        other.execute("SELECT 1 FROM vulnerabilities_remediationactivity WHERE id = %s FOR UPDATE", [busy.pk])
        with acting_for(acme.id):
            receipt = purging.purge_batch(acme.id, KINDS["remediation_activities"], uuid7(), after=None, size=10)
            reader = threading.Thread(target=read)
            reader.start()
            reader.join()
        assert receipt is not None
        assert (receipt.first_id, receipt.row_count) == (free.pk, 1)
    assert seen == [2]
    assert kept(acme) == {busy.pk}


def test_beat_gives_every_tenant_its_turn_once_a_day(acme: Tenant, globex: Tenant, receipts_file: Path) -> None:
    make_activity(acme)
    assert {acme.id, globex.id} <= set(tenants_due())
    purge(str(acme.id))
    assert acme.id not in tenants_due()
    assert globex.id in tenants_due()
    again = make_activity(acme)
    purge(str(acme.id))
    assert kept(acme) == {again.pk}
    with acting_for(acme.id):
        PurgeTurn.objects.update(next_at=timezone.now())
    purge(str(acme.id))
    assert kept(acme) == set()


def test_whatever_points_at_a_kind_leaves_with_it_or_lets_go() -> None:
    """A new foreign key to a purged table has to be named in the table of kinds."""
    named = {
        (link.model, link.field) for kind in KINDS.values() for link in (*kind.parts, *kind.loosened)
    } | {(RemediationAction, "undoes")}  # fmt: skip
    purged = {kind.model for kind in KINDS.values()} | {link.model for kind in KINDS.values() for link in kind.parts}
    found = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if not model._meta.proxy and field.related_model in purged
    }
    assert found == named


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_purged_of_what_is_old(acme: Tenant, name: str, receipts_file: Path) -> None:
    """Its clock and its condition are queries that PostgreSQL takes."""
    with acting_for(acme.id):
        assert purging.purge_batch(acme.id, KINDS[name], uuid7(), after=uuid7(), size=1) is None
