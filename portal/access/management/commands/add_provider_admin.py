"""`manage.py add_provider_admin EMAIL`: the first person, who can then add all others in the admin."""

import argparse
import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role


class Command(BaseCommand):
    """Make a provider admin over all tenants. The password is asked for, or read from standard input."""

    help = "Add a provider admin over all tenants; asks for a password of at least 15 characters."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the person."""
        parser.add_argument("email")
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the person and the membership, or nothing."""
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            validate_password(password, User(email=options["email"], name=options["name"]))
            with transaction.atomic():
                user = User.objects.create_user(options["email"], password, name=options["name"])
                ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except IntegrityError as error:
            raise CommandError("There is somebody with this e-mail already.") from error
        self.stdout.write(f"Added {user.email} as provider admin over all tenants.")
