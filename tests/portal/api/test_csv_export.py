"""CSV made by PostgreSQL: what it holds, what a spreadsheet may not run, and a client that goes away."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection
from django.db.models import Func, IntegerField, Value
from django.db.models.functions import Length

from investigations.models import Device
from portal.api import csv_export
from portal.api.csv_export import CHUNK_BYTES, Column, csv_response
from portal.tenancy.scope import acting_for, has_scope, viewing
from tests.factories import make_device

COLUMNS = (Column("Device, by name", "name"), Column("Tenant", "tenant__name"))


def rows_of(response):
    """Read an export as a spreadsheet would."""
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode(), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_spreadsheet_runs_nothing_of_it(start, acme):
    make_device(acme, f"{start}cmd|' /C calc'!A0")
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), COLUMNS, name="devices")

    assert rows_of(response) == [["Device, by name", "Tenant"], [f"'{start}cmd|' /C calc'!A0", "Acme"]]


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r\n", ';"', ';""'])
def test_nor_where_a_spreadsheet_splits_lines_at_semicolons(separator, acme):
    make_device(acme, f"pc{separator}=cmd|' /C calc'!A0;@SUM(1);")
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), [Column("name", "name")], name="devices")

    assert rows_of(response)[1] == [f"pc{separator}'=cmd|' /C calc'!A0;'@SUM(1);"]


def test_any_text_comes_back_as_it_was(acme):
    names = ['say "hi", then\nleave', "büro-01 – 東京 💻", "", " =2+2", "a=b", "plain, with comma", "\\.", "50%s %"]
    for name in names:
        make_device(acme, name)
    with acting_for(acme.id):
        response = csv_response(Device.objects.order_by("id"), [Column("%s", "name")], name="devices")

    assert rows_of(response) == [["%s"], *([name] for name in names)]


def test_each_type_is_written_so_that_machines_read_it(acme):
    seen = datetime(2026, 3, 1, 1, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    device = make_device(acme, "pc", last_seen_at=seen, tags=["=1", "a;b"])
    columns = [
        Column("id", "id"),
        Column("seen", "last_seen_at"),
        Column("first", "first_seen_at"),
        Column("tags", "tags"),
        Column("default", "group__is_default"),
        Column("length", Length("name") * -1),
    ]
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), columns, name="devices")

    assert rows_of(response)[1] == [str(device.pk), "2026-02-28T23:30:05Z", "", "'=1; a;b", "true", "-2"]


def test_rows_are_those_of_the_scope_and_the_filter(acme, globex):
    make_device(acme, "ours")
    make_device(globex, "theirs")
    with viewing([acme.id, globex.id]):
        both = csv_response(Device.objects.order_by("name"), COLUMNS, name="devices")
        one = csv_response(Device.objects.filter(tenant=globex), COLUMNS, name="devices")
    with acting_for(acme.id):
        ours = csv_response(Device.objects.all(), COLUMNS, name="devices")
    nobody = csv_response(Device.objects.none(), COLUMNS, name="devices")

    assert rows_of(both)[1:] == [["ours", "Acme"], ["theirs", "Globex"]]
    assert rows_of(one)[1:] == [["theirs", "Globex"]]
    assert rows_of(ours)[1:] == [["ours", "Acme"]]
    assert rows_of(nobody) == [["Device, by name", "Tenant"]]


def test_it_is_a_file_that_nobody_keeps(acme):
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), COLUMNS, name="remediation-2026")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="remediation-2026.csv"'
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
def test_a_client_that_goes_away_ends_the_query_and_the_scope(acme, caplog):
    make_device(acme, "x" * 1000)
    numbers = Func(
        Value(1), Value(100_000_000), function="generate_series", output_field=IntegerField(), set_returning=True
    )
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), [Column("number", numbers)], name="endless")
    chunks = iter(response)
    next(chunks)
    started = datetime.now(UTC)

    assert len(next(chunks)) >= CHUNK_BYTES
    response.close()

    assert datetime.now(UTC) - started < timedelta(seconds=5)
    assert "“endless” was broken off" in caplog.text
    assert not has_scope()
    assert not connection.in_atomic_block
    with acting_for(acme.id):
        assert Device.objects.count() == 1


def test_an_export_that_does_not_end_in_time_is_cut_and_the_log_says_so(acme, monkeypatch, caplog):
    make_device(acme, "pc")
    monkeypatch.setattr(csv_export, "LONGEST_SECONDS", 0)
    with acting_for(acme.id):
        response = csv_response(Device.objects.all(), COLUMNS, name="devices")

    with pytest.raises(csv_export.TooSlow):
        rows_of(response)

    assert "“devices” was cut" in caplog.text
    assert not has_scope()
