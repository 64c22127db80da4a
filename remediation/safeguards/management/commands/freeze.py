"""`manage.py freeze`: stops sending from the shell, lifts a freeze at once, or says what is frozen."""

import argparse
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from portal.access.exceptions import Refusal
from portal.audit.recording import ActorStamp
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.naming import find_tenant
from portal.tenancy.scope import acting_for
from remediation.catalogue import CATALOGUE, Route
from remediation.safeguards import freezes
from remediation.safeguards.models import Freeze

OPERATOR = ActorStamp(None, "Command line")


class Command(BaseCommand):
    """Freeze sending for all tenants, or with --tenant for one; all of it, or one action type, or one connector.

    Who may open a shell here may lift a freeze alone; it goes on record like everything else. Without --reason, --lift
    or --list nothing happens.
    """

    help = "Stop sending actions at once, lift a freeze, or list the freezes in force. For all tenants, or one."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what is frozen or lifted, and for whom."""
        parser.add_argument("--tenant", metavar="SLUG", help="one tenant's short name (default: all tenants)")
        parser.add_argument("--action", choices=sorted(CATALOGUE), default="", help="freeze this type of action alone")
        parser.add_argument("--connector", choices=[*Route], default="", help="freeze what goes this way alone")
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument("--reason", help="stop sending; everybody it concerns reads why")
        wanted.add_argument("--lift", metavar="ID", type=UUID, help="lift this freeze now, of the named tenant")
        wanted.add_argument("--list", action="store_true", help="say what is frozen for all, and the tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one of the three."""
        tenant_id = find_tenant(options["tenant"]).pk if options["tenant"] else PROVIDER_TENANT_ID
        try:
            if options["list"]:
                self._list(tenant_id)
            elif options["lift"]:
                with acting_for(tenant_id):
                    lifted = freezes.lift(tenant_id, options["lift"], by=OPERATOR)
                    self._say("Lifted", [lifted])
            else:
                self._freeze(tenant_id, options)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal

    def _freeze(self, tenant_id: UUID, options: dict[str, Any]) -> None:
        with acting_for(tenant_id):
            made = freezes.stop_sending(
                tenant_id,
                by=OPERATOR,
                reason=options["reason"],
                action_type=options["action"],
                connector=options["connector"],
            )
            self._say("Frozen", [made])

    def _list(self, tenant_id: UUID) -> None:
        with acting_for(tenant_id):
            found = freezes.in_force([tenant_id])
            self._say("In force", found)
        if not found:
            self.stdout.write("Nothing is frozen.")

    def _say(self, what: str, rows: Iterable[Freeze]) -> None:
        for row in rows:
            self.stdout.write(
                f"{what}: {row.pk}  {freezes.describe_whole(row)}  since {row.frozen_at:%Y-%m-%d %H:%M} UTC"
                f" by {row.frozen_by}: {row.reason}"
            )
