"""An export proves itself to somebody who has Python, the seals and the public key, and nothing of ours."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from portal.audit.models import AuditEvent
from portal.audit.sealing import seal
from portal.audit.verify import canonical, digest_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

pytestmark = pytest.mark.django_db(transaction=True)
Write = Callable[[Tenant, int], None]
VERIFIER = Path(__file__).resolve().parents[3] / "portal" / "audit" / "verify.py"


def verify(export: Path, seals: Path, key: str) -> tuple[int, str]:
    """Run the verifier without site packages, without our folder, without the environment."""
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(export), "--seals", str(seals), "--public-key", key]
    done = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_clean_interpreter_verifies_an_export(
    acme: Tenant, write_old_rows: Write, write_events: Write, seal_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = seal_file.with_name("acme.jsonl")
    write_old_rows(acme, 3)
    write_events(acme, 4)
    seal()
    write_events(acme, 2)
    capsys.readouterr()
    call_command("audit", "public-key")
    key = capsys.readouterr().out.strip()
    call_command("audit", "export", "acme", "--output", str(export))
    seal()  # later than the export, so nothing in it can be missing from the export
    assert export.stat().st_mode & 0o777 == 0o600
    code, words = verify(export, seal_file, key)
    assert (code, words[:9]) == (0, "OK: acme ")
    assert "10 rows; sealed up to row 8 " in words
    assert "not sealed yet: 2" in words

    export.write_bytes(export.read_bytes().replace(b"thing.made_3", b"thing.made_4"))
    assert verify(export, seal_file, key)[1].startswith("BAD: first bad row 8 (hash)")
    assert verify(export, seal_file, key)[0] == 1
    assert verify(export, seal_file, key[:-1] + ("0" if key[-1] != "0" else "1"))[1].startswith("BAD: seal line 1:")


def test_an_export_made_up_around_the_seals_proves_nothing(
    acme: Tenant, write_events: Write, seal_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = seal_file.with_name("acme.jsonl")
    write_events(acme, 4)
    seal()
    capsys.readouterr()
    call_command("audit", "public-key")
    key = capsys.readouterr().out.strip()
    call_command("audit", "export", "acme", "--output", str(export))
    header, *rows = [json.loads(line) for line in export.read_bytes().splitlines()]
    rows[2]["actor_label"] = "Somebody else"
    for lie in ({"exported_at": 1}, {"tenant": header["tenant"].upper()}, {"tenant": "nobody"}):
        told, before = header | lie, None
        for row in rows:
            row["previous_hash"] = before
            row["hash"] = before = digest_of(row, told["tenant"]).hex()
        export.write_bytes(b"".join(canonical(line) + b"\n" for line in [told, *rows]))
        code, words = verify(export, seal_file, key)
        assert (code, words[:4], "(seal)" in words) == (1, "BAD:", True), lie


def test_an_export_is_itself_on_record_and_never_over_another_file(
    acme: Tenant, write_events: Write, seal_file: Path
) -> None:
    export = seal_file.with_name("acme.jsonl")
    write_events(acme, 1)
    call_command("audit", "export", "acme", "--output", str(export))
    with pytest.raises(CommandError, match="is there already"):
        call_command("audit", "export", "acme", "--output", str(export))
    with acting_for(acme.id):
        assert [(event.actor_label, event.data) for event in AuditEvent.objects.filter(verb="audit.exported")] == [
            ("Command line", {"rows": 2})
        ]
    assert sorted(path.name for path in seal_file.parent.iterdir()) == ["acme.jsonl"]


def test_all_histories_are_verified_at_once(
    acme: Tenant, globex: Tenant, write_events: Write, seal_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(acme, 3)
    write_events(globex, 1)
    seal()
    write_events(globex, 1)
    capsys.readouterr()
    call_command("audit", "verify")
    words = capsys.readouterr().out
    assert words.count("OK: ") == 2
    assert f"OK: {globex.id}: 3 rows; sealed up to row 2" in words
