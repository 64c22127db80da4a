"""Keys change while people read and write secrets, and nobody notices."""

import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database

from connectors.choosing import find_enabled
from connectors.models import Connection
from portal.secrets import master
from portal.secrets.envelope import data_key_version_of, seal, unseal
from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.models import TenantDataKey
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, settings: Any) -> Path:
    """A master key file of the test's own."""
    settings.MASTER_KEY_FILE = str(tmp_path / "master-keys")
    master.key_ids()
    return tmp_path / "master-keys"


@pytest.fixture
def connected(acme: Tenant, globex: Tenant) -> list[Tenant]:
    """Two tenants with a credential of their own, whose secret ends in a number."""
    for tenant in (acme, globex):
        with acting_for(tenant.id):
            row = Connection(tenant=tenant, client_id="own")
            row.save(force_insert=True)
        set_secret(tenant, "0")
    return [acme, globex]


def set_secret(tenant: Tenant, text: str) -> None:
    with acting_for(tenant.id):
        row = Connection.objects.defer(None).select_for_update().get()
        row.client_secret_sealed = seal(tenant.id, row.secret_place, f"{tenant.slug}-{text}")
        row.client_secret_set_at = tenant.created_at
        row.save()


def read_secret(tenant: Tenant) -> str:
    with acting_for(tenant.id):
        row = find_enabled(tenant.id)
        assert row is not None
        return row.as_settings().client_secret.reveal()


def replace_file(path: Path, text: str) -> None:
    """Change the key file at once and whole, as the operators' page says to."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)


def rotate(*options: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *options, stdout=out)
    return out.getvalue()


def keys_in_use(*tenants: Tenant) -> set[str]:
    found: set[str] = set()
    for tenant in tenants:
        with acting_for(tenant.id):
            found |= {master.key_id_of(bytes(row.wrapped_key)) for row in TenantDataKey.objects.all()}
    return found


@pytest.fixture
def busy(connected: list[Tenant]) -> Iterator[Callable[[], tuple[int, list[BaseException]]]]:
    """Two threads that read and one that writes, for each tenant, until asked how many times and what went wrong."""
    stop, errors, rounds = threading.Event(), list[BaseException](), list[int]()

    def work(tenant: Tenant, writes: bool) -> None:
        done = 0
        try:
            while not stop.is_set():
                if writes:
                    set_secret(tenant, str(done))
                assert read_secret(tenant).startswith(tenant.slug)
                done += 1
        except Exception as error:  # whatever it is, the test tells of it
            errors.append(error)
        finally:
            database.close()
            rounds.append(done)

    threads = [
        threading.Thread(target=work, args=(tenant, writes)) for tenant in connected for writes in (False, False, True)
    ]
    for thread in threads:
        thread.start()

    def finish() -> tuple[int, list[BaseException]]:
        stop.set()
        for thread in threads:
            thread.join(30)
        return min(rounds), errors

    yield finish
    finish()


def test_rotation_under_load_without_one_error(
    connected: list[Tenant], key_file: Path, busy: Callable[[], tuple[int, list[BaseException]]]
) -> None:
    old_line = key_file.read_text()
    for _round in range(3):
        [old] = master.key_ids()
        new_line = master.new_key_line() + "\n"
        replace_file(key_file, new_line + old_line)
        said = rotate("--master", "--data-keys")
        assert f"{old} is used by nothing any more" in said
        replace_file(key_file, new_line)
        old_line = new_line
        assert keys_in_use(*connected) == {master.first_key_id()} != {old}
    rounds, errors = busy()
    assert errors == []
    assert rounds >= 3
    for tenant in connected:
        with acting_for(tenant.id):
            sealed = bytes(Connection.objects.defer(None).get().client_secret_sealed or b"")
            assert data_key_version_of(sealed) == 4
            assert TenantDataKey.objects.filter(retired_at=None).get().version == 4


def test_new_data_keys_seal_all_that_was_there(connected: list[Tenant]) -> None:
    assert "2 tenants. Sealed again under them: 2 secrets." in rotate("--data-keys")
    for tenant in connected:
        assert read_secret(tenant) == f"{tenant.slug}-0"
        with acting_for(tenant.id):
            sealed = bytes(Connection.objects.defer(None).get().client_secret_sealed or b"")
            assert data_key_version_of(sealed) == 2


def test_running_it_again_changes_nothing(connected: list[Tenant], key_file: Path) -> None:
    replace_file(key_file, master.new_key_line() + "\n" + key_file.read_text())
    assert "Sealed again under the master key" in rotate()
    before = keys_in_use(*connected)
    assert ": 0." in rotate()
    assert keys_in_use(*connected) == before == {master.first_key_id()}


def test_a_process_that_still_seals_with_the_old_key_keeps_it_from_being_removed(
    connected: list[Tenant], key_file: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file(key_file, master.new_key_line() + "\n" + key_file.read_text())
    late = iter([0, 1])
    settings.SEALED_UNDER_MASTER = [f"{__name__}.straggler"]
    monkeypatch.setitem(globals(), "straggler", lambda: next(late))
    monkeypatch.setattr("portal.secrets.rotation.import_string", lambda name: globals()["straggler"])
    with pytest.raises(CommandError, match="Keep all master keys"):
        rotate()


def test_what_does_not_open_stops_it_by_name_and_no_key_is_given_up(connected: list[Tenant], key_file: Path) -> None:
    acme = connected[0]
    with acting_for(acme.id):
        Connection.objects.update(client_secret_sealed=b"\x01\x00\x00\x00\x01" + b"x" * 40)
    with pytest.raises(CommandError, match=f"client_secret.*{acme.id}") as refused:
        rotate("--data-keys")
    assert isinstance(refused.value.__cause__, SecretUnreadable)


def test_the_first_secrets_of_a_tenant_sealed_at_once_share_one_data_key(acme: Tenant) -> None:
    begin, sealed, errors = threading.Barrier(4), list[bytes](), list[BaseException]()

    def work() -> None:
        try:
            begin.wait(10)
            with acting_for(acme.id):
                sealed.append(seal(acme.id, "field", "text"))
        except Exception as error:  # whatever it is, the test tells of it
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    with acting_for(acme.id):
        assert TenantDataKey.objects.count() == 1
        assert {unseal(acme.id, "field", each) for each in sealed} == {"text"}
