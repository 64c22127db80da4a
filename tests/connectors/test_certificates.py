"""A connection's own certificate: what is taken, what is shown of it, and that it survives a change of keys."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from connectors.certificates import read_certificate
from connectors.choosing import find_enabled
from connectors.credentials import reseal_client_secrets
from connectors.models import Connection
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.secrets.envelope import renew_data_key
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.connectors.certificates import make_certificate, make_pem
from tests.factories import make_key

pytestmark = pytest.mark.django_db
Browse = Callable[[User], Client]


@pytest.fixture
def row(acme: Tenant) -> Connection:
    """Acme's connection with an app registration of its own."""
    with acting_for(acme.id):
        return Connection.objects.create(tenant=acme, client_id="own-app")


def send(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/connections/{path}/", body, content_type="application/json")


def settings_of(tenant: Tenant) -> Any:
    with acting_for(tenant.id):
        found = find_enabled(tenant.id)
        assert found is not None
        return found.as_settings()


def test_a_certificate_is_used_and_of_it_only_thumbprint_and_last_day_are_shown(
    acme: Tenant, row: Connection, tess: User, browse: Browse
) -> None:
    client, pem = browse(tess), make_pem()
    assert send(client, f"{row.pk}/set-client-secret", client_secret="old").status_code == 200

    answer = send(client, f"{row.pk}/set-client-certificate", client_certificate=pem)

    assert answer.status_code == 200, answer.content
    found = read_certificate(pem)
    assert answer.json()["client_certificate_thumbprint"] == found.thumbprint
    assert answer.json()["client_secret_set_at"] is None
    used = settings_of(acme)
    assert (used.client_id, used.client_secret.reveal()) == ("own-app", "")
    assert read_certificate(used.client_certificate.reveal()) == found
    page = client.get(f"/admin/connectors/connection/{row.pk}/change/")
    assert found.thumbprint.encode() in page.content
    pages = [page, answer, client.get("/api/v1/connections/"), client.get("/api/v1/audit-events/")]
    inside = pem.splitlines()[1].encode()
    assert not [shown for shown in pages if inside in shown.content]
    with acting_for(acme.id):
        event = AuditEvent.objects.get(verb="connection.client_certificate_set")
        sealed = bytes(Connection.objects.defer(None).get().client_certificate_sealed or b"")
    assert event.data["after"]["client_certificate_thumbprint"] == found.thumbprint
    assert inside.decode() not in str(event.data)
    assert inside not in sealed

    assert send(client, f"{row.pk}/set-client-secret", client_secret="new").status_code == 200
    assert settings_of(acme).client_certificate is None
    assert settings_of(acme).client_secret.reveal() == "new"


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("rubbish", "no certificate"),
        (make_certificate(), "no private key"),
        (make_pem("one").replace(make_certificate("one"), make_certificate("two")), "does not belong"),
        (make_pem("short", bits=1024), "too short"),
        (make_pem("one", days=-1), "expired already"),
        (make_pem() + "x" * 20_000, "20000"),
    ],
    ids=lambda value: value[:12],
)
def test_what_microsoft_would_not_take_is_refused_in_words(
    row: Connection, tess: User, browse: Browse, pem: str, words: str
) -> None:
    answer = send(browse(tess), f"{row.pk}/set-client-certificate", client_certificate=pem)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert "BEGIN PRIVATE KEY-----\\n" not in answer.content.decode()


def test_only_a_person_with_the_right_and_a_fresh_second_factor_sets_one(
    acme: Tenant, row: Connection, ada: User, gil: User, browse: Browse
) -> None:
    path = f"{row.pk}/set-client-certificate"
    assert send(browse(ada), path, client_certificate=make_pem()).status_code == 403
    assert send(browse(gil), path, client_certificate=make_pem()).status_code == 404
    key = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    assert send(key, path, client_certificate=make_pem()).status_code == 403


def test_the_admin_takes_a_file_and_one_credential_at_a_time(
    acme: Tenant, row: Connection, tess: User, browse: Browse
) -> None:
    client, page = browse(tess), f"/admin/connectors/connection/{row.pk}/change/"

    def save(**fields: Any) -> Any:
        return client.post(page, {"is_enabled": "on", "client_id": "own-app", **fields})

    def file(text: str) -> SimpleUploadedFile:
        return SimpleUploadedFile("quell.pem", text.encode())

    both = save(new_client_certificate=file(make_pem()), new_client_secret="s")
    assert "not both" in both.content.decode()
    assert save(new_client_certificate=file("rubbish")).status_code == 200
    assert settings_of(acme).client_certificate is None
    assert save(new_client_certificate=file(make_pem())).status_code == 302
    assert settings_of(acme).client_certificate is not None
    assert save().status_code == 302  # an empty box keeps it
    assert settings_of(acme).client_certificate is not None
    assert client.post(page, {"is_enabled": "on", "client_id": ""}).status_code == 302
    assert settings_of(acme).client_certificate is None  # it belonged to the client id


def test_a_certificate_is_sealed_again_under_a_new_data_key_and_opens_nowhere_else(
    acme: Tenant, row: Connection, tess: User, browse: Browse
) -> None:
    send(browse(tess), f"{row.pk}/set-client-certificate", client_certificate=make_pem())
    with acting_for(acme.id):
        before = bytes(Connection.objects.defer(None).get().client_certificate_sealed or b"")
        renew_data_key(acme.id)
    assert reseal_client_secrets(acme.id) == 1
    with acting_for(acme.id):
        after = bytes(Connection.objects.defer(None).get().client_certificate_sealed or b"")
    assert before != after
    assert settings_of(acme).client_certificate is not None
    with acting_for(acme.id):
        Connection.objects.update(
            client_secret_sealed=after, client_secret_set_at=acme.created_at, client_certificate_sealed=None
        )
    with pytest.raises(SecretUnreadable):
        settings_of(acme)


def test_the_providers_certificate_comes_from_a_file_nobody_else_reads(
    acme: Tenant, row: Connection, settings: Any, tmp_path: Any
) -> None:
    path = tmp_path / "provider.pem"
    path.write_text(make_pem())
    path.chmod(0o600)
    settings.MICROSOFT_CERTIFICATE_FILE = str(path)
    assert settings_of(acme).client_certificate.reveal() == make_pem()
    path.chmod(0o640)
    with pytest.raises(SecretUnreadable):
        settings_of(acme)
    settings.MICROSOFT_CERTIFICATE_FILE = str(tmp_path / "absent.pem")
    with pytest.raises(SecretUnreadable):
        settings_of(acme)
