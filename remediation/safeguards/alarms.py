"""The alarm of a break-glass use: an e-mail to everybody who decides for the tenant, once more when nobody reviews it.

The row comes first and the doorbell after COMMIT; `alarmed_at` is set once the mail went out, and until then the sweep
rings again. No transaction is open while mail is being sent.
"""

import logging
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Capability, roles_with
from portal.tenancy.scope import acting_for
from remediation.safeguards.models import BreakGlass

logger = logging.getLogger(__name__)

TASK: Final = "remediation.safeguards.tasks.alarm"
QUIET_SECONDS: Final = 60
"""An alarm that could not be sent is tried again after so long."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One mail to send: what about, to whom, and which column tells afterwards that it went out."""

    use_id: UUID
    sent_column: str
    subject: str
    text: str
    recipients: Sequence[str]


def ring_after_commit(tenant_id: UUID) -> None:
    """Ask a worker to send the tenant's alarms once what this transaction did can be seen."""
    transaction.on_commit(lambda: ring(tenant_id))


def ring(tenant_id: UUID) -> None:
    """Ask a worker to send the tenant's alarms. A broker that cannot be reached is logged; the sweep rings again."""
    try:
        if cache.add(f"bell:alarm:{tenant_id}", 1, timeout=QUIET_SECONDS):
            current_app.send_task(TASK, args=[str(tenant_id)])
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("Could not ring the alarm of tenant %s; the next sweep will: %s", tenant_id, error)


def send_alarms(tenant_id: UUID) -> None:
    """Send what has not gone out for the tenant. What cannot be sent is logged and stays due."""
    with acting_for(tenant_id):
        due = [*_first_ones(tenant_id), *_reminders(tenant_id)]
    for alarm in due:
        if _send(alarm):
            with acting_for(tenant_id):
                BreakGlass.objects.filter(pk=alarm.use_id).update(**{alarm.sent_column: Now()})


def deciders_of(tenant_id: UUID) -> list[str]:
    """Return the e-mail addresses of the people who decide for the tenant: its own and the provider's."""
    deciding = roles_with(Capability.DECIDE_ACTION)
    own = TenantMembership.objects.filter(tenant=tenant_id, role__in=deciding).values("user")
    of_provider = ProviderMembership.objects.filter(
        Q(reach=Reach.ALL) | Q(group__tenants=tenant_id), role__in=deciding
    ).values("user")
    people = User.objects.filter(Q(pk__in=own) | Q(pk__in=of_provider), is_active=True, is_service_account=False)
    return sorted(people.values_list("email", flat=True))


def _first_ones(tenant_id: UUID) -> list[Alarm]:
    uses = BreakGlass.objects.filter(alarmed_at__isnull=True, reviewed_at__isnull=True)
    subject = _("Break glass was opened for %(tenant)s by %(person)s")
    return [_alarm(use, "alarmed_at", subject) for use in uses.select_related("tenant", "user").order_by("id")]


def _reminders(tenant_id: UUID) -> list[Alarm]:
    uses = BreakGlass.objects.filter(reminded_at__isnull=True, reviewed_at__isnull=True, review_before__lte=Now())
    subject = _("The review of a break-glass use for %(tenant)s by %(person)s is overdue")
    return [_alarm(use, "reminded_at", subject) for use in uses.select_related("tenant", "user").order_by("id")]


def _alarm(use: BreakGlass, sent_column: str, subject: str) -> Alarm:
    facts = {
        "tenant": use.tenant.name,
        "person": use.user.email,
        "reason": use.reason,
        "opened": f"{use.opened_at:%Y-%m-%d %H:%M}",
        "ends": f"{use.ends_at:%Y-%m-%d %H:%M}",
        "before": f"{use.review_before:%Y-%m-%d %H:%M}",
        "link": urljoin(settings.PORTAL_URL, reverse("admin:safeguards_breakglass_change", args=[use.pk])),
    }
    text = _(
        "%(person)s opened break glass for %(tenant)s at %(opened)s UTC. Until %(ends)s UTC their own approval is "
        "enough to send an action.\n\nReason given: %(reason)s\n\nSomebody else has to review it before "
        "%(before)s UTC. Its page in Quell lists every action that was approved in it: %(link)s\n\nIf you know of no "
        "emergency: whoever manages the tenant's approval policy ends it at once by closing the review, and a provider "
        "admin switches the person's account off."
    )
    one_line = " ".join((subject % facts).split())
    return Alarm(use.pk, sent_column, one_line, text % facts, deciders_of(use.tenant_id))


def _send(alarm: Alarm) -> bool:
    """Send one mail per person, over one connection; return whether all went out."""
    if not settings.EMAIL_IS_CONFIGURED:
        logger.error("The alarm of break-glass use %s is not sent, because EMAIL_HOST is not set", alarm.use_id)
        return False
    if not alarm.recipients:
        logger.error("The alarm of break-glass use %s is not sent: nobody decides for the tenant", alarm.use_id)
        return False
    mails = [EmailMessage(alarm.subject, alarm.text, to=[address]) for address in alarm.recipients]
    try:
        get_connection().send_messages(mails)
    except (smtplib.SMTPException, OSError) as error:
        logger.error("The alarm of break-glass use %s is not sent, and tried again: %s", alarm.use_id, error)
        return False
    logger.info("The alarm of break-glass use %s was sent to %d people", alarm.use_id, len(mails))
    return True
