"""Signing in with one's organisation: real redirects, through a provider that can get any one thing wrong."""

import re
from collections.abc import Iterator
from html import unescape
from uuid import UUID

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.conf import LazySettings
from django.contrib.sessions.backends.db import SessionStore

from portal.access.exceptions import BadRequest
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.access.sign_in.identity_providers import Wanted, save_identity_provider
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for
from tests.conftest import make_tenant
from tests.portal.access.sign_in.codes import code, give_app
from tests.portal.access.sign_in.conftest import PASSWORD, with_password
from tests.portal.access.sign_in.oidc_provider import CLIENT_ID, CLIENT_SECRET, TID, OidcProvider, running

pytestmark = pytest.mark.django_db(transaction=True)


class Browser:
    """A person's browser: keeps cookies, follows redirects and the link that leaves for the organisation."""

    def __init__(self, address: str) -> None:
        self.web = httpx.Client(base_url=address, follow_redirects=True, timeout=20, trust_env=False)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Open a page and send its form."""
        page = self.web.get(path)
        [token] = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)) or {""}
        return self.web.post(str(page.url), data={"csrfmiddlewaretoken": token, **fields})

    def sign_in(self, user: User) -> None:
        self.submit("/accounts/login/", login=user.email, password=PASSWORD)

    def to_organisation(self, path: str, short_name: str = "acme") -> httpx.Response:
        """Name one's organisation and go there and back."""
        page = self.submit(path, short_name=short_name)
        found = re.search(r'id="leave" href="([^"]+)"', page.text)
        return self.web.get(unescape(found.group(1))) if found else page

    def me(self) -> httpx.Response:
        return self.web.get("/api/v1/me/")


@pytest.fixture(scope="module")
def running_provider() -> Iterator[OidcProvider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: OidcProvider) -> OidcProvider:
    running_provider.fault, running_provider.subject = "", "subject-of-ada"
    running_provider.given.clear()
    return running_provider


def configure(tenant_id: UUID, provider: OidcProvider, admin: User, as_actor) -> None:
    tid = UUID(TID)
    with acting_for(tenant_id):
        save_identity_provider(
            tenant_id, Wanted(provider.url, CLIENT_ID, CLIENT_SECRET, tid, True), actor=as_actor(admin)
        )


@pytest.fixture
def browser(live_server, provider: OidcProvider, acme: Tenant, pia: User, as_actor) -> Browser:
    configure(acme.id, provider, pia, as_actor)
    return Browser(live_server.url)


def link(browser: Browser, user: User) -> None:
    browser.sign_in(with_password(user))
    back = browser.to_organisation("/accounts/organisations/")
    assert "From now on you can sign in with your organisation." in back.text
    browser.web.cookies.clear()


def refusals(tenant_id: UUID) -> list[str]:
    with acting_for(tenant_id):
        events = AuditEvent.objects.filter(verb="sign_in.refused").order_by("seq")
        return [event.data["reason"] for event in events]


def test_a_person_links_the_two_accounts_and_signs_in_without_a_password(browser: Browser, ada: User, history) -> None:
    link(browser, ada)
    assert browser.me().status_code == 401
    back = browser.to_organisation("/accounts/organisation/")
    assert (back.status_code, back.url.path) == (200, "/admin/")
    assert browser.me().json()["email"] == ada.email
    verbs = [verb for verb, _data in history()]
    assert verbs == ["sign_in.succeeded", "organisation.linked", "sign_in.succeeded"]
    assert history()[-1][1]["means"] == ["socialaccount"]


def test_a_session_in_place_of_one_that_ended_is_held_to_its_organisation_too(
    browser: Browser, ada: User, ren: User, history
) -> None:
    link(browser, ada)
    browser.sign_in(with_password(ren))
    User.objects.filter(pk=ren.pk).update(is_active=False)
    browser.to_organisation("/accounts/organisation/")
    assert browser.me().json()["email"] == ada.email
    assert history()[-1][1]["means"] == ["socialaccount"]
    ProviderMembership.objects.create(user=ada, role=Role.READER, reach=Reach.ALL)
    make_tenant("globex")
    assert browser.me().status_code == 401


def test_the_second_factor_is_asked_for_as_ever(browser: Browser, bob: User) -> None:
    give_app(bob)
    browser.sign_in(with_password(bob))
    browser.submit("/accounts/2fa/authenticate/", code=code())
    browser.to_organisation("/accounts/organisations/")
    browser.web.cookies.clear()
    back = browser.to_organisation("/accounts/organisation/")
    assert back.url.path == "/accounts/2fa/authenticate/"
    assert browser.me().status_code == 401
    browser.submit("/accounts/2fa/authenticate/", code=code(steps=1))
    assert browser.me().status_code == 200


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("issuer", "the ID token is another issuer's"),
        ("audience", "the ID token is for another application"),
        ("several audiences", "the ID token is for another application"),
        ("nonce", "the ID token is not for this sign-in (nonce)"),
        ("unsigned", "the ID token is not signed by a private key"),
        ("hmac", "the ID token is not signed by a private key"),
        ("forged", "the ID token's signature is not the issuer's"),
        ("unknown key", "the ID token is signed by a key that is not the issuer's"),
        ("tid", "the ID token is of another directory (tid)"),
        ("expired", "the ID token has expired"),
        ("no subject", "the ID token cannot be read"),
        ("missing", "it gave no ID token"),
        ("denied", "the person was not let in there, or turned back"),
        ("discovery", "its discovery document is another issuer's"),
    ],
)
def test_whatever_is_wrong_is_refused_said_and_recorded(
    browser: Browser, provider: OidcProvider, acme: Tenant, ada: User, fault: str, reason: str
) -> None:
    link(browser, ada)
    provider.fault = fault
    back = browser.to_organisation("/accounts/organisation/")
    assert back.status_code == 403
    assert reason in unescape(back.text)
    assert browser.me().status_code == 401
    assert refusals(acme.id) == [reason]
    with acting_for(acme.id):
        recorded = str([event.data for event in AuditEvent.objects.all()])
    for token in (*provider.given, CLIENT_SECRET):
        assert token not in recorded
        assert token not in back.text


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(
    browser: Browser, acme: Tenant, ada: User, live_server
) -> None:
    link(browser, ada)
    page = browser.submit("/accounts/organisation/", short_name="acme")
    [address] = re.findall(r'id="leave" href="([^"]+)"', page.text)
    answer = httpx.get(unescape(address), trust_env=False).headers["Location"]
    assert Browser(live_server.url).web.get(answer).status_code == 403
    assert browser.web.get(answer).url.path == "/admin/"
    browser.web.post("/accounts/logout/", data={"csrfmiddlewaretoken": browser.web.cookies["quell_csrf"]})
    assert browser.web.get(answer).status_code == 403
    assert refusals(acme.id) == ["the answer belongs to no sign-in begun in this browser"] * 2


def test_a_stolen_code_is_of_no_use_in_another_browser(browser: Browser, acme: Tenant, ada: User, live_server) -> None:
    link(browser, ada)
    thief = Browser(live_server.url)
    answers = []
    for one in (browser, thief):
        page = one.submit("/accounts/organisation/", short_name="acme")
        [address] = re.findall(r'id="leave" href="([^"]+)"', page.text)
        answers.append(httpx.get(unescape(address), trust_env=False).headers["Location"])
    [stolen, own] = [httpx.URL(answer) for answer in answers]
    tried = thief.web.get(str(own.copy_set_param("code", stolen.params["code"])))
    assert (tried.status_code, thief.me().status_code) == (403, 401)
    assert refusals(acme.id) == ["it did not take the code back"]


def test_nobody_is_found_by_e_mail(browser: Browser, acme: Tenant, pia: User) -> None:
    """The provider vouches for pia@provider.example, whom nobody linked."""
    back = browser.to_organisation("/accounts/organisation/")
    assert (back.status_code, browser.me().status_code) == (403, 401)
    assert refusals(acme.id) == ["nobody linked this account"]
    assert (User.objects.count(), SocialAccount.objects.count()) == (1, 0)


def test_a_customers_directory_signs_in_no_provider_staff(
    browser: Browser, acme: Tenant, ada: User, live_server
) -> None:
    link(browser, ada)
    assert browser.to_organisation("/accounts/organisation/").status_code == 200
    ProviderMembership.objects.create(user=ada, role=Role.READER, reach=Reach.ALL)
    assert browser.me().status_code == 401, "a session that is open ends too"
    back = Browser(live_server.url).to_organisation("/accounts/organisation/")
    assert (back.status_code, refusals(acme.id)) == (403, ["the person has no role here, or is provider staff"])


def test_a_customers_directory_opens_that_customer_alone_and_a_role_elsewhere_locks_nobody_out(
    browser: Browser, acme: Tenant, globex: Tenant, ada: User, live_server
) -> None:
    link(browser, ada)
    browser.to_organisation("/accounts/organisation/")
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.TENANT_ADMIN)
    later = Browser(live_server.url)
    later.to_organisation("/accounts/organisation/")
    for session in (browser, later):
        assert [tenant["slug"] for tenant in session.me().json()["tenants"]] == ["acme"]
    with acting_for(acme.id):
        TenantMembership.objects.filter(tenant=acme).delete()
    assert Browser(live_server.url).to_organisation("/accounts/organisation/").status_code == 403
    assert later.me().json()["tenants"] == []


def test_the_providers_own_directory_signs_in_whoever_linked_it(
    browser: Browser, provider: OidcProvider, ada: User, pia: User, as_actor
) -> None:
    configure(PROVIDER_TENANT_ID, provider, pia, as_actor)
    ProviderMembership.objects.create(user=ada, role=Role.READER, reach=Reach.ALL)
    browser.sign_in(with_password(ada))
    browser.to_organisation("/accounts/organisations/", "provider")
    browser.web.cookies.clear()
    browser.to_organisation("/accounts/organisation/", "provider")
    assert browser.me().json()["email"] == ada.email


def test_one_organisation_account_belongs_to_one_person(browser: Browser, acme: Tenant, ada: User, ren: User) -> None:
    link(browser, ada)
    browser.sign_in(with_password(ren))
    back = browser.to_organisation("/accounts/organisations/")
    assert (back.status_code, refusals(acme.id)) == (403, ["somebody else linked this account"])
    assert SocialAccount.objects.get().user == ada


def test_a_disabled_person_is_not_let_in(browser: Browser, acme: Tenant, ada: User) -> None:
    link(browser, ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert browser.to_organisation("/accounts/organisation/").status_code == 403
    assert refusals(acme.id) == ["the account in Quell is switched off"]


def test_a_new_issuer_voids_all_links(
    browser: Browser, provider: OidcProvider, acme: Tenant, ada: User, pia: User, as_actor
) -> None:
    link(browser, ada)
    with running() as other:
        other.subject = provider.subject
        configure(acme.id, other, pia, as_actor)
        back = browser.to_organisation("/accounts/organisation/")
    assert (back.status_code, refusals(acme.id)) == (403, ["nobody linked this account"])


def test_unknown_and_unconfigured_names_are_answered_alike(browser: Browser, globex: Tenant) -> None:
    pages = [browser.to_organisation("/accounts/organisation/", name).text for name in ("globex", "nowhere")]
    words = "There is no sign-in for this short name."
    assert all(words in page for page in pages)
    first, second = (re.sub(r'value="[^"]*"', "", page) for page in pages)
    assert first == second


def test_linking_needs_a_fresh_proof_of_who_one_is(browser: Browser, ada: User) -> None:
    browser.sign_in(with_password(ada))
    session = SessionStore(browser.web.cookies["quell_session"])
    for record in session["account_authentication_methods"]:
        record["at"] -= 301
    session.save()
    assert browser.web.get("/accounts/organisations/").url.path == "/accounts/reauthenticate/"
    browser.submit("/accounts/organisations/", password=PASSWORD)
    assert browser.web.get("/accounts/organisations/").url.path == "/accounts/organisations/"


@pytest.mark.parametrize(
    "address",
    [
        "http://idp.example",
        "https://127.0.0.1",
        "https://localhost",
        "https://169.254.169.254",
        "https://a.example:99999",
        "ftp://x",
        "x",
    ],
)
def test_outside_development_an_issuer_is_https_and_public(
    settings: LazySettings, acme: Tenant, pia: User, as_actor, address: str
) -> None:
    settings.IS_DEVELOPMENT = False
    with pytest.raises(BadRequest):
        save_identity_provider(acme.id, Wanted(address, "id", "secret", None, True), actor=as_actor(pia))


def test_microsofts_issuer_must_be_pinned_to_one_directory(acme: Tenant, pia: User, as_actor) -> None:
    for issuer, tid in (("common", None), ("common", UUID(TID)), (TID, None), (str(acme.id), UUID(TID))):
        wanted = Wanted(f"https://login.microsoftonline.com/{issuer}/v2.0", "id", "secret", tid, True)
        with pytest.raises(BadRequest):
            save_identity_provider(acme.id, wanted, actor=as_actor(pia))
    good = Wanted(f"https://login.microsoftonline.com/{TID}/v2.0", "id", "secret", UUID(TID), True)
    save_identity_provider(acme.id, good, actor=as_actor(pia))
