"""`manage.py audit new-key | public-key | export | verify`: the history's key, its copies and its proof."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from portal.audit.exporting import database_time, export_history, stream_rows
from portal.audit.keys import UnusableKey, make_key, public_hex, read_key
from portal.audit.recording import ActorStamp
from portal.audit.verify import BadRow, BadSeal, check_seals, heads_of, read_public_key, verify_history
from portal.tenancy.naming import find_tenant
from portal.tenancy.scope import acting_for

OPERATOR: Final = ActorStamp(None, "Command line")


class Command(BaseCommand):
    """Make and show the sealing key, export a tenant's history, verify all of them. Exits with 1 for a bad one."""

    help = "The audit's sealing key, exports and verification."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what there is to do."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="new-key|public-key|export|verify")
        verbs.add_parser("new-key", help="make the key in AUDIT_SEALING_KEY_FILE and print its public half")
        verbs.add_parser("public-key", help="print the public half, which the verifier asks for")
        export = verbs.add_parser("export", help="write a tenant's whole history to a file, for verify.py")
        export.add_argument("tenant", metavar="TENANT_SLUG", help="the tenant's short name")
        export.add_argument("--output", required=True, type=Path, metavar="FILE", help="a file that is not there yet")
        verify = verbs.add_parser("verify", help="check the history of every tenant against the seals")
        verify.add_argument(
            "--public-key",
            action="append",
            default=[],
            help="of each key that has sealed; by default the present one's",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Raises CommandError."""
        verbs = {
            "new-key": self._make_key,
            "public-key": self._show_key,
            "export": self._export,
            "verify": self._verify,
        }
        try:
            verbs[options["verb"]](options)
        except (UnusableKey, BadSeal) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'A file'}: {error.strerror or error}") from error

    def _make_key(self, _options: dict[str, Any]) -> None:
        self.stdout.write(public_hex(make_key(Path(settings.AUDIT_SEALING_KEY_FILE))))

    def _show_key(self, _options: dict[str, Any]) -> None:
        self.stdout.write(public_hex(read_key()))

    def _export(self, options: dict[str, Any]) -> None:
        tenant = find_tenant(options["tenant"])
        with _new_file(options["output"]) as file:
            rows = export_history(tenant, file, actor=OPERATOR)
        self.stdout.write(f"Wrote {rows} rows of {tenant.slug} to {options['output']}.")

    def _verify(self, options: dict[str, Any]) -> None:
        seals, until = Path(settings.AUDIT_SEAL_FILE), database_time()
        sealed = check_seals(seals, _public_keys(options["public_key"]))
        bad = 0
        for tenant in sorted(_tenants_with_history() | sealed):
            with acting_for(UUID(tenant)):
                try:
                    verdict = verify_history(tenant, stream_rows(UUID(tenant)), heads_of(tenant, seals, until))
                    self.stdout.write(f"OK: {tenant}: {verdict}")
                except BadRow as error:
                    bad += 1
                    self.stdout.write(f"BAD: {tenant}: {error}")
        if bad:
            raise CommandError(f"{bad} histories are not as they were written.")


def _public_keys(given: list[str]) -> list[bytes]:
    try:
        return [read_public_key(text) for text in given or [public_hex(read_key())]]
    except ValueError as error:
        raise CommandError("A public key has 64 hexadecimal digits, or is a PEM file.") from error


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file only its owner may read, which has its name when it is whole. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(17, "is there already", str(path))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
        draft.rename(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _tenants_with_history() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id::text FROM audit_heads()")
        return {tenant for (tenant,) in cursor.fetchall()}
