"""A restored backup is found out: what a receipt says is gone and is there again is told before it leaves anew."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention.models import Purge
from remediation.retention.purging import purge_tenant
from remediation.retention.receipts import BadReceipt, read_receipts
from tests.remediation.retention.conftest import as_owner, kept, make_activity

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "vulnerabilities_remediationactivity"


def dump(tenant: Tenant) -> list[Any]:
    with as_owner(tenant) as owner:
        return [row for (row,) in owner.execute(f"SELECT to_jsonb(a) FROM {TABLE} a").fetchall()]


def restore(tenant: Tenant, rows: list[Any], *, with_receipts: bool) -> None:
    """Put rows back as a backup would; one that is older than the purge does not know its receipt either."""
    with as_owner(tenant) as owner:
        if with_receipts:
            owner.execute("DELETE FROM retention_purge")
        for row in rows:
            owner.execute(
                f"INSERT INTO {TABLE} SELECT * FROM jsonb_populate_record(NULL::{TABLE}, %s)", [json.dumps(row)]
            )


def verify(*arguments: str) -> str:
    """Return what --verify says, and how it ends."""
    said = io.StringIO()
    try:
        call_command("retention", "--verify", *arguments, stdout=said)
    except CommandError as error:
        said.write(str(error))
    return said.getvalue()


def returned_events(tenant: Tenant) -> list[dict[str, Any]]:
    with acting_for(tenant.id):
        found = AuditEvent.objects.filter(verb="retention.returned").order_by("seq")
        return list(found.values_list("data", flat=True))


@pytest.mark.parametrize("with_receipts", [True, False])
def test_rows_that_came_back_are_told_and_leave_again_a_day_later(
    acme: Tenant, globex: Tenant, with_receipts: bool, receipts_file: Path
) -> None:
    first, second, other = make_activity(acme), make_activity(acme), make_activity(globex)
    rows = dump(acme)
    assert purge_tenant(acme.id)
    assert kept(acme) == set()
    assert "2 rows read; 0 rows came back" in verify()
    restore(acme, rows[:1], with_receipts=with_receipts)
    back = UUID(rows[0]["id"])
    [filed] = read_receipts(acme.id)

    assert purge_tenant(acme.id)

    assert kept(acme) == {back}
    [event] = returned_events(acme)
    assert (event["receipt"], event["returned_rows"], event["first_rows"]) == (str(filed.pk), 1, [str(back)])
    assert event["was_in_database"] is not with_receipts
    words = verify("--tenant", "acme")
    assert f"1 rows restored after receipt {filed.pk}" in words
    assert str(back) in words
    assert len(returned_events(acme)) == 1
    with acting_for(acme.id):
        receipt = Purge.objects.get(pk=filed.pk)
        assert (receipt.returned_count, receipt.row_count, receipt.sha256) == (1, 2, filed.sha256)
        Purge.objects.update(returned_at=timezone.now() - timedelta(days=1))
    assert purge_tenant(acme.id)
    assert kept(acme) == set()
    assert kept(globex) == {other.pk}
    assert "0 rows came back" in verify()
    with acting_for(acme.id):
        assert Purge.objects.get(pk=filed.pk).returned_count == 0
    assert {first.pk, second.pk} == set(filed.row_ids)


def test_a_torn_last_line_is_cut_off_and_an_edited_one_is_told(acme: Tenant, receipts_file: Path) -> None:
    make_activity(acme)
    assert purge_tenant(acme.id)
    whole = receipts_file.read_bytes()
    receipts_file.write_bytes(whole + whole[: len(whole) // 2])
    make_activity(acme)
    assert purge_tenant(acme.id)
    assert len(list(read_receipts())) == 2
    receipts_file.write_bytes(receipts_file.read_bytes().replace(b'"rows":"', b'"rows":"?', 1))
    with pytest.raises(BadReceipt, match="line 1"):
        purge_tenant(acme.id)


def test_a_receipt_that_is_missing_from_the_file_is_told(acme: Tenant, receipts_file: Path) -> None:
    make_activity(acme)
    assert purge_tenant(acme.id)
    receipts_file.write_bytes(b"")
    words = verify()
    assert "MISSING" in words
    assert "1 receipts are missing" in words


def test_a_dry_run_counts_and_changes_nothing(acme: Tenant) -> None:
    activity = make_activity(acme)
    said = io.StringIO()
    call_command("retention", "--dry-run", "--tenant", "acme", stdout=said)
    assert "acme  remediation_activities: 1 due, 0 held; kept 180 days" in said.getvalue()
    assert kept(acme) == {activity.pk}
    call_command("retention", "--purge", stdout=said)
    assert kept(acme) == set()
