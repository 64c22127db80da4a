"""The pages of sign-in that are our own, and what is put around django-allauth's."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.account.views import password_change
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.ratelimit import consume, respond_429
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from portal.access.exceptions import Conflict
from portal.access.models import User
from portal.access.sign_in.forms import OrganisationForm, SignOutEverywhereForm
from portal.access.sign_in.history import tell
from portal.access.sign_in.provider import OrganisationAdapter, OrganisationCallback
from portal.access.sign_in.second_factor import FACTORS, has_second_factor, needs_second_factor
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

View = Callable[..., HttpResponse]

RATES: Final = {"organisation": "20/m/ip", "password": "10/15m/user"}


def on_record(view: View) -> View:
    """Wrap a page that changes somebody's second factors: what it changed is recorded in the same transaction.

    Whoever needs a second factor keeps one: a change that takes the last is taken back. A factor that was just set up
    has thereby been shown.
    """

    @wraps(view)
    def recorded(request: HttpRequest, *positional: Any, **named: Any) -> HttpResponse:
        if request.method != "POST" or not isinstance(request.user, User):
            return view(request, *positional, **named)
        try:
            with acting_for(PROVIDER_TENANT_ID):
                before = _authenticators(request.user)
                response = view(request, *positional, **named)
                _record_difference(request, request.user, before)
        except Conflict as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(reverse("mfa_index"))
        return response

    return recorded


def _authenticators(user: User) -> dict[int, str]:
    return dict(Authenticator.objects.filter(user=user).values_list("pk", "type"))


def _record_difference(request: HttpRequest, user: User, before: dict[int, str]) -> None:
    after = _authenticators(user)
    for key, kind in before.items():
        if key not in after:
            tell(request, user, "second_factor.removed", kind=kind)
    for key, kind in after.items():
        if key not in before:
            tell(request, user, "second_factor.added", kind=kind)
            if kind in FACTORS:
                record_authentication(request, user, "mfa", id=key, type=kind)
    lost_one = any(kind in FACTORS for key, kind in before.items() if key not in after)
    if lost_one and needs_second_factor(request.actor) and not has_second_factor(user):  # type: ignore[attr-defined]
        raise Conflict(_("Your role needs a second factor. Add another one before you remove this one."))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def organisation_sign_in(request: HttpRequest) -> HttpResponse:
    """Ask which organisation somebody belongs to, and lead them to its sign-in."""
    return _to_organisation(request, AuthProcess.LOGIN, "sign_in/organisation.html", {})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organisations(request: HttpRequest) -> HttpResponse:
    """Show which organisations may sign the person in, and link another; needs a fresh proof of who they are."""
    raise_if_reauthentication_required(request, app="portal.access.sign_in")
    linked = SocialAccount.objects.filter(user_id=request.user.pk).order_by("provider")
    return _to_organisation(request, AuthProcess.CONNECT, "sign_in/organisations.html", {"linked": linked})


def _to_organisation(request: HttpRequest, process: str, template: str, context: dict[str, Any]) -> HttpResponse:
    """Show the form, or the page that leads on.

    That is a page with a link, not a redirect: the Content-Security-Policy lets forms lead nowhere but here.
    """
    if consume(request, app="sign_in", action="organisation", config=RATES) is None:
        return respond_429(request)
    form = OrganisationForm(request.POST if request.method == "POST" else None)
    next_url = request.POST.get("next") or request.GET.get("next", "")
    if form.is_valid():
        try:
            provider = get_adapter().get_provider(request, form.cleaned_data["short_name"])
        except SocialApp.DoesNotExist:
            words = _("There is no sign-in for this short name. Sign in with your password, or ask who gave it to you.")
            form.add_error("short_name", words)
        else:
            return _lead_on(request, provider, process, next_url)
    return render(request, template, {**context, "form": form, "next": next_url})


def _lead_on(request: HttpRequest, provider: Any, process: str, next_url: str) -> HttpResponse:
    try:
        address = provider.redirect(request, process, next_url if _is_local(next_url) else None)["Location"]
    except OAuth2Error as error:
        try:
            get_adapter().on_authentication_error(request, provider, error=AuthError.UNKNOWN, exception=error)
        except ImmediateHttpResponse as refusal:
            return refusal.response
    return render(request, "sign_in/leave.html", {"address": address, "host": urlsplit(address).hostname})


def _is_local(address: str) -> bool:
    return address.startswith("/") and not address.startswith(("//", "/\\"))


@never_cache
@require_http_methods(["GET"])
def organisation_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take somebody back from their organisation."""
    if consume(request, app="sign_in", action="organisation", config=RATES, limit_get=True) is None:
        return respond_429(request)
    try:
        response: HttpResponse = OrganisationCallback.adapter_view(OrganisationAdapter(request, provider_id))(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return response


@login_required
@require_POST
def unlink_organisation(request: HttpRequest, key: int) -> HttpResponse:
    """Take away an organisation's power to sign the person in."""
    raise_if_reauthentication_required(request, app="portal.access.sign_in")
    row = SocialAccount.objects.filter(user_id=request.user.pk, pk=key).first()
    if row is None or not isinstance(request.user, User):
        raise Http404
    if not request.user.has_usable_password():
        messages.error(request, _("It is your only way in: your account has no password."))
    else:
        with acting_for(PROVIDER_TENANT_ID):
            tell(request, request.user, "organisation.unlinked", organisation=row.provider)
            row.delete()
    return HttpResponseRedirect(reverse("organisations"))


@login_required
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's password, if one has one."""
    if isinstance(request.user, User) and request.user.has_usable_password():
        response: HttpResponse = password_change(request)
        return response
    messages.info(request, _("You sign in with your organisation; there is no password to change."))
    return HttpResponseRedirect(reverse("mfa_index"))


@never_cache
@login_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all sessions of the person but this one.

    Sessions carry a digest of the stored password's hash; storing the same password again, with a new salt, voids them.
    """
    user = request.user
    if not isinstance(user, User):
        raise Http404
    form = SignOutEverywhereForm(request.POST if request.method == "POST" else None, user=user)
    if not form.is_valid():
        return render(request, "sign_in/sign_out_everywhere.html", {"form": form})
    if consume(request, app="sign_in", action="password", config=RATES, user=user) is None:
        return respond_429(request)
    password = form.cleaned_data.get("password")
    if password is not None and not user.check_password(password):
        form.add_error("password", _("This is not your password."))
        return render(request, "sign_in/sign_out_everywhere.html", {"form": form})
    with acting_for(PROVIDER_TENANT_ID):
        user.set_password(password)
        user.save(update_fields=["password"])
        tell(request, user, "sign_in.ended", reason="signed out everywhere else")
    update_session_auth_hash(request, user)
    messages.success(request, _("All your other sessions have ended."))
    return HttpResponseRedirect(reverse("mfa_index"))


def too_many(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that there were too many requests."""
    return render(request, "429.html", status=429)
