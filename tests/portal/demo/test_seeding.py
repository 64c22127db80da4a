"""The example tenants: seeded as often as one likes, and every alert and device of the scenes is what it should be."""

import pytest

from connectors.models import Connection
from connectors.outbound.models import Channel
from connectors.simulator.known_exploited_rows import ROWS
from investigations.grouping import DeviceFacts, choose_group, domain_of
from investigations.groups import rules_of
from investigations.models import DeviceGroup
from investigations.payloads import read_alert
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.demo.channels import connect_channels
from portal.demo.companies import COMPANIES, LUMIERE, NORDFJELL, Company
from portal.demo.first_requests import ask_for_first_things
from portal.demo.opening import opening_scene
from portal.demo.seeding import SIGN_INS, seed
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.vulnerabilities.models import IntuneConnection


@pytest.fixture
def seeded(db: None) -> None:
    """Two starts, each with another port of the simulator."""
    seed("https://127.0.0.1:1111")
    seed("https://127.0.0.1:2222")


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_a_second_start_only_moves_the_connection(seeded: None, company: Company) -> None:
    with acting_for(company.tenant_id):
        connection = Connection.objects.get()
        levels = set(DeviceGroup.objects.filter(is_default=False).values_list("automation_level", flat=True))
        assert {connection.login_url, connection.defender_url, connection.graph_url} == {"https://127.0.0.1:2222"}
        assert levels == set(company.groups)
        assert DeviceGroup.objects.count() == len(company.groups) + 1


def test_everybody_has_one_account_and_their_password(seeded: None) -> None:
    assert User.objects.count() == len(SIGN_INS)
    for each in SIGN_INS:
        assert len(each.password) >= 15
        assert User.objects.get(email=each.email).check_password(each.password)


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_every_device_falls_into_the_group_it_was_made_for(seeded: None, company: Company) -> None:
    with acting_for(company.tenant_id):
        rules = rules_of(company.tenant_id)
        for level in company.groups:
            machine = company.machine(level, 1)
            name = machine["computerDnsName"]
            facts = DeviceFacts(name, domain_of(name), tuple(machine["machineTags"]), machine["osPlatform"])
            assert DeviceGroup.objects.get(pk=choose_group(facts, rules)).automation_level == level


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_every_alert_of_the_opening_scene_is_read_whole(company: Company) -> None:
    for record in opening_scene(company)["alerts"]:
        alert = read_alert(record, entra_tenant_id=str(company.entra_tenant_id))
        assert alert.evidence
        assert not alert.refused
        assert not alert.unrecognised


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_the_weaknesses_of_the_opening_scene_are_about_its_devices(company: Company) -> None:
    scene = opening_scene(company)
    machines = {machine["id"]: machine["aadDeviceId"] for machine in scene["machines"]}
    named = [row["exposed"] for row in scene["recommendations"]]
    named += [row.get("machines", []) for row in scene["remediation_tasks"]]

    assert len({row["id"] for row in scene["recommendations"]}) == len(scene["recommendations"]) >= 20
    assert all(set(ids) <= machines.keys() for ids in named)
    assert {row["azureADDeviceId"] for row in scene["managed_devices"]} < set(machines.values())
    assert {cve for row in scene["recommendations"] for cve in row["cves"]} & {row[0] for row in ROWS}


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_intune_is_on_at_one_company_and_stays_as_somebody_left_it(seeded: None, company: Company) -> None:
    with acting_for(company.tenant_id):
        assert IntuneConnection.objects.get().is_on == (company is NORDFJELL)
        IntuneConnection.objects.update(is_on=company is not NORDFJELL)
    seed("https://127.0.0.1:3333")
    with acting_for(company.tenant_id):
        assert IntuneConnection.objects.get().is_on == (company is not NORDFJELL)


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.slug)
def test_it_admins_have_one_channel_which_follows_the_simulator(seeded: None, company: Company) -> None:
    for port in (1111, 2222, 2222):
        connect_channels(f"https://127.0.0.1:{port}")
    with acting_for(company.tenant_id):
        channel = Channel.objects.get()
        assert channel.host == "127.0.0.1:2222"
        told = AuditEvent.objects.filter(object_id=str(channel.pk)).values_list("verb", flat=True)
        assert sorted(verb.rpartition(".")[2] for verb in told) == ["changed", "created"]


def test_what_a_person_does_by_hand_is_asked_for_once(seeded: None) -> None:
    for _start in range(2):
        ask_for_first_things()

    with acting_for(LUMIERE.tenant_id):
        assert [(row.type, row.state) for row in RemediationAction.objects.all()] == [
            ("quarantine_attachment", "approved")
        ]
