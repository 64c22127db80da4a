"""`manage.py story`: plays the story and says of every line whether its promise was kept."""

import os
import signal
import sys
import time
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.demo.processes import NotStarted
from portal.demo.story.runner import LINES, Played, play

BREAKS = ("approval", "quiet", "wall")


class Command(BaseCommand):
    """Play every line over HTTP against processes of its own; STORY_BREAK switches one guard off."""

    help = "Play the story: alerts come in, people decide, things go wrong, and every promise is checked."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --only."""
        parser.add_argument("--only", nargs="+", choices=sorted(LINES), default=list(LINES), metavar="LINE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one row for each line and the sum; exit with 1 unless all are as promised."""
        broken = os.environ.get("STORY_BREAK", "")
        if broken and broken not in BREAKS:
            raise CommandError(f"STORY_BREAK is one of {', '.join(BREAKS)}, not {broken!r}.")
        if not settings.IS_EMBEDDED:
            raise CommandError("The story plays on this clone's embedded servers: unset DATABASE_URL and BROKER_URL.")
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, lambda number, _frame: sys.exit(128 + number))
        started = time.monotonic()
        if broken:
            self.stdout.write(f"The guard “{broken}” is switched off: lines must break.")
        kept = 0
        try:
            with closing(play(options["only"], broken=broken)) as lines:
                for number, line in enumerate(lines, start=1):
                    kept += line.is_as_promised
                    self._print_line(number, line)
        except NotStarted as error:
            raise CommandError(str(error)) from error
        wanted = len(set(options["only"]))
        self.stdout.write(f"All of it took {time.monotonic() - started:.1f} s.")
        self.stdout.write(f"story: {kept} of {wanted} lines as promised")
        if kept < wanted:
            sys.exit(1)

    def _print_line(self, number: int, line: Played) -> None:
        word = "ok    " if line.is_as_promised else "BROKEN"
        self.stdout.write(f"{number:2d}  {word}  {line.words}  ({line.seconds:.1f} s)")
        self.stdout.flush()
