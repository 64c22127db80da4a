"""What calls and checks say about a connection, as one of its named states; the one place where health is written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connectors.certificates import read_certificate
from connectors.microsoft.permissions import PERMISSIONS
from connectors.models import Connection, Health
from connectors.protocol import Finding, NotSent, OutcomeUnknown, Refused
from connectors.provider import provider_certificate
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.scope import acting_for

WARNED_BEFORE: Final = timedelta(days=30)
"""How long before its end a certificate is warned of."""

_NO_SIGN_IN: Final = _(
    "Alerts and devices are not read. No action reaches Microsoft: one that is sent now fails and says why. What was "
    "read before stays, and proposals wait."
)
CONSEQUENCES: Final[Mapping[Health, Promise]] = {
    Health.UNTRIED: _("Nothing was read yet; the next sync reads. Actions are sent."),
    Health.WORKING: _("Everything goes on."),
    Health.CERTIFICATE_EXPIRES: _("Everything goes on until the certificate expires; then nothing does."),
    Health.PERMISSIONS_MISSING: _(
        "What needs a missing permission does not work, and such an action fails and says so; where devices cannot be "
        "read, alerts are not read either. Everything else goes on."
    ),
    Health.LICENCE_MISSING: _(
        "What needs the missing service does not work, and such an action fails and says so; where devices cannot be "
        "read, alerts are not read either. The other services go on."
    ),
    Health.CONSENT_MISSING: _NO_SIGN_IN,
    Health.CREDENTIAL_WRONG: _NO_SIGN_IN,
    Health.CREDENTIAL_EXPIRED: _NO_SIGN_IN,
    Health.TENANT_UNKNOWN: _NO_SIGN_IN,
    Health.WRONG_TENANT: _NO_SIGN_IN,
    Health.BLOCKED: _NO_SIGN_IN,
    Health.REFUSED: _("What was refused does not work; if it was a read, alerts wait behind it. Actions are sent."),
    Health.UNREACHABLE: _(
        "Alerts and devices are not read, and actions wait. All of it goes on by itself once Microsoft answers; an "
        "action that lapses meanwhile says so."
    ),
}
"""What stops in each state and what goes on."""

UNREACHABLE: Final = ("SignInUnavailable", "NoConnection", "QuotaSpent", "429", "TooManyRequests")
_BY_CODE: Final = {
    "AADSTS700016": Health.CONSENT_MISSING,
    "NoRoles": Health.CONSENT_MISSING,
    "AADSTS7000215": Health.CREDENTIAL_WRONG,
    "AADSTS700027": Health.CREDENTIAL_WRONG,
    "CertificateUnreadable": Health.CREDENTIAL_WRONG,
    "SecretUnreadable": Health.CREDENTIAL_WRONG,
    "AADSTS7000222": Health.CREDENTIAL_EXPIRED,
    "CertificateExpired": Health.CREDENTIAL_EXPIRED,
    "AADSTS90002": Health.TENANT_UNKNOWN,
    "WrongTenant": Health.WRONG_TENANT,
    "AADSTS500011": Health.LICENCE_MISSING,
    "AADSTS650052": Health.LICENCE_MISSING,
    "AADSTS53003": Health.BLOCKED,
    "403": Health.PERMISSIONS_MISSING,
    "Forbidden": Health.PERMISSIONS_MISSING,
    **{permission.name: Health.PERMISSIONS_MISSING for permission in PERMISSIONS},
    **dict.fromkeys(UNREACHABLE, Health.UNREACHABLE),
}
"""The states by what was answered: Entra's AADSTS numbers, our own codes of sign_in.py, a permission's name."""

_GRAVEST_FIRST: Final = (
    Health.CREDENTIAL_WRONG,
    Health.CREDENTIAL_EXPIRED,
    Health.TENANT_UNKNOWN,
    Health.WRONG_TENANT,
    Health.BLOCKED,
    Health.CONSENT_MISSING,
    Health.LICENCE_MISSING,
    Health.PERMISSIONS_MISSING,
    Health.REFUSED,
    Health.UNREACHABLE,
)


def health_of(error: Exception) -> Health:
    """Return the state that an error of a call, or of opening the connection, puts it into."""
    if isinstance(error, SecretUnreadable):
        return Health.CREDENTIAL_WRONG
    if isinstance(error, NotSent | OutcomeUnknown):
        return Health.UNREACHABLE
    return _BY_CODE.get(error.code, Health.REFUSED) if isinstance(error, Refused) else Health.REFUSED


def verdict_of(findings: Sequence[Finding]) -> tuple[Health, str]:
    """Return the state that a check's findings add up to, and all that is wrong in words, a line each."""
    wrong = [finding for finding in findings if not finding.works]
    if not wrong:
        return Health.WORKING, ""
    states = {_state_of(finding) for finding in wrong}
    if Health.CONSENT_MISSING in states and any(finding.works for finding in findings):
        # Something was consented to, so the rest is a matter of permissions.
        states = (states - {Health.CONSENT_MISSING}) | {Health.PERMISSIONS_MISSING}
    gravest = next(state for state in _GRAVEST_FIRST if state in states)
    return gravest, "\n".join(f"{finding.what}: {finding.words}" for finding in wrong)


def _state_of(finding: Finding) -> Health:
    codes = finding.code.replace(",", " ").split()
    return next((_BY_CODE[code] for code in codes if code in _BY_CODE), Health.REFUSED)


def note_trouble(tenant_id: UUID, error: Exception) -> None:
    """Write down that a call failed. Opens its own scope."""
    with acting_for(tenant_id):
        _write(Connection.objects.filter(is_enabled=True), health_of(error), str(error))


def note_working(tenant_id: UUID) -> None:
    """Write down that reading works: as good as the last check found it. Opens its own scope."""
    with acting_for(tenant_id):
        for row in Connection.objects.filter(is_enabled=True):
            found = [Finding(**finding) for finding in row.findings]
            _write(Connection.objects.filter(pk=row.pk), *_with_warning(row, *verdict_of(found)))


def note_check(tenant_id: UUID, connection_id: UUID, findings: Iterable[Finding]) -> None:
    """Write down what a check found. Opens its own scope."""
    found = list(findings)
    with acting_for(tenant_id):
        row = Connection.objects.get(pk=connection_id)
        kept = Connection.objects.filter(pk=connection_id)
        kept.update(findings=[asdict(finding) for finding in found], checked_at=Now())
        _write(kept, *_with_warning(row, *verdict_of(found)))


def certificate_expires_at(row: Connection) -> datetime | None:
    """Return when the certificate in use expires (UTC), the tenant's own or the provider's; None for a secret.

    Raises SecretUnreadable and ValueError for a provider's certificate that cannot be used.
    """
    if row.has_own_credential:
        return row.client_certificate_expires_at
    pem = provider_certificate()
    return read_certificate(pem.reveal()).expires_at if pem else None


def _with_warning(row: Connection, health: Health, detail: str) -> tuple[Health, str]:
    """Add to what works otherwise that its certificate is about to expire."""
    if health != Health.WORKING:
        return health, detail
    try:
        expires_at = certificate_expires_at(row)
    except (SecretUnreadable, ValueError) as error:
        return Health.CREDENTIAL_WRONG, str(error)
    if expires_at is None or expires_at - datetime.now(UTC) > WARNED_BEFORE:
        return health, detail
    return Health.CERTIFICATE_EXPIRES, (
        f"The certificate expires on {expires_at:%Y-%m-%d}; register a new one at Microsoft, then set it."
    )


def _write(rows: "QuerySet[Connection]", health: Health, detail: str) -> None:
    rows.update(health=health, health_detail=detail, health_at=Now())
