"""Admin consent: the link to Microsoft's page, and what its answer is worth. Nothing, until a token works.

Microsoft identity platform, "Admin consent": the answer carries `state`, `tenant`, and `admin_consent` or `error`. It
comes through a browser, so anybody can make one up: only the one answer that this person asked for is listened to, once
and for a quarter of an hour, and all it brings about is a check.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext as _

from connectors import services
from connectors.models import Connection
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.scope import database_now

LASTS: Final = timedelta(minutes=15)
RETURN_PAGE: Final = "admin:connectors_connection_consent"
"""Where Microsoft sends people back to; its address is registered with the app."""


@dataclass(frozen=True, slots=True)
class ConsentLink:
    """The page where the customer's admin consents; its answer counts until `ends_at` (UTC)."""

    url: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """What came back for a connection: whether consent is said to be given, and in words."""

    connection: Connection
    is_given: bool
    words: str


def ask_for_consent(connection_id: UUID, *, return_address: str, actor: Actor) -> ConsentLink:
    """Return a link to Microsoft's consent page; an earlier one is worth nothing any more.

    Raises Forbidden, and Conflict where there is no app registration to consent to.
    """
    connection = Connection.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    if not connection.application_id:
        raise Conflict(_("There is no app registration yet; set MICROSOFT_CLIENT_ID, or the tenant's own client id."))
    state = token_urlsafe(32)
    connection.consent_state_hash = _hash_of(state, actor)
    connection.consent_state_ends_at = database_now() + LASTS
    connection.save(update_fields=["consent_state_hash", "consent_state_ends_at"])
    _record(connection, "consent_requested", actor, {"application": connection.application_id})
    asked = {"client_id": connection.application_id, "redirect_uri": return_address, "state": state}
    tenant = connection.tenant.entra_tenant_id
    return ConsentLink(
        f"{connection.login_url}/{tenant}/adminconsent?{urlencode(asked)}", connection.consent_state_ends_at
    )


def take_answer(answer: Mapping[str, str], *, actor: Actor) -> ConsentAnswer:
    """Use up the state an answer carries, and have the connection checked where consent is said to be given.

    Raises BadRequest for a state that this person was not given, or that is used or over, and Forbidden.
    """
    now = database_now()
    waiting = Connection.objects.select_for_update(of=("self",)).select_related("tenant")
    hashed = _hash_of(answer.get("state", ""), actor)
    connection = waiting.filter(consent_state_hash=hashed, consent_state_ends_at__gt=now).first()
    if connection is None:
        raise BadRequest(
            _("This answer was not asked for here, was used already or came too late; nothing was changed. Ask again.")
        )
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    connection.consent_state_hash, connection.consent_state_ends_at = "", None
    connection.save(update_fields=["consent_state_hash", "consent_state_ends_at"])
    refusal = _refusal_in(answer, connection)
    if refusal:
        _record(connection, "consent_refused", actor, {"error": refusal})
        return ConsentAnswer(connection, is_given=False, words=refusal)
    _record(connection, "consent_reported", actor, {})
    if connection.is_enabled:
        services.request_check(connection.pk, actor=actor)
    words = _("Microsoft says that consent was given. A token will tell: the connection is being checked.")
    return ConsentAnswer(connection, is_given=True, words=words)


def _refusal_in(answer: Mapping[str, str], connection: Connection) -> str:
    """Return why an answer is no consent for this connection's tenant, "" where it is one."""
    if error := answer.get("error"):
        said = f"{error}: {answer.get('error_description', '')}"[:300]
        return _("Consent was not given. Microsoft says: %(words)s") % {"words": said}
    if answer.get("tenant", "").lower() != str(connection.tenant.entra_tenant_id):
        return _("Consent was given in another tenant; ask an admin of this one. Nothing was changed here.")
    if answer.get("admin_consent", "").lower() != "true":
        return _("The answer does not say that consent was given; ask again.")
    return ""


def _hash_of(state: str, actor: Actor) -> str:
    return sha256(f"{actor.id}|{state}".encode()).hexdigest()


def _record(connection: Connection, what: str, actor: Actor, data: Mapping[str, str]) -> None:
    record(
        connection.tenant_id,
        f"connection.{what}",
        object_type="connection",
        object_id=connection.pk,
        actor=actor.stamp,
        data={"target": connection.kind, **data},
    )
