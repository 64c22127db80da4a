"""`manage.py add_provider_admin EMAIL`: the first person, who can then add all others in the admin."""

import argparse
import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for


class Command(BaseCommand):
    """Make a provider admin over all tenants. The password is asked for, or read from standard input."""

    help = "Add a provider admin over all tenants; asks for a password of at least 15 characters."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the person."""
        parser.add_argument("email")
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the person and the membership, on record, or nothing."""
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            validate_password(password, User(email=options["email"], name=options["name"]))
            with acting_for(PROVIDER_TENANT_ID):
                user = User.objects.create_user(options["email"], password, name=options["name"])
                given = ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
                record(
                    PROVIDER_TENANT_ID,
                    "provider_membership.given",
                    object_type="membership",
                    object_id=given.pk,
                    actor=ActorStamp(None, "Command line"),
                    data={"target": user.email, "before": None, "after": {"role": given.role, "reach": given.reach}},
                )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except IntegrityError as error:
            raise CommandError("There is somebody with this e-mail already.") from error
        self.stdout.write(f"Added {user.email} as provider admin over all tenants.")
