"""The connection's page in a real browser: all it says at once, the link for consent, and nothing too wide."""

import pytest
from playwright.sync_api import expect

from connectors.models import Connection, Health
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, database_now
from tests.browser.conftest import Visitor
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
WORDS = "Not granted, so these do not work: release_from_isolation, isolate_device. Give admin consent again."


@pytest.fixture
def row(acme: Tenant, pia: User) -> Connection:
    """Acme's connection with a certificate and one permission missing, for Pia, who has a code app."""
    pia.set_password(PASSWORD)
    pia.save()
    give_app(pia)
    found = [
        {"what": "Sign-in to Defender for Endpoint", "works": True, "words": "A token was given.", "code": ""},
        {"what": "Permission Machine.Isolate of Defender for Endpoint", "works": False, "words": WORDS,
         "code": "Machine.Isolate"},
        {"what": "Reading devices", "works": True, "words": "It answered.", "code": ""},
    ]  # fmt: skip
    with acting_for(acme.id):
        return Connection.objects.create(
            tenant=acme, client_id="1f6b2f52-6d0e-4c39-9a55-21f0c9a4d101", client_certificate_sealed=b"sealed",
            client_certificate_thumbprint="A1" * 32, client_certificate_expires_at=database_now(),
            health=Health.PERMISSIONS_MISSING, health_detail=f"Permission Machine.Isolate: {WORDS}",
            health_at=database_now(), checked_at=database_now(), findings=found,
        )  # fmt: skip


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_tells_what_is_missing_and_asks_for_consent(row: Connection, visitor: Visitor, width: int) -> None:
    visitor.sign_in("pia@provider.example", PASSWORD)
    visitor.page.set_viewport_size({"width": width, "height": 900})
    page = f"/admin/connectors/connection/{row.pk}"
    visitor.go(f"{page}/change/")
    expect(visitor.page.locator(".field-found")).to_contain_text("Machine.Isolate")
    assert visitor.overflow() <= 0
    visitor.page.get_by_role("link", name="Ask for consent").press("Enter")
    assert visitor.overflow() <= 0
    visitor.page.get_by_role("button", name="Ask for consent").press("Enter")
    link = visitor.page.locator("#consent-link").inner_text()
    assert link.startswith("https://login.microsoftonline.com/")
    assert visitor.page.get_by_role("link", name="Go to Microsoft").get_attribute("href") == link
    assert visitor.overflow() <= 0
    visitor.go(f"{page}/check/")
    visitor.page.get_by_role("button", name="Check now").press("Enter")
    expect(visitor.page.locator("#container")).to_contain_text("being checked")
    visitor.go("/admin/connectors/connection/")
    expect(visitor.page.locator("#result_list")).to_contain_text("Permissions missing")
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
