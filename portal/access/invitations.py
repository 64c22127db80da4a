"""Invitations: how somebody with a new account learns how to set their password. A worker sends them, by e-mail."""

import logging
from datetime import timedelta
from smtplib import SMTPException
from urllib.parse import urljoin
from uuid import UUID

from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.core.signing import BadSignature, TimestampSigner
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.access.models import Invitation, User

logger = logging.getLogger(__name__)

TRIED_AGAIN_AFTER = timedelta(minutes=5)
TRIED_FOR = timedelta(days=3)
MOST_AT_ONCE = 50
LINK_LIVES = timedelta(days=3)

_signer = TimestampSigner(salt="portal.access.invitations")


def find_or_invite(email: str, *, name: str = "") -> tuple[User, bool]:
    """Return the account with this e-mail and whether it was made now; whoever cannot sign in yet is told how."""
    user = User.objects.filter(email__iexact=email).first()
    is_new = user is None
    if user is None:
        try:
            with transaction.atomic():
                user = User.objects.create_user(email, name=name)
        except IntegrityError:  # made by somebody else in this very moment
            user, is_new = User.objects.get(email__iexact=email), False
    if is_waiting(user):
        invite(user)
    return user, is_new


def is_waiting(user: User) -> bool:
    """Return whether the account is a person's who has never signed in and has no password to do it with."""
    return user.is_active and not user.is_service_account and not user.last_login and not user.has_usable_password()


def invite(user: User) -> None:
    """Ask a worker to send the person their link, again if need be."""
    anew = {"asked_at": timezone.now(), "claimed_at": None, "sent_at": None}
    Invitation.objects.update_or_create(user=user, defaults=anew)


def send_due() -> int:
    """Send what is due and return how many that were. Where no mail server is set, everything waits.

    The row is claimed in a transaction of its own before the mail server is called. What fails is tried again every
    five minutes for three days, so a mail may come twice; it is the same link for the same person.
    """
    if not (settings.EMAIL_IS_CONFIGURED and settings.PORTAL_URL):
        return 0
    sent = 0
    for user_id in _claim_due():
        user = User.objects.get(pk=user_id)
        if not is_waiting(user):
            continue
        try:
            _send(user)
        except (SMTPException, OSError) as error:
            logger.warning("Could not send the invitation of %s; it will be tried again: %s", user_id, error)
            continue
        Invitation.objects.filter(pk=user_id).update(sent_at=timezone.now())
        sent += 1
    return sent


def _claim_due() -> list[UUID]:
    now = timezone.now()
    due = Invitation.objects.filter(
        Q(claimed_at=None) | Q(claimed_at__lt=now - TRIED_AGAIN_AFTER), sent_at=None, asked_at__gt=now - TRIED_FOR
    )
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=True).order_by("asked_at")
        claimed = list(locked.values_list("pk", flat=True)[:MOST_AT_ONCE])
        Invitation.objects.filter(pk__in=claimed).update(claimed_at=now)
    return claimed


def _send(user: User) -> None:
    link = urljoin(settings.PORTAL_URL, reverse("welcome", args=[_signer.sign(str(user.pk))]))
    text = render_to_string("access/invitation.txt", {"link": link, "days": LINK_LIVES.days, "email": user.email})
    send_mail(_("Your account in Quell"), text, None, [user.email])


@never_cache
@require_safe
def welcome(request: HttpRequest, token: str) -> HttpResponseRedirect:
    """Lead whoever has an invitation's link to where they set their password; to nobody else is there such a page.

    The link ends after three days, and once a password is set.
    """
    try:
        user = User.objects.get(pk=_signer.unsign(token, max_age=LINK_LIVES))
    except (BadSignature, User.DoesNotExist) as error:
        raise Http404 from error
    if not is_waiting(user):
        return HttpResponseRedirect(reverse("account_login"))
    place = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return HttpResponseRedirect(reverse("account_reset_password_from_key", kwargs=place))
