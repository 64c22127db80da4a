"""`manage.py demo_code`: what the authenticator app of a person of the demo shows now."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand

from portal.demo.seeding import SIGN_INS


class Command(BaseCommand):
    """Print the code, and for how long it is good. The seeds are fixed and for the demo alone."""

    help = "Print the code that somebody of the demo is asked for after the password."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the person's e-mail."""
        parser.add_argument("email", choices=sorted(each.email for each in SIGN_INS if each.seed), metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        [person] = [each for each in SIGN_INS if each.email == options["email"]]
        left = 30 - int(time.time()) % 30
        self.stdout.write(f"{person.code()}   (for {left} more seconds; each code is good once)")
