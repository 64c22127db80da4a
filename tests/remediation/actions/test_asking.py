"""Asking by hand: on the pages and over HTTP, with what stands in the way said before anybody is asked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from connectors.clouds import Cloud
from connectors.models import Connection
from investigations.models import Device
from investigations.states import EvidenceKind
from portal.access.models import User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_key

Browse = Callable[[User], Client]
ASK = "/admin/actions/pendingaction/ask/"
ACTIONS = "/api/v1/actions/"
WHY = {"reason": "It calls home."}
NOT_OFFERED = "Microsoft does not offer this on macOS"


@pytest.fixture
def laptop(acme: Tenant) -> Device:
    """A laptop with Windows 11."""
    return make_device(acme, "lap-7", os_platform="Windows11", os_version="24H2")


@pytest.fixture
def mac(acme: Tenant) -> Device:
    """A laptop on which Microsoft does less."""
    return make_device(acme, "mac-1", os_platform="macOS", os_version="15")


def only_action(tenant: Tenant) -> RemediationAction:
    """Return the one action there is."""
    with acting_for(tenant.id):
        return RemediationAction.objects.select_related("device").get()


def ask_by_http(client: Client, tenant: Tenant, type_name: str, **fields: Any) -> Any:
    """POST a request for an action."""
    body = {"tenant": str(tenant.id), "type": type_name, **WHY, **fields}
    return client.post(ACTIONS, body, content_type="application/json")


def test_a_person_chooses_fills_in_confirms_and_only_then_it_is_asked_for(
    acme: Tenant, laptop: Device, ada: User, browse: Browse
) -> None:
    client = browse(ada)
    chosen = client.get(f"{ASK}?device={laptop.pk}").content.decode()
    assert f"?device={laptop.pk}&amp;type=isolate_device" in chosen
    assert "It can be undone by “Release from isolation”" in chosen
    assert "Quell never repeats these by itself." in chosen
    address = f"{ASK}?device={laptop.pk}&type=isolate_device"
    assert 'type="radio" name="isolation_type" value="Selective"' in client.get(address).content.decode()

    filled_in = {**WHY, "isolation_type": "Selective"}
    asked = client.post(address, filled_in).content.decode()
    assert "Isolate device lap-7 of Acme: the device loses its network, except to Defender, Outlook" in asked
    assert "One other person has to approve it; nothing is sent before." in asked
    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()

    answer = client.post(address, {**filled_in, "confirmed": "1"})
    action = only_action(acme)
    assert answer["Location"] == f"/admin/actions/pendingaction/{action.pk}/change/"
    assert (action.state, action.source, action.reason) == ("pending_approval", "manual_device", WHY["reason"])
    assert action.parameters == {"isolation_type": "Selective"}


@pytest.mark.parametrize(
    ("type_name", "fields", "words"),
    [
        ("stop_process", {"process_id": "0"}, "The parameter “process_id” must be the id of a process"),
        ("stop_process", {}, "This field is required."),
        ("isolate_device", {"isolation_type": "Half"}, "Select a valid choice."),
        ("run_antivirus_scan", {"scan_type": "Quick", "reason": " "}, "Give a reason; it goes on record."),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_asked_for(
    acme: Tenant, laptop: Device, ada: User, browse: Browse, type_name: str, fields: dict[str, str], words: str
) -> None:
    address = f"{ASK}?device={laptop.pk}&type={type_name}"

    page = browse(ada).post(address, {**WHY, **fields, "confirmed": "1"}).content.decode()

    assert words in page
    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()


def test_what_microsoft_does_not_do_on_a_system_is_said_and_never_asked_for(
    acme: Tenant, mac: Device, ada: User, browse: Browse
) -> None:
    client = browse(ada)
    chosen = client.get(f"{ASK}?device={mac.pk}").content.decode()
    assert NOT_OFFERED in chosen
    assert "type=restrict_code_execution" not in chosen
    assert "type=isolate_device" in chosen
    assert (
        "<form method"
        not in client.get(f"{ASK}?device={mac.pk}&type=offboard_device").content.decode().split('id="content"')[1]
    )
    selective = client.post(f"{ASK}?device={mac.pk}&type=isolate_device", {**WHY, "isolation_type": "Selective"})
    assert NOT_OFFERED in selective.content.decode()

    answer = ask_by_http(client, acme, "isolate_device", device=str(mac.pk), parameters={"isolation_type": "Selective"})

    assert answer.status_code == 400
    assert NOT_OFFERED in answer.json()["detail"]
    assert (
        ask_by_http(
            client, acme, "isolate_device", device=str(mac.pk), parameters={"isolation_type": "Full"}
        ).status_code
        == 201
    )


def test_evidence_and_alerts_fill_in_what_they_know(acme: Tenant, laptop: Device, ada: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme, device=laptop))
    file = make_evidence(alert, laptop, sha256="b" * 64, file_path="C:\\Users\\pat\\bad.exe")
    mail = make_evidence(
        alert,
        None,
        kind=EvidenceKind.ANALYZED_MESSAGE,
        sha1="",
        network_message_id="4c2a",
        recipient="pat@acme.example",
    )
    client = browse(ada)

    assert "C:\\Users\\pat\\bad.exe" in client.get(f"{ASK}?evidence={file.pk}&type=delete_file").content.decode()
    assert "b" * 64 in client.get(f"{ASK}?evidence={file.pk}&type=block_indicator").content.decode()
    assert "pat@acme.example 4c2a" in client.get(f"{ASK}?evidence={mail.pk}&type=soft_delete_email").content.decode()
    assert alert.alert_id in client.get(f"{ASK}?alert={alert.pk}&type=classify_alert").content.decode()
    of_mail = client.get(f"{ASK}?evidence={mail.pk}").content.decode()
    assert "type=soft_delete_email" in of_mail
    assert "type=isolate_device" not in of_mail
    assert client.get(f"{ASK}?evidence={mail.pk}&type=isolate_device").status_code == 404
    page = client.get(f"/admin/investigations/alert/{alert.pk}/change/").content.decode()
    for name, row in (("alert", alert), ("evidence", file), ("evidence", mail)):
        assert f"{ASK}?{name}={row.pk}" in page


def test_what_touches_nothing_goes_at_once(acme: Tenant, laptop: Device, ada: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme, device=laptop))
    client = browse(ada)
    fields = {**WHY, "alert_id": alert.alert_id, "classification": "falsePositive", "determination": "notMalicious"}
    address = f"{ASK}?alert={alert.pk}&type=classify_alert"
    assert "Nobody else has to approve it: it is sent at once." in client.post(address, fields).content.decode()

    answer = client.post(address, {**fields, "confirmed": "1"})

    assert [str(each) for each in get_messages(answer.wsgi_request)][0].endswith("It is sent at once.")
    assert only_action(acme).state == "approved"


def test_a_release_is_an_approvers_to_order(acme: Tenant, laptop: Device, ada: User, bob: User, browse: Browse) -> None:
    address = f"{ASK}?device={laptop.pk}&type=release_from_isolation"
    assert browse(ada).get(address).status_code == 403
    assert "release_from_isolation" not in browse(ada).get(f"{ASK}?device={laptop.pk}").content.decode()

    browse(bob).post(address, {**WHY, "confirmed": "1"})

    assert only_action(acme).state == "approved"


def test_nobody_asks_about_what_is_not_theirs_or_without_the_right(
    acme: Tenant, laptop: Device, ren: User, gil: User, ada: User, browse: Browse
) -> None:
    address = f"{ASK}?device={laptop.pk}"
    assert browse(gil).get(address).status_code == 404
    assert browse(ren).get(address).status_code == 403
    assert "/ask/" not in browse(ren).get(f"/admin/investigations/device/{laptop.pk}/change/").content.decode()
    for query in ("", "?device=7", "?device=", f"?device={laptop.pk}&type=make_coffee", f"?alert={laptop.pk}"):
        assert browse(ada).get(ASK + query).status_code == 404


@pytest.mark.parametrize(
    ("type_name", "parameters", "by_person", "by_key"),
    [
        ("run_antivirus_scan", {"scan_type": "Quick"}, "manual_device", "live_response"),
        ("stop_process", {"process_id": 7}, "manual_live_response", "live_response"),
        ("block_url", {"url": "bad.example"}, "manual_email", "manual_email"),
        ("block_indicator", {"indicator_type": "DomainName", "value": "b.example"}, "manual_device", "manual_device"),
    ],
)
def test_the_source_says_who_asked_and_by_which_way(
    acme: Tenant,
    laptop: Device,
    ada: User,
    browse: Browse,
    type_name: str,
    parameters: dict[str, Any],
    by_person: str,
    by_key: str,
) -> None:
    device = str(laptop.pk) if by_key == "live_response" else None
    robot = Client(headers={"authorization": f"Api-Key {make_key(acme, Role.ANALYST)}"})

    fields = {"device": device, "parameters": parameters}
    assert ask_by_http(browse(ada), acme, type_name, **fields).json()["source"] == by_person
    with acting_for(acme.id):
        RemediationAction.objects.all().delete()
    assert ask_by_http(robot, acme, type_name, **fields).json()["source"] == by_key


def test_what_the_tenants_cloud_lacks_is_refused_before_anybody_is_asked(
    browse: Browse, acme: Tenant, ada: User
) -> None:
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme, cloud=Cloud.GCC_HIGH)
    messages = [{"network_message_id": "m-1", "recipient": "ada@acme.example"}]

    answer = ask_by_http(browse(ada), acme, "soft_delete_email", parameters={"messages": messages})

    assert answer.status_code == 400
    assert "GCC High" in answer.json()["detail"]
    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()
