"""Sync reads each page outside any transaction, moves its watermark after the page is stored, and misses nothing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from connectors.models import Connection, Health
from connectors.protocol import ConnectorError, Finding, NotSent, OutcomeUnknown, Refused
from investigations import syncing
from investigations.models import Alert, Device
from investigations.syncing import OVERLAP, Page, sync_tenant
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.investigations.records import START, alert, machine, store
from tests.remediation.actions.conftest import Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


class Crash(BaseException):
    """The process dies here."""


class PagedVendor:
    """Answers with pages as they are told; `asked` keeps every `since`."""

    kind = "microsoft"

    def __init__(self, *pages: Page, error: ConnectorError | None = None) -> None:
        self.pages, self.error = pages, error
        self.asked: list[datetime | None] = []
        self.machines: list[dict[str, Any]] = []
        self.findings = [Finding("Sign-in", works=True, words="A token was given.")]

    def check(self) -> Sequence[Finding]:
        assert not connection.in_atomic_block
        return self.findings

    def devices(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.machines)

    def alerts(self, since: datetime | None) -> Iterator[Sequence[Mapping[str, Any]]]:
        self.asked.append(since)
        assert not connection.in_atomic_block
        yield from self.pages
        if self.error:
            raise self.error


def the_connection(tenant: Tenant) -> Connection:
    with acting_for(tenant.id):
        return Connection.objects.get()


def stored_alerts(tenant: Tenant) -> set[str]:
    with acting_for(tenant.id):
        return set(Alert.objects.values_list("alert_id", flat=True))


def take_in(tenant: Tenant, page: Page) -> None:
    store(tenant, *map(dict, page))


def sync(tenant: Tenant) -> bool:
    return sync_tenant(tenant.id, lambda page: take_in(tenant, page))


@pytest.fixture
def acme_of(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Connect Acme to a vendor of the test's own making."""

    def connect(vendor: PagedVendor) -> Tenant:
        monkeypatch.setattr(syncing, "open_connection", lambda *_, **__: vendor)
        with acting_for(acme.id):
            Connection.objects.get_or_create(tenant=acme)
        return acme

    return connect


def test_devices_and_alerts_come_over_the_wire_and_nothing_is_open_meanwhile(connected: Tenant, vendor: Vendor) -> None:
    rows = [alert(connected, number, minutes=number) for number in range(120)]
    vendor.seed(connected, machines=[{"computerDnsName": "pc-1.acme.example"}], alerts=rows)

    assert sync(connected)

    assert len(stored_alerts(connected)) == 120
    with acting_for(connected.id):
        assert Device.objects.get().name == "pc-1.acme.example"
    row = the_connection(connected)
    assert (row.health, row.health_detail) == (Health.WORKING, "")
    assert row.alerts_read_to == START + timedelta(minutes=119)
    assert row.devices_read_at is not None
    assert row.next_sync_at is not None
    assert row.next_sync_at > timezone.now()


def test_an_alert_updated_while_pages_are_read_pushes_no_other_out_of_them(connected: Tenant, vendor: Vendor) -> None:
    """The first alert moves to the list's end, all others move up by one: a skip would miss the 51st."""
    rows = [alert(connected, number, minutes=60 * number) for number in range(120)]
    vendor.seed(connected, alerts=rows)
    pages = 0

    def handle(page: Page) -> None:
        nonlocal pages
        pages += 1
        take_in(connected, page)
        if pages == 1:
            vendor.seed(connected, alerts=[alert(connected, 0, minutes=60 * 200, title="Changed")])

    assert sync_tenant(connected.id, handle)

    assert stored_alerts(connected) == {f"da{number}" for number in range(120)}
    with acting_for(connected.id):
        assert Alert.objects.get(alert_id="da0").title == "Changed"


def test_a_repeated_page_changes_nothing(acme_of: Any, acme: Tenant) -> None:
    page = [alert(acme, 1, minutes=1), alert(acme, 2, minutes=2)]
    acme_of(PagedVendor(page, page, [alert(acme, 3, minutes=3)], page))

    assert sync(acme)
    assert sync(acme)

    assert stored_alerts(acme) == {"da1", "da2", "da3"}
    assert the_connection(acme).alerts_read_to == START + timedelta(minutes=3)


def test_a_crash_between_page_and_watermark_reads_the_page_again(
    acme_of: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = PagedVendor([alert(acme, 1, minutes=1)], [alert(acme, 2, minutes=30)])
    acme_of(vendor)
    move, moved = syncing._move_watermark, 0

    def crash_on_second(*arguments: Any) -> None:
        nonlocal moved
        moved += 1
        if moved == 2:
            raise Crash
        move(*arguments)

    monkeypatch.setattr(syncing, "_move_watermark", crash_on_second)
    with pytest.raises(Crash):
        sync(acme)
    assert stored_alerts(acme) == {"da1", "da2"}
    assert the_connection(acme).alerts_read_to == START + timedelta(minutes=1)

    vendor.asked.clear()
    monkeypatch.setattr(syncing, "_move_watermark", move)
    assert sync(acme)

    assert vendor.asked[0] == START + timedelta(minutes=1) - OVERLAP
    assert stored_alerts(acme) == {"da1", "da2"}
    assert the_connection(acme).alerts_read_to == START + timedelta(minutes=30)


def test_a_crash_while_a_page_is_stored_leaves_the_watermark(acme_of: Any, acme: Tenant) -> None:
    acme_of(PagedVendor([alert(acme, 1)]))

    def crash(_: Page) -> None:
        raise Crash

    with pytest.raises(Crash):
        sync_tenant(acme.id, crash)
    assert the_connection(acme).alerts_read_to is None


def test_the_watermark_never_goes_back_nor_into_the_future(acme_of: Any, acme: Tenant) -> None:
    acme_of(PagedVendor([alert(acme, 1, minutes=9)]))
    sync(acme)
    acme_of(PagedVendor([alert(acme, 2, minutes=5)]))
    sync(acme)
    assert the_connection(acme).alerts_read_to == START + timedelta(minutes=9)

    acme_of(PagedVendor([alert(acme, 3, lastUpdateDateTime="2999-01-01T00:00:00Z")]))
    sync(acme)

    read_to = the_connection(acme).alerts_read_to
    assert read_to is not None
    assert read_to <= timezone.now()


def test_pages_that_come_newest_first_hold_the_watermark_until_the_last_is_stored(acme_of: Any, acme: Tenant) -> None:
    newest_first = [[alert(acme, 4, minutes=40), alert(acme, 3, minutes=30)], [alert(acme, 2), alert(acme, 1)]]
    acme_of(PagedVendor(*newest_first, error=OutcomeUnknown("reset")))
    assert not sync(acme)
    assert the_connection(acme).alerts_read_to is None

    acme_of(PagedVendor(*newest_first))
    assert sync(acme)
    assert the_connection(acme).alerts_read_to == START + timedelta(minutes=40)


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (Refused("The secret is wrong.", code="AADSTS7000215"), Health.CREDENTIAL_WRONG),
        (Refused("The sky is green.", code="AADSTS1"), Health.REFUSED),
        (NotSent("No connection."), Health.UNREACHABLE),
        (OutcomeUnknown("HTTP 503."), Health.UNREACHABLE),
    ],
)
def test_what_went_wrong_is_the_connections_health(
    acme_of: Any, acme: Tenant, error: ConnectorError, health: Health
) -> None:
    acme_of(PagedVendor([alert(acme, 1)], error=error))

    assert not sync(acme)

    row = the_connection(acme)
    assert (row.health, row.health_detail) == (health, str(error))
    assert row.alerts_read_to == START
    assert row.health_at is not None


def test_an_address_that_cannot_be_used_is_shown_and_not_raised(acme: Tenant) -> None:
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme, graph_url="http://graph.example")

    assert not sync(acme)

    row = the_connection(acme)
    assert row.health == Health.REFUSED
    assert "http://graph.example" in row.health_detail


def test_machines_that_cannot_be_read_are_logged_with_their_place_and_skipped(
    acme_of: Any, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = PagedVendor()
    bad: list[Any] = [{"id": "short"}, {"id": machine(1), "computerDnsName": "a\x00b"}, 7]
    vendor.machines = [*bad, {"id": machine(2), "computerDnsName": "pc-2"}]
    acme_of(vendor)

    assert sync(acme)

    with acting_for(acme.id):
        assert Device.objects.get().name == "pc-2"
    assert [position for position in range(4) if f"machine {position} " in caplog.text] == [0, 1, 2]


def test_a_tenant_without_an_enabled_connection_is_not_read(acme: Tenant) -> None:
    assert not sync(acme)
