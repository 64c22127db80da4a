"""Seals: one signed line a minute with what has changed, whoever writes it and whatever went wrong before."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import now
from pytest_django import Settings

from portal.audit import tasks
from portal.audit.keys import UnusableKey, public_hex, read_key
from portal.audit.models import Sealing
from portal.audit.sealing import seal
from portal.audit.verify import check_seals, is_signed
from portal.tenancy.models import Tenant

pytestmark = pytest.mark.django_db(transaction=True)
Write = Callable[[Tenant, int], None]


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def keys() -> list[bytes]:
    return [bytes.fromhex(public_hex(read_key()))]


def test_a_seal_holds_what_has_changed_since_the_last_one(
    acme: Tenant, globex: Tenant, write_events: Write, seal_file: Path
) -> None:
    write_events(acme, 2)
    seal()
    write_events(globex, 1)
    seal()
    seal_file.with_name("seals.jsonl.heads").unlink()  # then it is read from the seals themselves
    seal()
    heads = [[(head["tenant"], head["seq"]) for head in line["heads"]] for line in lines_of(seal_file)]
    assert heads == [[(str(acme.id), 3)], [(str(globex.id), 2)], []]
    assert check_seals(seal_file, keys()) == {str(acme.id), str(globex.id)}
    assert seal_file.with_name("key.pem").stat().st_mode & 0o777 == 0o600


def test_sealers_at_once_write_one_chain(acme: Tenant, write_events: Write, seal_file: Path) -> None:
    write_events(acme, 1)

    def work(_number: int) -> None:
        try:
            seal()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    check_seals(seal_file, keys())
    assert [len(line["heads"]) for line in lines_of(seal_file)] == [1] + [0] * 23


def test_an_unfinished_line_is_cut_off_and_the_chain_goes_on(
    acme: Tenant, write_events: Write, seal_file: Path
) -> None:
    write_events(acme, 1)
    seal()
    with seal_file.open("ab") as file:
        file.write(b'{"format":"quell-seal-1","heads":[')
    seal()
    check_seals(seal_file, keys())
    assert len(lines_of(seal_file)) == 2


def test_a_history_that_lost_its_tail_is_told_of_at_every_seal(
    acme: Tenant, owner: psycopg.Connection, write_events: Write, seal_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_events(acme, 3)
    seal()
    owner.execute("SELECT set_config('app.tenant_ids', %s, false)", [f"{{{acme.id}}}"])
    owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
    owner.execute("DELETE FROM audit_auditevent WHERE seq > 2")
    owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    for _turn in range(2):
        caplog.clear()
        seal()
        assert f"History of tenant {acme.id}: row 4 was sealed, and is gone or changed" in caplog.text
    assert Sealing.objects.get().shortened == 1
    with pytest.raises(CommandError, match="1 histories"):
        call_command("audit", "verify")


def test_a_failure_is_logged_every_time_and_the_last_seal_stays_old(
    acme: Tenant, write_events: Write, seal_file: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    write_events(acme, 1)
    sealed_at = seal()
    assert now() - sealed_at < timedelta(minutes=1)
    settings.AUDIT_SEAL_FILE = str(seal_file.parent)
    for _turn in range(2):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            tasks.seal()
        assert "History could not be sealed into" in caplog.text
    assert Sealing.objects.get().sealed_at == sealed_at


def test_a_key_that_others_may_read_is_refused(seal_file: Path) -> None:
    read_key()
    seal_file.with_name("key.pem").chmod(0o640)
    with pytest.raises(UnusableKey, match="Others may read"):
        read_key()


def test_outside_development_nobody_makes_a_key_in_passing(seal_file: Path, settings: Settings) -> None:
    settings.IS_DEVELOPMENT = False
    with pytest.raises(UnusableKey, match="audit new-key"):
        read_key()
    call_command("audit", "new-key")
    assert read_key()
    with pytest.raises(CommandError, match="exists"):
        call_command("audit", "new-key")


def test_our_reading_of_rfc_8032_agrees_with_the_library() -> None:
    """The first test vector of RFC 8032, section 7.1, and a hundred signatures of the library's, whole and bent."""
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert is_signed(public, b"", signature)
    for number in range(100):
        key = Ed25519PrivateKey.generate()
        message = bytes([number]) * number
        good, own = key.sign(message), bytes.fromhex(public_hex(key))
        place = number % 64
        assert is_signed(own, message, good)
        assert not is_signed(own, message, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert not is_signed(own, message + b"x", good)
        assert not is_signed(public, message, good)
