"""Where django-allauth asks us about organisations: which there are, whom they may sign in, and what went wrong."""

from typing import Any, NoReturn
from uuid import UUID

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from django.contrib import messages
from django.db import connection
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.access.addresses import client_address
from portal.access.models import ProviderMembership, User
from portal.access.sign_in.fetching import OrganisationFailed
from portal.access.sign_in.history import stamp, tell
from portal.access.sign_in.identity_providers import find_organisation
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

STRANGER = ActorStamp(None, "Somebody at their organisation's sign-in")


class SocialAdapter(DefaultSocialAccountAdapter):
    """Organisations vouch for people who linked the two accounts themselves, and for nobody else."""

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """Return the organisation of this short name; the library keeps none of its own."""
        found = find_organisation(provider) if provider else None
        if found is None:
            return []
        options = {
            "issuer": found.issuer,
            "entra_tenant_id": str(found.entra_tenant_id) if found.entra_tenant_id else None,
            "tenant_id": str(found.tenant_id),
            "oauth_pkce_enabled": True,
            "scope": ["openid"],
        }
        return [
            SocialApp(
                provider="organisation",
                provider_id=found.slug,
                name=found.slug,
                client_id=found.client_id,
                secret=found.client_secret,
                settings=options,
            )
        ]

    def get_requests_session(self) -> requests.Session:
        """Exchange codes within seconds, without detours over redirects or a proxy from the environment."""
        session: requests.Session = super().get_requests_session()
        session.trust_env = False
        session.max_redirects = 0
        return session

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Refuse to make accounts."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Link the account, or see that it may sign its person in; both end here when it may not."""
        tenant_id = str(sociallogin.provider.app.settings["tenant_id"])
        user = sociallogin.user if sociallogin.is_existing else None
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            self._link(request, sociallogin, user)
        if user is None:
            _refuse(request, tenant_id, "nobody linked this account", STRANGER)
        if not user.is_active or user.is_service_account:
            _refuse(request, tenant_id, "the account in Quell is switched off", stamp(user))
        if not may_vouch_for(tenant_id, user):
            _refuse(request, tenant_id, "the person has no role here, or is provider staff", stamp(user))

    def _link(self, request: HttpRequest, sociallogin: SocialLogin, owner: User | None) -> NoReturn:
        """Link the organisation's account to the person who is signed in; one account, one person."""
        person, tenant_id = request.user, str(sociallogin.provider.app.settings["tenant_id"])
        if not isinstance(person, User):
            _refuse(request, tenant_id, "nobody was signed in to link to", STRANGER)
        if owner is not None and owner.pk != person.pk:
            _refuse(request, tenant_id, "somebody else linked this account", stamp(person))
        if not may_vouch_for(tenant_id, person):
            _refuse(request, tenant_id, "the person has no role here, or is provider staff", stamp(person))
        if owner is None:
            with acting_for(PROVIDER_TENANT_ID):
                sociallogin.account.user = person
                sociallogin.account.save()
                tell(request, person, "organisation.linked", organisation=sociallogin.account.provider)
        messages.success(request, _("From now on you can sign in with your organisation."))
        raise ImmediateHttpResponse(HttpResponseRedirect(reverse("organisations")))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> NoReturn:
        """Say what went wrong, and record it."""
        _refuse(request, str(provider.app.settings["tenant_id"]), _reason(error, exception, extra_context), STRANGER)


def may_vouch_for(tenant_id: str, user: User) -> bool:
    """Return whether a tenant's organisation may sign the person in: they have a role there, and are no provider staff.

    The session then reaches that tenant alone, so no customer's directory can act for another customer, and a role
    given elsewhere locks nobody out. The provider's may sign in anybody who linked it.
    """
    if tenant_id == str(PROVIDER_TENANT_ID):
        return True
    if ProviderMembership.objects.filter(user=user).exists():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM roles_of_person(%s)", [user.pk])
        return tenant_id in [str(row[0]) for row in cursor.fetchall()]


def _reason(error: Any, exception: Exception | None, context: dict[str, Any] | None) -> str:
    if isinstance(exception, OrganisationFailed):
        return exception.reason
    if isinstance(exception, requests.RequestException):
        return "it did not answer"
    if exception is not None:
        return "it did not take the code back"
    if error == AuthError.CANCELLED:
        return "the person was not let in there, or turned back"
    if context is not None and "state" not in context:
        return "the answer belongs to no sign-in begun in this browser"
    return "it said no"


def _refuse(request: HttpRequest, tenant_id: str, reason: str, actor: ActorStamp) -> NoReturn:
    """Record it in that tenant, and show the page that says why."""
    key = UUID(tenant_id)
    with acting_for(key):
        record(
            key,
            "sign_in.refused",
            object_type="identity provider",
            object_id=actor.id or key,
            actor=actor,
            data={"reason": reason, "address": str(client_address(request) or "")},
        )
    page = render(request, "sign_in/organisation_refused.html", {"reason": reason}, status=403)
    raise ImmediateHttpResponse(page)
