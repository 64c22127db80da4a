"""Security recommendations in a real browser: found over all customers, read, and narrow enough for a phone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import ExposureDay, KnownExploitedVulnerability
from tests.browser.conftest import Visitor
from tests.portal.access.sign_in.codes import give_app
from tests.remediation.vulnerabilities.recommendations.test_api_recommendations import LOG4J, make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
LIST = "/admin/vulnerabilities/recommendation/"


@pytest.fixture
def reader(acme: Tenant, ada: User) -> User:
    """Ada, who can sign in, and what Acme is exposed to."""
    row = make(acme, "log4j", devices=3, cve_ids=[LOG4J], is_known_exploited=True, exposure_impact=1.84,
               vendor="apache", remediation_type="Update", total_count=12)  # fmt: skip
    make(acme, "edge", devices=1, has_public_exploit=True, vendor="microsoft", remediation_type="Update")
    today = timezone.now().date()
    KnownExploitedVulnerability.objects.create(cve_id=LOG4J, product="Log4j", added_on=today, due_on=today)
    with acting_for(acme.id):
        for back, count in ((9, 8), (4, 5), (0, 3)):
            day = today - timedelta(days=back)
            ExposureDay.objects.create(tenant=acme, recommendation=row, day=day, exposed_count=count, total_count=12)
    ada.set_password(PASSWORD)
    ada.save()
    give_app(ada)
    return ada


def test_a_recommendation_is_found_by_its_cve_and_shows_whom_it_concerns(reader: User, visitor: Visitor) -> None:
    visitor.sign_in(reader.email, PASSWORD)
    visitor.go(LIST)
    page = visitor.page
    page.get_by_role("link", name="Exposed customers").click()
    page.get_by_label("CVE").fill(LOG4J)
    page.get_by_label("CVE").press("Enter")
    expect(page.get_by_text("1 customer is exposed")).to_be_visible()
    page.get_by_role("table").get_by_role("link", name="1").click()
    page.get_by_role("link", name="Update log4j").click()
    expect(page.locator(".lead").get_by_text("Known exploited")).to_be_visible()
    expect(page.get_by_role("img", name="Exposed devices day by day")).to_be_visible()
    expect(page.get_by_role("link", name="Request an exception")).to_be_visible()
    assert visitor.complaints == []


@pytest.mark.parametrize("width", [1280, 360])
def test_the_pages_fit_the_window(width: int, reader: User, visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.sign_in(reader.email, PASSWORD)
    for path in (LIST, f"{LIST}customers/?cve={LOG4J}", "/admin/vulnerabilities/knownexploitedvulnerability/"):
        visitor.go(path)
        assert visitor.overflow() <= 0, path
    visitor.go(LIST)
    visitor.page.get_by_role("link", name="Update log4j").click()
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
