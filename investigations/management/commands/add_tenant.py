"""`manage.py add_tenant SLUG NAME ENTRA_TENANT_ID`: takes on a customer."""

import argparse
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from uuid_utils.compat import uuid7

from investigations.new_tenants import prepare_tenant
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for


class Command(BaseCommand):
    """Make a tenant with its default device group and its connection to Microsoft, which begins to sync at once."""

    help = "Take on a customer: a tenant, its default device group and its connection to Microsoft."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare who the customer is."""
        parser.add_argument("slug", help="short name, as in nordfjell-hospital")
        parser.add_argument("name", help="name for people")
        parser.add_argument("entra_tenant_id", type=UUID, help="the customer's Microsoft Entra tenant id")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create all of it, or nothing."""
        tenant = Tenant(
            id=uuid7(), slug=options["slug"], name=options["name"], entra_tenant_id=options["entra_tenant_id"]
        )
        try:
            with acting_for(tenant.id):
                tenant.clean_fields()
                tenant.save(force_insert=True)
                prepare_tenant(tenant.id)
                record(
                    tenant.id,
                    "tenant.created",
                    object_type="tenant",
                    object_id=tenant.id,
                    actor=ActorStamp(None, "Command line"),
                    data={"before": None, "after": {"slug": tenant.slug, "name": tenant.name}},
                )
        except IntegrityError as error:
            raise CommandError("There is a tenant with this short name or Entra tenant id already.") from error
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(f"Made tenant {tenant.slug} ({tenant.id}).")
