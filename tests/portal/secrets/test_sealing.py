"""A sealed secret opens in its own place alone, whole alone, and under a master key alone."""

import json
import os
import pickle
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from connectors.protocol import ConnectionSettings
from portal.secrets import master
from portal.secrets.checks import check_master_keys
from portal.secrets.envelope import seal, unseal
from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.models import TenantDataKey
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing

FIELDS = ("connectors.connection.1.client_secret", "connectors.connection.2.client_secret", "sign_in.client_secret")
SECRET = "Zebra-canary-7c1f"


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    """A key file of the test's own, with one master key."""
    settings.MASTER_KEY_FILE = str(tmp_path / "master-keys")
    master.key_ids()
    return tmp_path / "master-keys"


@pytest.mark.django_db
def test_a_secret_opens_for_its_own_tenant_and_field_and_for_no_other(acme: Tenant, globex: Tenant) -> None:
    places = list(product((acme.id, globex.id), FIELDS))
    with viewing([acme.id, globex.id]):
        sealed = {place: seal(*place, SECRET) for place in places}
        for place, other in product(places, places):
            if place == other:
                assert unseal(*place, sealed[place]) == SECRET
            else:
                with pytest.raises(SecretUnreadable, match=f"{other[1]}.*{other[0]}") as refused:
                    unseal(*other, sealed[place])
                assert SECRET not in str(refused.value)


@pytest.mark.django_db
def test_a_data_key_opens_for_its_own_tenant_alone(acme: Tenant, globex: Tenant) -> None:
    with viewing([acme.id, globex.id]):
        sealed = seal(acme.id, FIELDS[0], SECRET)
        seal(globex.id, FIELDS[0], SECRET)
        stolen = TenantDataKey.objects.get(tenant=acme).wrapped_key
        TenantDataKey.objects.filter(tenant=globex).update(wrapped_key=stolen)
        with pytest.raises(SecretUnreadable):
            unseal(globex.id, FIELDS[0], sealed)
        with pytest.raises(SecretUnreadable):
            seal(globex.id, FIELDS[0], SECRET)


@pytest.mark.django_db
def test_one_changed_bit_anywhere_is_noticed(acme: Tenant) -> None:
    with acting_for(acme.id):
        sealed = seal(acme.id, FIELDS[0], SECRET)
        for place in range(len(sealed)):
            changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
            with pytest.raises(SecretUnreadable):
                unseal(acme.id, FIELDS[0], changed)
        for length in range(len(sealed)):
            with pytest.raises(SecretUnreadable):
                unseal(acme.id, FIELDS[0], sealed[:length])


def test_one_changed_bit_under_the_master_key_is_noticed(key_file: Path) -> None:
    sealed = master.wrap(SECRET.encode(), b"here")
    assert master.unwrap(sealed, b"here") == SECRET.encode()
    changed = [sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :] for place in range(len(sealed))]
    for bytes_ in (*changed, *(sealed[:length] for length in range(len(sealed)))):
        with pytest.raises(SecretUnreadable):
            master.unwrap(bytes_, b"here")
    with pytest.raises(SecretUnreadable, match="there"):
        master.unwrap(sealed, b"there")


def test_the_first_key_seals_and_all_open_as_soon_as_the_file_says_so(key_file: Path) -> None:
    [old] = master.key_ids()
    sealed = master.wrap(SECRET.encode(), b"here")
    old_line = key_file.read_text()
    key_file.write_text(f"{master.new_key_line()}\n{old_line}")
    assert master.key_ids()[1] == old
    assert master.unwrap(sealed, b"here") == SECRET.encode()
    again = master.rewrap(sealed, b"here")
    assert master.key_id_of(again) == master.first_key_id() != old
    assert master.rewrap(again, b"here") == again
    key_file.write_text(key_file.read_text().splitlines()[0])
    assert master.unwrap(again, b"here") == SECRET.encode()
    with pytest.raises(SecretUnreadable, match=old):
        master.unwrap(sealed, b"here")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o600, "cannot be read"),
        ("", 0o600, "holds no master key"),
        ("c2hvcnQ=", 0o600, "is not 32 bytes"),
        ("not base64 at all!", 0o600, "is not 32 bytes"),
        ("A" * 43 + "=", 0o640, "chmod 600"),
        ("A" * 43 + "=", 0o604, "chmod 600"),
    ],
)
def test_an_unusable_key_file_stops_the_start(
    tmp_path: Path, settings: Any, content: str | None, mode: int, said: str
) -> None:
    settings.IS_DEVELOPMENT = False
    settings.MASTER_KEY_FILE = str(tmp_path / "keys")
    if content is not None:
        Path(settings.MASTER_KEY_FILE).write_text(content)
        os.chmod(settings.MASTER_KEY_FILE, mode)
    [error] = check_master_keys()
    assert said in error.msg
    assert not content or content not in error.msg


def test_no_key_at_all_stops_the_start_and_one_in_the_environment_does_not(settings: Any) -> None:
    settings.IS_DEVELOPMENT, settings.MASTER_KEY_FILE, settings.MASTER_KEYS = False, "", ""
    assert "MASTER_KEY_FILE" in check_master_keys()[0].msg
    settings.MASTER_KEYS = f"{master.new_key_line()},{master.new_key_line()}"
    assert check_master_keys() == []
    assert len(master.key_ids()) == 2


def test_development_makes_its_own_key_once_and_for_its_owner_alone(key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]
    before = key_file.read_text()
    master.key_ids()
    assert key_file.read_text() == before


def test_a_secret_in_memory_never_shows_itself() -> None:
    secret = SecretText(SECRET)
    settings = ConnectionSettings("microsoft", "tid", "id", secret, "https://a", "https://b", "https://c")
    shown = [repr(secret), str(secret), f"{secret}", "%s" % secret, f"{secret!r}", repr(settings), repr([secret])]
    assert not [text for text in shown if SECRET in text]
    for refuse in (json.dumps, pickle.dumps):
        with pytest.raises(TypeError) as refused:
            refuse(secret)
        assert SECRET not in str(refused.value)
    assert secret.reveal() == SECRET
    assert secret == SecretText(SECRET) != SecretText("another")
