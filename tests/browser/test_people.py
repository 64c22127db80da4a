"""The pages of tenants, people and keys in a real browser: a key is made by keyboard and shown once; none overflows."""

import pytest
from playwright.sync_api import expect

from portal.access.models import ApiKey, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from tests.browser.conftest import Visitor
from tests.conftest import make_member
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


@pytest.fixture
def admin(acme: Tenant, globex: Tenant, pia: User) -> User:
    """Pia with a password and a code app, and some people and a robot to look at."""
    pia.set_password(PASSWORD)
    pia.save()
    give_app(pia)
    make_member("a-person-with-quite-a-long-name", acme, Role.BREAK_GLASS)
    User.objects.create_user("ticket-system-1a2b3c@acme.service.invalid", name="Ticket system",
                             is_service_account=True, belongs_to=acme)  # fmt: skip
    return pia


def test_a_key_is_made_shown_once_and_revoked(admin: User, visitor: Visitor) -> None:
    visitor.sign_in(admin.email, PASSWORD)
    visitor.go("/admin/access/serviceaccount/")
    visitor.page.get_by_role("link", name="Ticket system").click()
    visitor.page.get_by_role("link", name="Make a key").click()
    visitor.page.get_by_label("Name").fill("tickets")
    visitor.page.get_by_label("Only from the networks").fill("192.0.2.0/24")
    visitor.page.get_by_role("button", name="Make the key").press("Enter")
    text = visitor.page.locator("#key-text").inner_text()
    assert text.startswith("quell_")
    visitor.page.get_by_role("link", name="I have copied it").click()
    assert text not in visitor.page.content()
    visitor.page.get_by_role("link", name="tickets").click()
    visitor.page.get_by_role("link", name="Revoke the key").click()
    visitor.page.get_by_role("button", name="Revoke the key").click()
    expect(visitor.page.locator("#content")).to_contain_text("Revoked")
    assert visitor.complaints == []


def pages(key: object, user: object, tenant: object) -> list[str]:
    return [
        "/admin/tenancy/tenant/", "/admin/tenancy/tenant/add/", f"/admin/tenancy/tenant/{tenant}/change/",
        f"/admin/tenancy/tenant/{tenant}/deactivate/", "/admin/tenancy/tenantgroup/", "/admin/tenancy/tenantgroup/add/",
        "/admin/access/user/", "/admin/access/user/add/", f"/admin/access/user/{user}/change/",
        "/admin/access/tenantmembership/", "/admin/access/tenantmembership/add/", "/admin/access/providermembership/",
        "/admin/access/providermembership/add/", "/admin/access/serviceaccount/", "/admin/access/serviceaccount/add/",
        "/admin/access/apikey/", "/admin/access/apikey/add/", f"/admin/access/apikey/{key}/change/",
        f"/admin/access/apikey/{key}/rotate/", f"/admin/access/apikey/{key}/revoke/",
    ]  # fmt: skip


@pytest.fixture
def key(admin: User) -> ApiKey:
    """A key of the robot, with all that makes a page wide."""
    return ApiKey.objects.create(
        user=User.objects.get(is_service_account=True),
        name="a key with a long name for a long purpose",
        prefix="0a1b2c3d4e5f",
        digest="",
        networks=["2001:db8:1234:5678:9abc:def0:1234:0/112"],
        expires_at="2100-01-01T00:00Z",
    )


def test_no_page_is_wider_than_a_phone(admin: User, key: ApiKey, acme: Tenant, visitor: Visitor) -> None:
    visitor.sign_in(admin.email, PASSWORD)
    for width in (360, 1280):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        for path in pages(key.pk, admin.pk, acme.pk):
            visitor.go(path)
            assert visitor.overflow() == 0, (width, path)
    assert visitor.complaints == []
