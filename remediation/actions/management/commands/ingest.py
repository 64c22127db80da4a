"""`manage.py ingest --tenant SLUG FILE|-`: takes in Microsoft Graph alerts from a file or standard input."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from investigations.reading import TooLarge, read_records
from portal.audit.recording import ActorStamp
from portal.tenancy.naming import find_tenant
from remediation.actions.intake import Report, ingest

OPERATOR = ActorStamp(None, "Command line")


class Command(BaseCommand):
    """Take in alerts: one object, a list, {"value": […]} or one object a line (NDJSON, of any size).

    Prints one JSON object of counts and refusals. Exits with 1 when nothing could be used.
    """

    help = "Take in Microsoft Graph alerts (alerts_v2) for one tenant; prints what came of it as one JSON object."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the tenant and the file."""
        parser.add_argument("--tenant", required=True, metavar="SLUG", help="the tenant's short name")
        parser.add_argument("file", help="a JSON or NDJSON file, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, store, decide, print."""
        tenant = find_tenant(options["tenant"])
        try:
            if options["file"] == "-":
                report = ingest(tenant, read_records(sys.stdin.buffer), actor=OPERATOR)
            else:
                with Path(options["file"]).open("rb") as stream:
                    report = ingest(tenant, read_records(stream), actor=OPERATOR)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except TooLarge as error:
            raise CommandError(f"{error} Send one alert a line (NDJSON) instead; that may be of any size.") from error
        self._answer(report)

    def _answer(self, report: Report) -> None:
        self.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False))
        if not report.usable:
            raise CommandError("Nothing of it could be used; see refused.", returncode=1)
