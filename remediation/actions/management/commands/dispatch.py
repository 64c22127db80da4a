"""`manage.py dispatch`: send and look up while the broker cannot be reached."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from portal.starting import refuse_unsafe_start
from remediation.actions.dispatching import stand_in


class Command(BaseCommand):
    """Do the workers' sending and looking up as long as the broker is away. Runs until SIGTERM or SIGINT."""

    help = "Send what is due while the broker cannot be reached; does nothing while it can. Run one beside beat."

    def handle(self, *args: Any, **options: Any) -> None:
        """Stand in until told to stop; what is under way is ended first."""
        refuse_unsafe_start()
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stand_in(stop)
