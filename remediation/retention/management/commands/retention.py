"""`manage.py retention`: a dry run, a purge right now, or whether rows came back that receipts say are gone."""

import argparse
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.tenancy.models import Tenant
from portal.tenancy.naming import find_tenant
from portal.tenancy.scope import acting_for
from remediation.retention.models import Purge
from remediation.retention.preview import preview
from remediation.retention.purging import purge_tenant
from remediation.retention.receipts import BadReceipt, read_receipts
from remediation.retention.returned import note_returned
from remediation.retention.tasks import tenants_due

MOST_NAMED = 10


class Command(BaseCommand):
    """Look at what is due, purge it now, or compare the database with its receipts. For all tenants, or one.

    `--verify` ends with 1 when rows came back; which, goes on record. The receipts' file is read as it is here.
    """

    help = "What would be purged, purge it now, or find rows that came back with a restored backup."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the three things to do."""
        parser.add_argument("--tenant", metavar="SLUG", help="one tenant's short name (default: all tenants)")
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument("--dry-run", action="store_true", help="count what would leave, and what holds keep")
        wanted.add_argument("--purge", action="store_true", help="purge what is due now, whosever turn it is")
        wanted.add_argument("--verify", action="store_true", help="say which rows came back though receipts exist")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one of the three. Raises CommandError."""
        tenants = [find_tenant(options["tenant"]).pk] if options["tenant"] else tenants_due("infinity")
        try:
            if options["verify"]:
                self._verify(tenants)
            for tenant_id in tenants if not options["verify"] else ():
                if options["purge"]:
                    while not purge_tenant(tenant_id):
                        self.stdout.write(f"{tenant_id}: more is due; going on.")
                self._show(tenant_id)
        except (OSError, BadReceipt) as error:
            raise CommandError(str(error)) from error

    def _show(self, tenant_id: UUID) -> None:
        with acting_for(tenant_id):
            slug = Tenant.objects.get(pk=tenant_id).slug
            for each in preview(tenant_id):
                resting = "  rests for a day: rows came back" if each.rests else ""
                self.stdout.write(
                    f"{slug}  {each.kind.name}: {each.due} due, {each.held} held; kept {each.days} days,"
                    f" since {each.cutoff:%Y-%m-%d %H:%M} UTC{resting}"
                )

    def _verify(self, tenants: list[UUID]) -> None:
        receipts = rows = back = missing = 0
        for tenant_id in tenants:
            counts = {receipt.pk: receipt.row_count for receipt in read_receipts(tenant_id)}
            receipts, rows = receipts + len(counts), rows + sum(counts.values())
            missing += self._tell_missing(tenant_id, set(counts))
            for found in note_returned(tenant_id):
                back += len(found.row_ids)
                named = ", ".join(str(each) for each in found.row_ids[:MOST_NAMED])
                more = f" and {len(found.row_ids) - MOST_NAMED} more" if len(found.row_ids) > MOST_NAMED else ""
                self.stdout.write(
                    f"BACK: {tenant_id} {found.receipt.kind}: {len(found.row_ids)} rows restored after receipt"
                    f" {found.receipt.pk} of {found.receipt.purged_at:%Y-%m-%d %H:%M} UTC: {named}{more}"
                )
        self.stdout.write(f"{receipts} receipts of {rows} rows read; {back} rows came back.")
        if back:
            raise CommandError(f"{back} rows are there that receipts say are gone.")
        if missing:
            raise CommandError(f"{missing} receipts are missing from {settings.RETENTION_RECEIPTS_FILE}.")

    def _tell_missing(self, tenant_id: UUID, filed: set[UUID]) -> int:
        with acting_for(tenant_id):
            known = Purge.objects.filter(tenant=tenant_id, filed_at__isnull=False).order_by("id")
            missing = [receipt for receipt in known.iterator() if receipt.pk not in filed]
        for receipt in missing:
            self.stdout.write(f"MISSING: {tenant_id} receipt {receipt.pk} is in the database, not in the file.")
        return len(missing)
