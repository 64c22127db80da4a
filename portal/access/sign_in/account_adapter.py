"""Where django-allauth asks us about accounts: who may sign in, how often, and what goes on record."""

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal.access.addresses import client_address
from portal.access.models import User
from portal.access.sign_in import guesses
from portal.access.sign_in.history import tell, tell_refused
from portal.access.sign_in.identity_providers import PROVIDER_NAME
from portal.access.sign_in.limits import start_session
from portal.access.sign_in.second_factor import ORGANISATION
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.naming import tenant_id_of
from portal.tenancy.scope import acting_for


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by those who administer Quell; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse to make accounts here."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address as the rest of Quell reads it."""
        return str(client_address(request) or "unknown")

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the guess before the hasher runs. Raises ValidationError when there were too many."""
        email = credentials.get("email", "")
        self._login_failed_rl_usage = guesses.admit(request, email)
        if self._login_failed_rl_usage is None:
            if guesses.is_first_of_its_window(request, email):
                tell_refused(request, email, "too many guesses")
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record a wrong password or unknown address."""
        tell_refused(request, credentials.get("email", ""), "wrong e-mail or password")

    def reauthenticate(self, user: User, password: str) -> bool:
        """Return whether it is the person's password, counted like any other guess."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def pre_login(self, request: HttpRequest, user: User, **details: Any) -> HttpResponse | None:
        """Keep nothing of an organisation's answer, its token least of all, in the session until the second step."""
        (details["signal_kwargs"] or {}).pop("sociallogin", None)
        response: HttpResponse | None = super().pre_login(request, user, **details)
        return response

    def login(self, request: HttpRequest, user: User) -> None:
        """Begin a session under a new id, with its limits, and record by what means.

        The means are read first: where the browser still had somebody else's session, Django empties it.
        """
        records = get_authentication_records(request, user)
        super().login(request, user)
        start_session(request)
        _bind_to_organisation(request, records)
        means = [record.get("type", record["method"]) for record in records]
        tell(request, user, "sign_in.succeeded", means=means)

    def post_login(self, request: HttpRequest, user: User, **details: Any) -> HttpResponse:
        """Remember that this person signed in from here."""
        response = super().post_login(request, user, **details)
        guesses.remember(request, response, user.email)
        return response

    def logout(self, request: HttpRequest) -> None:
        """End the session, on record."""
        if isinstance(request.user, User):
            tell(request, request.user, "sign_in.ended", reason="signed out")
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        """Set a new password and record it, in one transaction; all other sessions of the person end with the old one.

        Nothing else of the account is written, so that one switched off meanwhile stays so.
        """
        with acting_for(PROVIDER_TENANT_ID):
            user.set_password(password)
            user.save(update_fields=["password"])
            tell(context.request, user, "password.changed")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return to the first page."""
        return reverse("admin:index")

    def is_reauthentication_required(self, *, app: str, **details: Any) -> bool:
        """Ask again, before somebody's means of signing in change, unless they were all shown just now.

        Whoever has a second factor shows that one; a password alone would let a thief take the factor away.
        """
        request = context.request
        records = get_authentication_records(request, request.user)
        if is_mfa_enabled(request.user):
            records = [record for record in records if record["method"] == "mfa"]
        newest = max((record["at"] for record in records), default=0.0)
        return time.time() - newest > settings.SECOND_FACTOR_SECONDS

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        """Offer the password only to those who have nothing better."""
        methods = super().get_reauthentication_methods(user)
        return [method for method in methods if method["id"] != "reauthenticate"] or methods


def _bind_to_organisation(request: HttpRequest, records: list[dict[str, Any]]) -> None:
    """Note which customer's organisation vouched for the person, if the last step before the second factor was that."""
    first_steps = [record for record in records if record["method"] in ("password", "socialaccount")]
    request.session.pop(ORGANISATION, None)
    if first_steps and first_steps[-1]["method"] == "socialaccount":
        slug = first_steps[-1]["provider"]
        if slug != PROVIDER_NAME:
            request.session[ORGANISATION] = str(tenant_id_of(slug))
