"""Signing in with a real Chromium: an app, a security key, recovery codes, and every page on a telephone."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount
from playwright.sync_api import expect

from portal.access.actors import Actor
from portal.access.models import User
from portal.access.sign_in.identity_providers import Wanted, save_identity_provider
from portal.tenancy.models import Tenant
from tests.browser.conftest import Visitor
from tests.portal.access.sign_in.codes import give_app
from tests.portal.access.sign_in.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, running

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


@pytest.fixture
def approver(bob: User) -> User:
    """Bob with a password, and no second factor yet."""
    bob.set_password(PASSWORD)
    bob.save()
    return bob


@pytest.fixture
def with_app(approver: User) -> User:
    """Bob, once he has an app."""
    give_app(approver)
    return approver


@pytest.fixture
def organisation(ada: User, acme: Tenant, pia: User, as_actor: Callable[[User], Actor]) -> Iterator[OidcProvider]:
    """Acme's own sign-in, which Ada linked."""
    with running() as provider:
        wanted = Wanted(provider.url, CLIENT_ID, CLIENT_SECRET, None, True)
        save_identity_provider(acme.id, wanted, actor=as_actor(pia))
        subject = hashlib.sha256(f"{provider.url}\n{provider.subject}".encode()).hexdigest()
        SocialAccount.objects.create(user=ada, provider="acme", uid=subject)
        yield provider


def plug_in_a_key(visitor: Visitor) -> None:
    """Give the browser a security key that needs no touch (Chrome DevTools Protocol, WebAuthn)."""
    devtools = visitor.page.context.new_cdp_session(visitor.page)
    devtools.send("WebAuthn.enable")
    key = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasResidentKey": False,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": key})


def test_an_approver_sets_up_a_key_signs_in_with_it_and_confirms_with_it(approver: User, visitor: Visitor) -> None:
    page = visitor.page
    plug_in_a_key(visitor)
    visitor.sign_in(approver.email, PASSWORD)
    expect(page.get_by_text("Your role needs a second factor")).to_be_visible()
    page.get_by_role("link", name="Add a key").click()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/2fa/recovery-codes/")
    expect(page.locator("#recovery_codes")).to_have_value(re.compile(r"\d{8}"))
    visitor.go("/admin/")
    expect(page.get_by_role("link", name="Pending", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    visitor.go("/admin/")
    page.get_by_label("Email").fill(approver.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/admin/")
    visitor.go("/accounts/2fa/keys/reauthenticate/?next=/admin/audit/auditevent/")
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/admin/audit/auditevent/")
    assert visitor.complaints == []


def test_an_approver_sets_up_an_app_by_its_picture(approver: User, visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in(approver.email, PASSWORD)
    page.get_by_role("link", name="Add an app").click()
    expect(page.locator("img.qr")).not_to_have_js_property("naturalWidth", 0)
    seed = page.locator("#authenticator_secret").input_value()
    page.get_by_label("Authenticator code").fill(
        format_hotp_value(hotp_value(seed, int(page.evaluate("Date.now()") / 30_000)))
    )
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url("**/2fa/recovery-codes/")
    visitor.go("/admin/")
    expect(page.locator("main")).to_be_visible()
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_before_sign_in_scrolls_sideways_on_a_telephone(
    approver: User, visitor: Visitor, scheme: Literal["light", "dark"]
) -> None:
    _on_a_telephone(visitor, scheme)
    _look_at(visitor, "login/", "organisation/", "password/reset/", "password/reset/sent/", "password/reset/a-b/")
    visitor.sign_in(approver.email, PASSWORD)
    _look_at(visitor, "2fa/", "2fa/app/activate/", "2fa/keys/add/")
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_about_ones_own_sign_in_scrolls_sideways_on_a_telephone(
    with_app: User, visitor: Visitor, scheme: Literal["light", "dark"]
) -> None:
    _on_a_telephone(visitor, scheme)
    visitor.sign_in(with_app.email, PASSWORD)
    _look_at(visitor, "2fa/", "2fa/keys/", "2fa/keys/add/", "2fa/app/deactivate/", "2fa/reauthenticate/")
    _look_at(visitor, "password/change/", "organisations/", "logout/", "logout/everywhere/")
    assert visitor.complaints == []


def _on_a_telephone(visitor: Visitor, scheme: Literal["light", "dark"]) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.set_viewport_size({"width": 360, "height": 740})


def _look_at(visitor: Visitor, *paths: str) -> None:
    for path in paths:
        visitor.go(f"/accounts/{path}")
        assert visitor.page.url.endswith(path), path
        expect(visitor.page.locator("main h1")).to_be_visible()
        assert visitor.overflow() <= 0, path


def test_a_person_goes_to_their_organisation_and_comes_back(
    ada: User, organisation: OidcProvider, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.go("/admin/")
    page.get_by_role("link", name="Sign in with your organisation").click()
    page.get_by_label("Short name of your organisation").fill("acme")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/")
    expect(page.get_by_text(ada.email).first).to_be_visible()
    assert visitor.complaints == []
