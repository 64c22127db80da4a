"""`manage.py connection check SLUG`: tells what works at Microsoft for one tenant, what is missing and what to do."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connectors.checks import check_connection
from connectors.models import Connection
from connectors.protocol import Finding
from portal.tenancy.models import Tenant
from portal.tenancy.naming import find_tenant
from portal.tenancy.scope import acting_for


class Command(BaseCommand):
    """Check a tenant's connections: sign in, compare permissions, read one thing of each API. Acts on nothing.

    What was found is the connection's health from then on. A connection that is switched off is checked too. Ends with
    1 when something does not work.
    """

    help = "Say what works at Microsoft for a tenant, what is missing, and what to do about it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what is done, and for which tenant."""
        parser.add_argument("verb", choices=["check"], help="try what the tenant's connections are for")
        parser.add_argument("tenant", metavar="SLUG", help="the tenant's short name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check each of the tenant's connections."""
        tenant = find_tenant(options["tenant"])
        with acting_for(tenant.pk):
            rows = list(Connection.objects.order_by("kind"))
        if not rows:
            raise CommandError(f"The tenant {tenant.slug} has no connection; make one in the admin.")
        works = [self._check(tenant, row) for row in rows]
        if not all(works):
            sys.exit(1)

    def _check(self, tenant: Tenant, row: Connection) -> bool:
        found = check_connection(tenant.pk, row.pk)
        self.stdout.write(f"{tenant.name}, {row.kind}{'' if row.is_enabled else ' (switched off)'}:")
        for finding in found:
            self.stdout.write(f"  {'works  ' if finding.works else 'MISSING'}  {_line(finding)}")
        with acting_for(tenant.pk):
            row.refresh_from_db(fields=["health", "health_detail"])
        self.stdout.write(f"  Health: {row.get_health_display()}{_warning(row, found)}")
        return all(finding.works for finding in found)


def _line(finding: Finding) -> str:
    return finding.what if finding.works else f"{finding.what}: {finding.words}"


def _warning(row: Connection, found: Sequence[Finding]) -> str:
    """Return what the health says beyond what stands above it, as that a certificate expires soon."""
    return f". {row.health_detail}" if row.health_detail and all(finding.works for finding in found) else ""
