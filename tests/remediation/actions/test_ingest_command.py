"""`manage.py ingest`, as an operator runs it, with files of their own and Microsoft's real alert where it lies."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from investigations.models import Alert, Evidence
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

REAL = Path(__file__).resolve().parents[4] / "shared" / "real" / "graph-alert.json"


def run(tenant: Tenant, file: Path) -> dict[str, Any]:
    out = io.StringIO()
    call_command("ingest", "--tenant", tenant.slug, str(file), stdout=out)
    return dict(json.loads(out.getvalue()))


def record(tenant: Tenant, number: int) -> dict[str, Any]:
    return {
        "id": f"da{number}",
        "tenantId": str(tenant.entra_tenant_id),
        "title": "Seen",
        "lastUpdateDateTime": "2026-11-01T08:00:00.1234567Z",
        "evidence": [
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "verdict": "suspicious",
                "mdeDeviceId": f"{number:040x}",
            }
        ],
    }


def test_lines_stream_and_a_bad_one_is_named_and_left_out(acme: Tenant, tmp_path: Path) -> None:
    lines = [json.dumps(record(acme, number)) for number in range(1200)]
    lines[7] = '{"id": '
    file = tmp_path / "alerts.ndjson"
    file.write_text("\n".join(lines))

    report = run(acme, file)

    assert report["alerts"] == {"new": 1199, "changed": 0, "unchanged": 0}
    assert report["actions"] == {"pending_approval": 1199}
    assert [refusal["position"] for refusal in report["refused"]] == ["line 8"]
    assert run(acme, file)["alerts"] == {"new": 0, "changed": 0, "unchanged": 1199}


@pytest.mark.parametrize("shape", ["object", "list", "page"])
def test_each_shape_is_read(acme: Tenant, tmp_path: Path, shape: str) -> None:
    one = record(acme, 1)
    file = tmp_path / "alerts.json"
    file.write_text(json.dumps({"object": one, "list": [one], "page": {"value": [one]}}[shape], indent=2))
    assert run(acme, file)["alerts"]["new"] == 1


def test_nothing_usable_is_an_error_that_has_said_why(acme: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text("nonsense")
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("ingest", "--tenant", "acme", str(file), stdout=out)
    assert json.loads(out.getvalue())["refused"]
    with pytest.raises(CommandError, match="no active tenant"):
        call_command("ingest", "--tenant", "nobody", str(file))


@pytest.mark.skipif(not REAL.exists(), reason="Microsoft's real alert is not on this machine; it was not read")
def test_microsofts_own_alert_is_read_as_it_is(acme: Tenant) -> None:
    with acting_for(acme.id):
        Tenant.objects.update(entra_tenant_id="b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c")
    report = run(acme, REAL)
    assert report["alerts"]["new"] == 1
    assert report["refused"] == report["unrecognised"] == []
    with acting_for(acme.id):
        assert Alert.objects.get().updated_at_source.microsecond == 326666
        kinds = sorted(Evidence.objects.values_list("kind", flat=True))
    assert kinds == ["device", "file", "process", "registry_key"]
