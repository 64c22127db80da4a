"""What people do to connections: create, change, and give them a credential of their own. All of it goes on record."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from connectors.models import Connection
from connectors.registry import CONNECTORS
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.secrets.envelope import seal
from portal.secrets.secret_text import SecretText
from portal.tenancy.scope import database_now

ADDRESSES: Final = ("login_url", "defender_url", "graph_url")
"""Where credentials and tokens are sent; the provider's to change (docs/decisions/0004)."""

CHANGEABLE: Final = ("is_enabled", "client_id", *ADDRESSES)
GUARDED: Final = ("client_id", *ADDRESSES)
"""What decides who signs in and where: only with a second factor just shown, so never by API key."""


def create_connection(connection: Connection, *, actor: Actor) -> None:
    """Save a new connection, which begins to sync at once where it is enabled. For provider admins.

    Raises Forbidden, BadRequest for a kind or an address that cannot be used, and Conflict where the tenant has one.
    """
    actor.require(Capability.MANAGE_TENANTS, connection.tenant_id)
    actor.require_second_factor()
    if connection.kind not in CONNECTORS:
        raise BadRequest(_("There is no such kind of connection."))
    _refuse_plain_addresses(connection)
    try:
        with transaction.atomic():
            connection.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("This tenant has a connection of this kind already; change that one.")) from error
    _record(connection, "created", actor, before=None, after=_values(connection))


def change_connection(connection_id: UUID, changes: Mapping[str, Any], *, actor: Actor) -> Connection:
    """Change some of CHANGEABLE and return the connection. Without a client id its secret is forgotten.

    Raises Forbidden, SecondFactorNeeded, and BadRequest for an address that cannot be used.
    """
    connection = _locked(connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    before = _values(connection)
    wanted = {name: value for name, value in changes.items() if getattr(connection, name) != value}
    if wanted.keys() & set(ADDRESSES):
        actor.require(Capability.MANAGE_TENANTS, connection.tenant_id)
    if wanted.keys() & set(GUARDED):
        actor.require_second_factor()
    if not wanted:
        return connection
    for name, value in wanted.items():
        setattr(connection, name, value)
    _refuse_plain_addresses(connection)
    if not connection.client_id:
        connection.client_secret_sealed = connection.client_secret_set_at = None
    connection.save(update_fields=[*wanted, "client_secret_sealed", "client_secret_set_at"])
    _record(connection, "changed", actor, before=before, after=_values(connection))
    return connection


def set_client_secret(connection_id: UUID, secret: SecretText, *, actor: Actor) -> Connection:
    """Give the connection's own app registration its secret, which nobody can read again; calls use it from now on.

    Raises Forbidden, SecondFactorNeeded, and Conflict for a connection without a client id.
    """
    connection = _locked(connection_id)
    actor.require(Capability.MANAGE_CONNECTIONS, connection.tenant_id)
    actor.require_second_factor()
    if not connection.client_id:
        raise Conflict(_("Set the client id of the tenant's own app registration first; the secret belongs to it."))
    before = _values(connection)
    connection.client_secret_sealed = seal(connection.tenant_id, connection.secret_place, secret.reveal())
    connection.client_secret_set_at = database_now()
    connection.save(update_fields=["client_secret_sealed", "client_secret_set_at"])
    _record(connection, "client_secret_set", actor, before=before, after=_values(connection))
    return connection


def _locked(connection_id: UUID) -> Connection:
    return Connection.objects.defer(None).select_for_update().get(pk=connection_id)


def _refuse_plain_addresses(connection: Connection) -> None:
    addresses = [getattr(connection, name) for name in ADDRESSES]
    if not settings.IS_DEVELOPMENT and not all(address.startswith("https://") for address in addresses):
        raise BadRequest(_("The addresses must begin with https://."))


def _values(connection: Connection) -> dict[str, Any]:
    """Return what goes on record: everything that can be changed, and of the secret only since when there is one."""
    return {name: getattr(connection, name) for name in (*CHANGEABLE, "client_secret_set_at")}


def _record(connection: Connection, what: str, actor: Actor, *, before: Any, after: Any) -> None:
    record(
        connection.tenant_id,
        f"connection.{what}",
        object_type="connection",
        object_id=connection.pk,
        actor=actor.stamp,
        data={"target": connection.kind, "before": before, "after": after},
    )
