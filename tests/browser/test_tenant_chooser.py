"""Choosing a tenant in a real browser: the same look on every page, by keyboard, on a phone and in the dark."""

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.browser.conftest import Visitor
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
PAGES = (
    "/admin/safeguards/approvalrule/",
    "/admin/safeguards/hourlycap/",
    "/admin/retention/retentionrule/",
    "/admin/vulnerabilities/remediationactivity/burn-down/",
    "/admin/",
)


@pytest.fixture
def pia_with_password(pia: User) -> User:
    """Pia, who can sign in."""
    pia.set_password(PASSWORD)
    pia.save()
    give_app(pia)
    return pia


@pytest.fixture
def globex_by_its_long_name(globex: Tenant) -> Tenant:
    """Globex, with a name that does not fit beside a button on a phone."""
    with acting_for(globex.id):
        Tenant.objects.update(name="Globex Nederland Vermogensbeheer en Verzekeringen")
    return globex


@pytest.mark.parametrize("width", [360, 1280])
def test_a_tenant_is_chosen_by_keyboard_and_looks_alike_everywhere(
    acme: Tenant, globex_by_its_long_name: Tenant, pia_with_password: User, visitor: Visitor, width: int
) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if width == 360 else "light")
    visitor.sign_in(pia_with_password.email, PASSWORD)
    looks = set()
    for path in PAGES:
        visitor.go(path)
        chooser = page.get_by_label("Tenant", exact=True)
        label = page.locator(f"label[for={chooser.get_attribute('id')}]")
        looks.add(tuple(label.evaluate("each => [getComputedStyle(each).fontSize, getComputedStyle(each).fontWeight]")))
        chooser.focus()
        page.keyboard.press("G")
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.tagName") != "BUTTON":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{path}?tenant={globex_by_its_long_name.pk}*")
        expect(page.get_by_label("Tenant", exact=True)).to_have_value(str(globex_by_its_long_name.pk))
        assert visitor.overflow() <= 0, path
    assert len(looks) == 1
    assert visitor.complaints == []
