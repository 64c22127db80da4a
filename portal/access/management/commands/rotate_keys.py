"""`manage.py rotate_keys`: puts everything sealed under the newest keys, while the portal runs."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit.recording import ActorStamp, record
from portal.secrets import master
from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.rotation import renew, rewrap_all, tenants_with_secrets
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

COMMAND_LINE = ActorStamp(None, "Command line")


class Command(BaseCommand):
    """Wrap all data keys by the first master key, or give every tenant a new data key, or both. Safe to run again."""

    help = "Put all secrets under the newest keys, without a pause; says which old master keys may be removed."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare which keys."""
        parser.add_argument(
            "--master", action="store_true", help="wrap everything by the first master key (the default)"
        )
        parser.add_argument(
            "--data-keys", action="store_true", help="make a new data key per tenant and seal its secrets again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, count and record. What stops half-way is finished by running it again."""
        try:
            if options["data_keys"]:
                self._renew_data_keys()
            if options["master"] or not options["data_keys"]:
                self._rewrap()
        except SecretUnreadable as error:
            raise CommandError(f"{error} Keep all master keys, mend this, then run rotate_keys again.") from error

    def _renew_data_keys(self) -> None:
        tenant_ids = tenants_with_secrets()
        secrets = sum(renew(tenant_id) for tenant_id in tenant_ids)
        self._record("data_keys.renewed", {"tenants": len(tenant_ids), "secrets": secrets})
        self.stdout.write(f"New data keys: {len(tenant_ids)} tenants. Sealed again under them: {secrets} secrets.")

    def _rewrap(self) -> None:
        first, *others = master.key_ids()
        changed = rewrap_all()
        self._record("master_key.rotated", {"master_key": first, "rewrapped": changed})
        self.stdout.write(f"Sealed again under the master key {first}: {changed}.")
        if late := rewrap_all():
            raise CommandError(
                f"{late} more were sealed under another master key meanwhile: a process still seals with it. Keep all "
                "master keys, see that every process has the new list, then run rotate_keys again."
            )
        for key_id in others:
            self.stdout.write(f"The master key {key_id} is used by nothing any more; its line may be removed.")

    def _record(self, verb: str, data: dict[str, Any]) -> None:
        with acting_for(PROVIDER_TENANT_ID):
            record(
                PROVIDER_TENANT_ID,
                verb,
                object_type="key",
                object_id=PROVIDER_TENANT_ID,
                actor=COMMAND_LINE,
                data=data,
            )
