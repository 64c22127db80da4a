"""Who needs a second factor, what happens until they have shown one, and how a page asks for a fresh one."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth import logout
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import SecondFactorNeeded
from portal.access.models import ProviderMembership, User
from portal.access.roles import NEEDS_SECOND_FACTOR
from portal.access.sign_in.history import stamp
from portal.audit.refusals import note_refusal
from portal.tenancy.models import PROVIDER_TENANT_ID

FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""What counts as a second factor by itself; recovery codes only stand in for one."""

ORGANISATION: Final = "sign_in_organisation_id"
"""In a session that a customer's own sign-in opened: the tenant it is for, as text."""

KEPT: Final = "kept_reason"
"""In a session that was asked for a fresh second factor: the reason that was being given, and on which page."""

LONGEST_KEPT: Final = 2000
"""Characters, as long as the forms take."""

OPEN: Final = frozenset(
    {
        "account_logout",
        "account_reauthenticate",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_download_recovery_codes",
        "mfa_index",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "mfa_view_recovery_codes",
    }
)
"""The pages, by name, for somebody who has yet to show the second factor they need."""


ONE_TIME: Final = frozenset({"account_reset_password_from_key", "organisation_callback", "welcome"})
"""The pages whose address holds a secret that counts once: it is repeated in no other address."""


def kept_reason(request: HttpRequest) -> str:
    """Return, once, the reason that was typed on this page before a fresh second factor was asked for, else ""."""
    page, reason = request.session.get(KEPT) or ("", "")
    if page != request.get_full_path():
        return ""
    del request.session[KEPT]
    return str(reason)


def needs_second_factor(actor: Actor) -> bool:
    """Return whether the person holds anything, anywhere, that is never trusted to a password alone."""
    return any(held & NEEDS_SECOND_FACTOR for held in actor.capabilities.values())


def has_second_factor(user: User) -> bool:
    """Return whether the person has set one up."""
    return bool(is_mfa_enabled(user, FACTORS))


class SecondFactorGate:
    """Nothing is reachable by people who need a second factor until this session has shown one.

    Also the one place that turns SecondFactorNeeded, raised by any page, into the question for a fresh one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, positional: Any, named: Any) -> HttpResponse | None:
        """Stop the request in front of the view, unless the view is there to set up or show a second factor."""
        actor: Actor | None = request.actor  # type: ignore[attr-defined]  # the door's middleware put it there
        if actor is None or request.is_key_request:  # type: ignore[attr-defined]
            return None
        if _is_beyond_its_organisation(request, actor):
            return _sign_out_foreigner(request)
        if actor.second_factor_at is not None or not needs_second_factor(actor):
            return None
        if request.resolver_match is not None and request.resolver_match.url_name in OPEN:
            return None
        return _refuse(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Take back what the page wrote, and ask for a fresh second factor."""
        if not isinstance(error, SecondFactorNeeded):
            return None
        is_enrolled = has_second_factor(request.user)  # type: ignore[arg-type]  # only people with a session get here
        if connection.in_atomic_block:
            transaction.set_rollback(True)
        list(messages.get_messages(request))  # what they told of was taken back with the rest
        return _ask_again(request, is_enrolled)


def _ask_again(request: HttpRequest, is_enrolled: bool) -> HttpResponse:
    if not is_enrolled:
        messages.error(request, _("This needs a second factor. Add one, then do it again."))
        return _lead_to("mfa_index", _way_back(request))
    messages.info(request, _("Confirm that it is you, then do it again."))
    back_to = _way_back(request)
    if reason := request.POST.get("reason", ""):
        request.session[KEPT] = [back_to, reason[:LONGEST_KEPT]]
    return _lead_to("mfa_reauthenticate", back_to)


def _refuse(request: HttpRequest) -> HttpResponse:
    is_enrolled = has_second_factor(request.user)  # type: ignore[arg-type]
    page = "mfa_reauthenticate" if is_enrolled else "mfa_index"
    if request.path.startswith("/api/"):
        words = _("Your role needs a second factor, and this session has not shown one. Go to %(page)s in a browser.")
        return _problem(403, "Not allowed", words % {"page": reverse(page)}, SecondFactorNeeded.type)
    if not is_enrolled:
        messages.warning(request, _("Your role needs a second factor. Add one to go on."))
    return _lead_to(page, _address_of(request))


def _is_beyond_its_organisation(request: HttpRequest, actor: Actor) -> bool:
    """A customer's own sign-in never vouches for provider staff, also after the person became one."""
    if ORGANISATION not in request.session:
        return False
    return ProviderMembership.objects.filter(user_id=actor.id).exists()


def _sign_out_foreigner(request: HttpRequest) -> HttpResponse:
    if isinstance(request.user, User):
        note_refusal(
            PROVIDER_TENANT_ID,
            "sign_in.ended",
            object_type="user",
            object_id=request.user.pk,
            actor=stamp(request.user),
            data={"reason": "a customer's organisation signed in provider staff"},
        )
    logout(request)
    if request.path.startswith("/api/"):
        return _problem(401, "Sign in first", _("Your session is over: your organisation may no longer sign you in."))
    return _lead_to("account_login", _address_of(request))


def _problem(status: int, title: str, detail: str, kind: str = "about:blank") -> JsonResponse:
    """Answer as `portal.api.errors` does, which stands on a higher floor."""
    body = {"type": kind, "title": title, "status": status, "detail": detail, "errors": []}
    return JsonResponse(body, status=status, content_type="application/problem+json")


def _address_of(request: HttpRequest) -> str:
    is_secret = request.resolver_match is not None and request.resolver_match.url_name in ONE_TIME
    return reverse("admin:index") if is_secret else request.get_full_path()


def _way_back(request: HttpRequest) -> str:
    """A form is shown again by the page it was sent from; the browser says which that was."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    sent_from = urlsplit(request.headers.get("Referer", ""))
    if sent_from.netloc == request.get_host():
        return f"{sent_from.path}?{sent_from.query}" if sent_from.query else sent_from.path
    return request.get_full_path()


def _lead_to(page: str, back_to: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse(page)}?{urlencode({'next': back_to})}")
