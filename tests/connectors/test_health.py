"""What calls and checks say about a connection: each trouble has its name, its words, and ends when it is over."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from connectors.checks import check_connection
from connectors.health import CONSEQUENCES, health_of, verdict_of
from connectors.models import Connection, Health
from connectors.protocol import Finding, NotSent, OutcomeUnknown, Refused
from investigations.syncing import sync_tenant
from portal.access.models import User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.connectors.certificates import make_pem
from tests.factories import make_key
from tests.remediation.actions.conftest import Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]
Browse = Callable[[User], Client]

WORKS = Finding("Sign-in", works=True, words="A token was given.")


def the_connection(tenant: Tenant) -> Connection:
    with acting_for(tenant.id):
        return Connection.objects.get()


def change(tenant: Tenant, **values: Any) -> None:
    with acting_for(tenant.id):
        Connection.objects.update(**values)


def read(tenant: Tenant) -> Connection:
    """Sync the tenant, its check being due, and return the connection."""
    change(tenant, checked_at=None)
    sync_tenant(tenant.id, lambda page: None)
    return the_connection(tenant)


def test_what_quell_needs_works_against_the_simulator(connected: Tenant) -> None:
    row = read(connected)
    assert (row.health, row.health_detail) == (Health.WORKING, "")
    assert row.checked_at is not None
    assert [finding["works"] for finding in row.findings].count(False) == 0


@pytest.mark.parametrize(
    ("seed", "health", "words"),
    [
        ({"consent_revoked": True}, Health.CONSENT_MISSING, "give admin consent"),
        ({"withheld_roles": ["Machine.Isolate"]}, Health.PERMISSIONS_MISSING, "Machine.Isolate"),
        ({"withheld_roles": ["ThreatHunting.Read.All"]}, Health.PERMISSIONS_MISSING, "ThreatHunting.Read.All"),
        ({"withheld_roles": ["Exchange.ManageAsApp"]}, Health.PERMISSIONS_MISSING, "Exchange Online"),
    ],
    ids=lambda value: str(value),
)
def test_a_trouble_at_microsoft_has_its_name_and_ends(
    connected: Tenant, vendor: Vendor, seed: Mapping[str, Any], health: Health, words: str
) -> None:
    vendor.seed(connected, **seed)
    row = read(connected)
    assert row.health == health
    assert words in row.health_detail
    assert sync_tenant(connected.id, lambda page: None) is (health == Health.PERMISSIONS_MISSING)
    assert the_connection(connected).health == health  # reading alone does not prove the rest

    vendor.seed(connected, consent_revoked=False, withheld_roles=[])
    assert read(connected).health == Health.WORKING


def test_a_tenant_deleted_at_microsoft_and_a_wrong_secret_have_their_names(
    connected: Tenant, vendor: Vendor, settings: Any
) -> None:
    settings.MICROSOFT_CLIENT_SECRET = "wrong"
    assert read(connected).health == Health.CREDENTIAL_WRONG
    settings.MICROSOFT_CLIENT_SECRET = "demo-secret"
    vendor.admin.delete(f"/_simulator/tenants/{connected.entra_tenant_id}").raise_for_status()
    row = read(connected)
    assert row.health == Health.TENANT_UNKNOWN
    assert "check the tenant id" in row.health_detail


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (Refused("", code="AADSTS500011"), Health.LICENCE_MISSING),
        (Refused("", code="AADSTS53003"), Health.BLOCKED),
        (Refused("", code="AADSTS7000222"), Health.CREDENTIAL_EXPIRED),
        (Refused("", code="AADSTS700027"), Health.CREDENTIAL_WRONG),
        (Refused("", code="WrongTenant"), Health.WRONG_TENANT),
        (Refused("", code="NoRoles"), Health.CONSENT_MISSING),
        (Refused("", code="Forbidden"), Health.PERMISSIONS_MISSING),
        (Refused("", code="teapot"), Health.REFUSED),
        (NotSent("", code="AADSTS700016"), Health.UNREACHABLE),
        (OutcomeUnknown(""), Health.UNREACHABLE),
        (ValueError(""), Health.REFUSED),
    ],
)
def test_every_error_is_a_state(error: Exception, health: Health) -> None:
    assert health_of(error) == health


def test_each_state_says_on_its_page_what_stops_and_what_goes_on(connected: Tenant, pia: User, browse: Browse) -> None:
    assert set(CONSEQUENCES) == set(Health)
    change(connected, health=Health.PERMISSIONS_MISSING)
    page = f"/admin/connectors/connection/{the_connection(connected).pk}/change/"
    assert "Everything else goes on." in browse(pia).get(page).content.decode()
    change(connected, is_enabled=False)
    assert "nothing is read, and actions wait" in browse(pia).get(page).content.decode()


@pytest.mark.parametrize(
    ("codes", "health"),
    [
        ([], Health.WORKING),
        (["Machine.Scan"], Health.PERMISSIONS_MISSING),
        (["Machine.Scan", "AADSTS7000222"], Health.CREDENTIAL_EXPIRED),
        (["SignInUnavailable"], Health.UNREACHABLE),
        (["NoRoles"], Health.PERMISSIONS_MISSING),  # another API was consented to
        (["whatever"], Health.REFUSED),
    ],
)
def test_the_gravest_finding_names_the_state_and_all_are_told(codes: list[str], health: Health) -> None:
    wrong = [Finding(f"Part {code}", works=False, words="No.", code=code) for code in codes]
    found, detail = verdict_of([WORKS, *wrong])
    assert found == health
    assert detail == "\n".join(f"Part {code}: No." for code in codes)
    if codes == ["NoRoles"]:
        assert verdict_of(wrong)[0] == Health.CONSENT_MISSING


@pytest.mark.parametrize(("days", "health"), [(20, Health.CERTIFICATE_EXPIRES), (200, Health.WORKING)])
def test_a_certificate_that_expires_soon_is_warned_of(
    connected: Tenant, vendor: Vendor, settings: Any, tmp_path: Any, days: int, health: Health
) -> None:
    pem = make_pem("provider", days=days)
    vendor.admin.put("/_simulator/clients/with-certificate", json={"certificate": pem}).raise_for_status()
    path = tmp_path / "certificate.pem"
    path.write_text(pem)
    path.chmod(0o600)
    settings.MICROSOFT_CLIENT_ID, settings.MICROSOFT_CLIENT_SECRET = "with-certificate", ""
    settings.MICROSOFT_CERTIFICATE_FILE = str(path)
    settings.ACTION_DEADLINE_SECONDS = 10.0  # a busy machine may take a second to check a signature
    row = read(connected)
    assert row.health == health
    assert ("expires on" in row.health_detail) == (days == 20)
    path.chmod(0o644)
    row = read(connected)
    assert row.health == Health.CREDENTIAL_WRONG
    assert "chmod 600" in row.health_detail


def test_a_check_is_asked_for_by_button_or_verb_and_done_by_the_next_sync(
    connected: Tenant, vendor: Vendor, tess: User, ada: User, browse: Browse
) -> None:
    row = read(connected)
    client = browse(tess)
    verb, page = f"/api/v1/connections/{row.pk}/check/", f"/admin/connectors/connection/{row.pk}/check/"
    assert browse(ada).post(verb).status_code == 403
    vendor.seed(connected, withheld_roles=["Machine.Scan"])

    answer = client.post(verb)

    assert (answer.status_code, answer.json()["checked_at"]) == (202, None)
    before = len(vendor.received(connected))
    assert client.post(page).status_code == 302
    assert len(vendor.received(connected)) == before  # a request never calls out
    sync_tenant(connected.id, lambda page: None)
    shown = client.get(f"/admin/connectors/connection/{row.pk}/change/").content.decode()
    assert "Machine.Scan" in shown
    assert "Permissions missing" in shown
    findings = client.get(f"/api/v1/connections/{row.pk}/").json()["findings"]
    assert [finding["code"] for finding in findings if not finding["works"]] == ["Machine.Scan"]

    key = Client(headers={"Authorization": f"Api-Key {make_key(connected, Role.TENANT_ADMIN)}"})
    assert key.post(verb).status_code == 202
    change(connected, is_enabled=False)
    assert client.post(verb).status_code == 409


def test_the_command_says_in_plain_words_what_works_and_what_is_missing(connected: Tenant, vendor: Vendor) -> None:
    out = io.StringIO()
    call_command("connection", "check", "acme", stdout=out)
    assert "Health: Working" in out.getvalue()

    change(connected, is_enabled=False)
    vendor.seed(connected, withheld_roles=["Machine.Offboard"])
    with pytest.raises(SystemExit) as ended:
        call_command("connection", "check", "acme", stdout=out)
    assert ended.value.code == 1
    assert "Machine.Offboard" in out.getvalue()
    assert "offboard_device" in out.getvalue()
    assert "switched off" in out.getvalue()
    assert the_connection(connected).health == Health.PERMISSIONS_MISSING
    with pytest.raises(CommandError):
        call_command("connection", "check", "nobody", stdout=out)


def test_a_connection_that_cannot_be_opened_is_told_not_raised(connected: Tenant) -> None:
    change(connected, graph_url="http://graph.example")
    [finding] = check_connection(connected.id, the_connection(connected).pk)
    assert not finding.works
    assert the_connection(connected).health == Health.REFUSED
