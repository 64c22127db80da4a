"""The second step: who needs it, what happens until it is shown, codes that count once, seeds that are sealed."""

import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import LazySettings
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from portal.access.actors import actor_for
from portal.access.exceptions import SecondFactorNeeded
from portal.access.models import User
from portal.access.roles import Role
from portal.access.sign_in import sealing
from portal.secrets import master
from portal.tenancy.models import Tenant
from tests.factories import make_key
from tests.portal.access.sign_in.codes import SEED, code, give_app
from tests.portal.access.sign_in.conftest import PASSWORD, enter, with_password

pytestmark = pytest.mark.django_db


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Run what waits for a COMMIT, which a rolled-back test never makes."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def sign_in(user: User) -> Client:
    client = Client()
    enter(client, with_password(user).email)
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    return client


def test_whoever_may_approve_reaches_nothing_before_a_second_factor_is_set_up(bob: User) -> None:
    client = Client()
    enter(client, with_password(bob).email)
    for path in ("/admin/", "/admin/actions/pendingaction/", "/accounts/password/change/", "/accounts/organisations/"):
        assert client.get(path)["Location"].startswith("/accounts/2fa/?next="), path
    for path in ("/api/v1/me/", "/api/v1/actions/", "/api/v1/schema/"):
        refused = client.get(path)
        assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
        assert refused.json()["type"].endswith("/second-factor-needed")
        assert "/accounts/2fa/" in refused.json()["detail"]
    assert client.get("/accounts/2fa/").status_code == 200
    assert client.post("/accounts/logout/").status_code == 302


def test_whoever_only_asks_needs_none_and_a_key_never_does(ada: User, acme: Tenant) -> None:
    client = Client()
    enter(client, with_password(ada).email)
    assert client.get("/admin/").status_code == 200
    key = make_key(acme, Role.TENANT_ADMIN)
    assert Client().get("/api/v1/me/", headers={"Authorization": f"Api-Key {key}"}).status_code == 200


def test_somebody_elses_factor_in_the_same_session_is_none(bob: User, bea: User, browse) -> None:
    client = browse(bob)
    session = client.session
    session["account_authentication_methods_user"] = str(bea.pk)
    session.save()
    assert client.get("/admin/")["Location"].startswith("/accounts/2fa/?next=")


def test_a_secret_that_counts_once_is_in_no_way_back(bob: User) -> None:
    client = Client()
    enter(client, with_password(bob).email)
    for path in ("organisation/acme/callback/?code=canary&state=x", "password/reset/1-canary/", "welcome/canary/"):
        assert client.get(f"/accounts/{path}")["Location"] == "/accounts/2fa/?next=%2Fadmin%2F"


def test_setting_up_an_app_opens_the_rest_seals_its_seed_and_gives_recovery_codes(
    bob: User, committed, history
) -> None:
    client = Client()
    enter(client, with_password(bob).email)
    page = client.get("/accounts/2fa/app/activate/")
    seed = client.session["mfa.totp.secret"]
    assert seed in page.content.decode()
    with committed():
        done = client.post(
            "/accounts/2fa/app/activate/", {"code": format_hotp_value(hotp_value(seed, int(time.time()) // 30))}
        )
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    assert client.get("/admin/").status_code == 200
    rows = {row.type: row.data for row in Authenticator.objects.filter(user=bob)}
    assert seed not in str(rows)
    assert sealing.decrypt(rows["totp"]["secret"]) == seed
    assert [verb for verb, _data in history()] == ["sign_in.succeeded", "second_factor.added", "second_factor.added"]


def test_a_session_without_the_code_is_nobodys(bob: User) -> None:
    give_app(bob)
    client = Client()
    assert enter(client, with_password(bob).email)["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/api/v1/me/").status_code == 401
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert client.get("/admin/").status_code == 200


def test_a_session_from_before_the_second_factor_has_to_show_it(bob: User) -> None:
    client = Client()
    enter(client, with_password(bob).email)
    give_app(bob)
    assert client.get("/admin/")["Location"].startswith("/accounts/2fa/reauthenticate/")
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD})["Location"].startswith("/accounts/2fa/")
    assert client.get("/admin/").status_code == 302
    client.post("/accounts/2fa/reauthenticate/", {"code": code()})
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_is_good_once_for_as_long_as_it_would_be_taken(bob: User, steps: int, monkeypatch, history) -> None:
    give_app(bob)
    with_password(bob)
    first, second, later = Client(), Client(), time.time() + 31
    for client in (first, second):
        enter(client, bob.email)
    shown = code(steps=steps)
    assert first.post("/accounts/2fa/authenticate/", {"code": shown}).status_code == 302
    # The library's own note of used codes lasts one period; after it, the code would still be taken.
    cache.delete(f"allauth.mfa.totp.used?user={bob.pk}&code={shown}")
    if steps == 1:
        monkeypatch.setattr("allauth.mfa.totp.internal.auth.time.time", lambda: later)
    assert second.post("/accounts/2fa/authenticate/", {"code": f" {shown} "}).status_code == 200
    assert second.get("/api/v1/me/").status_code == 401
    assert [verb for verb, _data in history()].count("second_factor.refused") == 1


def test_guesses_at_codes_are_held_back_with_a_message(bob: User) -> None:
    give_app(bob)
    client = Client()
    enter(client, with_password(bob).email)
    for _ in range(5):
        assert "Incorrect code" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).content.decode()
    held_back = client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert "Too many failed login attempts" in held_back.content.decode()
    assert client.get("/api/v1/me/").status_code == 401


def test_a_recovery_code_is_good_once_and_its_use_on_record(bob: User, history) -> None:
    give_app(bob)
    with_password(bob)
    [shown, *_rest] = RecoveryCodes.activate(bob).get_unused_codes()
    first, second = Client(), Client()
    for client in (first, second):
        enter(client, bob.email)
    assert first.post("/accounts/2fa/authenticate/", {"code": shown}).status_code == 302
    assert first.get("/admin/").status_code == 200
    assert second.post("/accounts/2fa/authenticate/", {"code": shown}).status_code == 200
    verbs = [verb for verb, _data in history()]
    assert verbs == ["recovery_code.used", "sign_in.succeeded", "second_factor.refused"]


def test_the_last_second_factor_stays_while_it_is_needed(bob: User, ada: User, history) -> None:
    for user, count in ((bob, 1), (ada, 0)):
        give_app(user)
        sign_in(user).post("/accounts/2fa/app/deactivate/")
        assert Authenticator.objects.filter(user=user).count() == count
    assert [verb for verb, _data in history()].count("second_factor.removed") == 1


def test_removing_one_needs_the_factor_again_and_no_password_will_do(ada: User) -> None:
    give_app(ada)
    client = sign_in(ada)
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 301
    session.save()
    for _ in range(2):
        assert client.post("/accounts/2fa/app/deactivate/")["Location"].startswith("/accounts/2fa/reauthenticate/")
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert Authenticator.objects.filter(user=ada).exists()
    client.post("/accounts/2fa/reauthenticate/?next=/accounts/2fa/", {"code": code(steps=1)})
    client.post("/accounts/2fa/app/deactivate/")
    assert not Authenticator.objects.filter(user=ada).exists()


def test_seeds_are_sealed_anew_under_a_new_master_key(bob: User, settings: LazySettings, tmp_path: Path) -> None:
    keys = tmp_path / "master-keys"
    old, new = master.new_key_line(), master.new_key_line()
    keys.write_text(old)
    keys.chmod(0o600)
    settings.MASTER_KEY_FILE = str(keys)
    row = give_app(bob)
    assert SEED not in row.data["secret"]
    assert sealing.seal_again() == 0
    keys.write_text(f"{new}\n{old}\n")
    assert (sealing.seal_again(), sealing.seal_again()) == (1, 0)
    keys.write_text(f"{new}\n\n")
    row.refresh_from_db()
    assert sealing.decrypt(row.data["secret"]) == SEED


def test_a_stale_second_factor_asks_for_a_fresh_one_and_leads_back(bob: User, as_actor) -> None:
    with pytest.raises(SecondFactorNeeded):
        actor_for(bob, by_key=False, second_factor_at=datetime.now(UTC) - timedelta(minutes=6)).require_second_factor()
    as_actor(bob).require_second_factor()


def test_who_lost_everything_begins_anew_by_the_command_line(bob: User, history) -> None:
    give_app(bob)
    call_command("remove_second_factors", "BOB@acme.example", stdout=StringIO())
    assert history() == [("second_factor.removed", {"kinds": ["totp"]})]
    client = Client()
    enter(client, with_password(bob).email)
    assert client.get("/admin/")["Location"].startswith("/accounts/2fa/?next=")


def test_a_password_just_typed_adds_no_key_once_there_is_a_second_factor(ada: User) -> None:
    client = Client()
    enter(client, with_password(ada).email)
    assert client.get("/accounts/2fa/keys/add/").status_code == 200
    give_app(ada)
    assert client.get("/accounts/2fa/keys/add/")["Location"].startswith("/accounts/2fa/reauthenticate/")
