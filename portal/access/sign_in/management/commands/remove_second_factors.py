"""`manage.py remove_second_factors`: for somebody who lost their app, keys and recovery codes."""

import argparse
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError

from portal.access.models import User
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for


class Command(BaseCommand):
    """Take away all second factors of one person, on record. They set up a new one when they sign in next."""

    help = "Take away somebody's second factors, once you are sure who asks for it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the person's e-mail."""
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take them away. Raises CommandError for an unknown person."""
        user = User.objects.filter(email__iexact=options["email"], is_service_account=False).first()
        if user is None:
            raise CommandError(f"There is no person with the e-mail {options['email']}.")
        with acting_for(PROVIDER_TENANT_ID):
            rows = Authenticator.objects.filter(user=user)
            kinds = sorted(rows.values_list("type", flat=True))
            rows.delete()
            record(
                PROVIDER_TENANT_ID,
                "second_factor.removed",
                object_type="user",
                object_id=user.pk,
                actor=ActorStamp(None, "Command line"),
                data={"kinds": kinds},
            )
        self.stdout.write(f"Removed {len(kinds)} second factors of {user.email}.")
