"""What people do to connections: create, change, give a credential, have them checked. All of it goes on record."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from connectors.certificates import read_certificate
from connectors.clouds import ADDRESSES, PLACES, Cloud
from connectors.models import Connection
from connectors.protocol import CAPABILITIES
from connectors.registry import CONNECTORS
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.secrets.envelope import seal
from portal.secrets.secret_text import SecretText
from portal.tenancy.scope import database_now

PROVIDERS_OWN: Final = ("cloud", *ADDRESSES, "capabilities")
"""Where credentials and tokens are sent, and what is tried there; the provider's to change (docs/decisions/0004)."""

CHANGEABLE: Final = ("is_enabled", "client_id", *PROVIDERS_OWN)
GUARDED: Final = ("client_id", "cloud", *ADDRESSES)
"""What decides who signs in and where: only with a second factor just shown, so never by API key."""

_SECRET: Final = ("client_secret_sealed", "client_secret_set_at")
_CERTIFICATE: Final = ("client_certificate_sealed", "client_certificate_thumbprint", "client_certificate_expires_at")
_TOLD: Final = ("client_secret_set_at", "client_certificate_thumbprint", "client_certificate_expires_at")


def create_connection(connection: Connection, *, actor: Actor) -> None:
    """Save a new connection, which begins to sync at once where it is enabled. For provider admins.

    Addresses that are the global cloud's become those of its own cloud. Raises Forbidden, BadRequest for a kind, an
    address or a capability that cannot be used, and Conflict where the tenant has one.
    """
    actor.require(Capability.MANAGE_TENANTS, connection.tenant_id)
    actor.require_second_factor()
    if connection.kind not in CONNECTORS:
        raise BadRequest(_("There is no such kind of connection."))
    here, there = PLACES[Cloud.GLOBAL], PLACES[connection.cloud]
    _fill(
        connection,
        {name: getattr(there, name) for name in ADDRESSES if getattr(connection, name) == getattr(here, name)},
    )
    _refuse_unusable(connection)
    try:
        with transaction.atomic():
            connection.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("This tenant has a connection of this kind already; change that one.")) from error
    _record(connection, "created", actor, before=None, after=_values(connection))


def change_connection(connection_id: UUID, changes: Mapping[str, Any], *, actor: Actor) -> Connection:
    """Change some of CHANGEABLE and return the connection; another cloud brings its addresses, where none are given.

    Without a client id its credential is forgotten. The next sync checks it anew. Raises Forbidden, SecondFactorNeeded,
    and BadRequest for an address or a capability that cannot be used.
    """
    connection = _locked(connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    before = _values(connection)
    wanted = {name: value for name, value in changes.items() if getattr(connection, name) != value}
    if "cloud" in wanted:
        place = PLACES[wanted["cloud"]]
        wanted = {**{name: getattr(place, name) for name in ADDRESSES}, **wanted}
    if wanted.keys() & set(PROVIDERS_OWN):
        actor.require(Capability.MANAGE_TENANTS, connection.tenant_id)
    if wanted.keys() & set(GUARDED):
        actor.require_second_factor()
    if not wanted:
        return connection
    _fill(connection, wanted)
    _refuse_unusable(connection)
    if not connection.client_id:
        _forget(connection, *_SECRET, *_CERTIFICATE)
    _save(connection, *wanted, *_SECRET, *_CERTIFICATE)
    _record(connection, "changed", actor, before=before, after=_values(connection))
    return connection


def set_client_secret(connection_id: UUID, secret: SecretText, *, actor: Actor) -> Connection:
    """Give the connection's own app registration its secret, which nobody can read again; calls use it from now on.

    A certificate that was set is forgotten. Raises Forbidden, SecondFactorNeeded, and Conflict for a connection without
    a client id.
    """
    connection = _locked_for_credential(connection_id, actor)
    before = _values(connection)
    _forget(connection, *_CERTIFICATE)
    connection.client_secret_sealed = seal(connection.tenant_id, connection.secret_place, secret.reveal())
    connection.client_secret_set_at = database_now()
    _save(connection, *_SECRET, *_CERTIFICATE)
    _record(connection, "client_secret_set", actor, before=before, after=_values(connection))
    return connection


def set_client_certificate(connection_id: UUID, pem: SecretText, *, actor: Actor) -> Connection:
    """Give the connection's own app registration a certificate with its key (PEM); of it only the thumbprint is shown.

    A secret that was set is forgotten. Raises Forbidden, SecondFactorNeeded, Conflict for a connection without a client
    id, and BadRequest for what Microsoft would not take.
    """
    connection = _locked_for_credential(connection_id, actor)
    try:
        found = read_certificate(pem.reveal())
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if found.expires_at <= database_now():
        raise BadRequest(_("The certificate has expired already; make a new one and register it at Microsoft."))
    before = _values(connection)
    _forget(connection, *_SECRET)
    whole = found.private_key + found.public_certificate
    connection.client_certificate_sealed = seal(connection.tenant_id, connection.certificate_place, whole)
    connection.client_certificate_thumbprint = found.thumbprint
    connection.client_certificate_expires_at = found.expires_at
    _save(connection, *_SECRET, *_CERTIFICATE)
    _record(connection, "client_certificate_set", actor, before=before, after=_values(connection))
    return connection


def request_check(connection_id: UUID, *, actor: Actor) -> Connection:
    """Have a worker check the connection now; what it finds becomes its health. Nobody is called here.

    Raises Forbidden, and Conflict for a connection that is switched off.
    """
    connection = _locked(connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    if not connection.is_enabled:
        raise Conflict(_("The connection is switched off; switch it on, and it is checked by itself."))
    _save(connection)
    _record(connection, "check_requested", actor, before=None, after=None)
    return connection


def _locked(connection_id: UUID) -> Connection:
    return Connection.objects.defer(None).select_for_update().get(pk=connection_id)


def _locked_for_credential(connection_id: UUID, actor: Actor) -> Connection:
    connection = _locked(connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    actor.require_second_factor()
    if not connection.client_id:
        raise Conflict(_("Set the client id of the tenant's own app registration first; the credential belongs to it."))
    return connection


def _fill(connection: Connection, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(connection, name, value)


def _forget(connection: Connection, *names: str) -> None:
    _fill(connection, {name: "" if name == "client_certificate_thumbprint" else None for name in names})


def _save(connection: Connection, *names: str) -> None:
    """Save these columns, and let the next sweep have the connection checked and read anew."""
    connection.checked_at, connection.next_sync_at = None, database_now()
    connection.save(update_fields=[*names, "checked_at", "next_sync_at"])


def _refuse_unusable(connection: Connection) -> None:
    addresses = [getattr(connection, name) for name in ADDRESSES]
    if not settings.IS_DEVELOPMENT and not all(address.startswith("https://") for address in addresses):
        raise BadRequest(_("The addresses must begin with https://."))
    if unknown := set(connection.capabilities) - set(CAPABILITIES):
        raise BadRequest(_("There is no capability “%(name)s”.") % {"name": min(unknown)})


def _values(connection: Connection) -> dict[str, Any]:
    """Return what goes on record: all that can be changed, and of the credential only what everybody may know."""
    return {name: getattr(connection, name) for name in (*CHANGEABLE, *_TOLD)}


def _record(connection: Connection, what: str, actor: Actor, *, before: Any, after: Any) -> None:
    record(
        connection.tenant_id,
        f"connection.{what}",
        object_type="connection",
        object_id=connection.pk,
        actor=actor.stamp,
        data={"target": connection.kind, "before": before, "after": after},
    )
