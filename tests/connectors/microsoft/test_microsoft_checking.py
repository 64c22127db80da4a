"""The check of a connection: what works is said to work, and what is missing by its name."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import Finding
from portal.secrets.secret_text import SecretText
from tests.connectors.microsoft.conftest import Simulator

pytestmark = pytest.mark.process


def check(simulator: Simulator) -> dict[str, Finding]:
    return {finding.what: finding for finding in Microsoft(simulator.settings, deadline_seconds=3).check()}


def test_all_that_works_is_said_to_work(simulator: Simulator) -> None:
    found = check(simulator)

    assert [finding for finding in found.values() if not finding.works] == []
    assert list(found) == [
        "Sign-in to Defender for Endpoint",
        "Permissions of Defender for Endpoint",
        "Reading devices",
        "Sign-in to Microsoft Graph",
        "Permissions of Microsoft Graph",
        "Reading alerts",
        "Reading where mail lies",
        "Hunting",
        "Sign-in to Exchange Online",
        "Permissions of Exchange Online",
        "Reading mail domains",
    ]


def test_a_missing_permission_is_named_with_what_needs_it(simulator: Simulator) -> None:
    simulator.seed(withheld_roles=["Machine.Isolate", "ThreatHunting.Read.All"])

    found = {what: finding for what, finding in check(simulator).items() if not finding.works}

    isolate = found.pop("Permission Machine.Isolate of Defender for Endpoint")
    assert isolate.code == "Machine.Isolate"
    assert "isolate_device, release_from_isolation. Give admin consent again." in isolate.words
    assert "these do not work: hunting." in found.pop("Permission ThreatHunting.Read.All of Microsoft Graph").words
    assert found == {}  # the refused read is not told again


def test_no_devices_yet_is_no_trouble(simulator: Simulator) -> None:
    empty = replace(simulator, tenant_id=str(uuid4()))
    empty.seed()

    assert check(empty)["Reading devices"].works


@pytest.mark.parametrize("kind", ["server_error", "html", "truncate", "error_in_success"])
def test_one_read_in_trouble_leaves_the_others(simulator: Simulator, kind: str) -> None:
    simulator.fault(kind=kind, path="alerts_v2", method="GET")

    found = check(simulator)

    assert [what for what, finding in found.items() if not finding.works] == ["Reading alerts"]
    assert found["Reading alerts"].code == "OutcomeUnknown"


def test_a_sign_in_that_fails_ends_the_check_of_its_api(simulator: Simulator) -> None:
    settings = replace(
        simulator.settings, entra_tenant_id=str(UUID(int=404)), client_secret=SecretText("s3cret-canary")
    )

    found = Microsoft(settings, deadline_seconds=3).check()

    assert [finding.what.partition(" to ")[0] for finding in found] == ["Sign-in"] * 3
    assert {(finding.works, finding.code) for finding in found} == {(False, "AADSTS90002")}
    assert "s3cret-canary" not in str(found)
