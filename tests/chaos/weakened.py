"""The portal's Celery app for fault runs: one guard taken out, or a process that stops itself at a chosen point.

`celery -A tests.chaos.weakened`. CHAOS_WITHOUT names the guard, "" for none; CHAOS_STOP_AT the point, "" for none: the
first process that gets there sends itself SIGSTOP, once, after writing its id into CHAOS_FOLDER. Production code knows
nothing of this; what it replaces is found by name, and a name that is gone ends the start with a plain word.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import django
from django.conf import settings
from django.core.checks.registry import registry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from connectors.microsoft.connector import Microsoft  # noqa: E402 Django has to be set up first
from connectors.protocol import ActionRequest, LookUp  # noqa: E402
from remediation.actions import approvals, draining, execution, transitions  # noqa: E402
from remediation.actions.checks import check_times  # noqa: E402
from remediation.actions.models import RemediationAction  # noqa: E402
from remediation.actions.transitions import Claim  # noqa: E402
from remediation.safeguards import caps  # noqa: E402
from tests.chaos.observed import app  # noqa: E402

__all__ = ["WITHOUT", "app"]

STOPPED: Final = "stopped"


def replace(place: Any, name: str, new: Any) -> None:
    """Put something else in a name's place. Raises SystemExit where there is no such name any more."""
    if not hasattr(place, name):
        raise SystemExit(f"{place.__name__} has no {name} any more: tests/chaos/weakened.py has to follow")
    setattr(place, name, new)


def _cut_from_claim(old: str, new: str) -> None:
    if old not in transitions._CLAIM:
        raise SystemExit("The claim no longer says it in these words: tests/chaos/weakened.py has to follow")
    replace(transitions, "_CLAIM", transitions._CLAIM.replace(old, new))


def _without_fence() -> None:
    def lock_whatever(claims: Sequence[Claim]) -> dict[UUID, RemediationAction]:
        wanted = [claimed.action_id for claimed in claims]
        rows = RemediationAction.objects.select_for_update().filter(pk__in=wanted).order_by("pk")
        return {row.pk: row for row in rows}

    replace(transitions, "lock_still_claimed", lock_whatever)
    replace(execution, "lock_still_claimed", lock_whatever)


def _without_quiet() -> None:
    registry.registered_checks.discard(check_times)  # it would not let a worker start with such a quiet period
    settings.ACTION_QUIET_SECONDS = 0.05


def _without_guard() -> None:
    replace(execution.FreezeWatch, "guard", lambda watch, claimed: None)


def _without_reconciling() -> None:
    look_up = Microsoft.look_up

    def know_nothing(microsoft: Microsoft, requests: Sequence[ActionRequest]) -> LookUp:
        return look_up(microsoft, [request for request in requests if request.remote_id])

    replace(Microsoft, "look_up", know_nothing)


def _without_approval() -> None:
    _cut_from_claim(f"AND {approvals.APPROVED}", "")


def _without_budget() -> None:
    _cut_from_claim(f"{caps.CAP} AS cap", "NULL::int AS cap")


def _without_clock() -> None:
    """The age of a claim counts from when its sending begins."""
    if "begun_at" not in Claim.__dataclass_fields__:
        raise SystemExit("A Claim has no begun_at: tests/chaos/weakened.py has to follow")
    guard = execution.FreezeWatch.guard

    def count_from_now(watch: execution.FreezeWatch, claimed: Claim) -> None:
        now: dict[str, Any] = {"begun_at": time.monotonic()}
        guard(watch, dataclasses.replace(claimed, **now))

    replace(execution.FreezeWatch, "guard", count_from_now)


WITHOUT: Final[dict[str, Callable[[], None]]] = {
    "fence": _without_fence,
    "quiet": _without_quiet,
    "guard": _without_guard,
    "clock": _without_clock,
    "reconcile": _without_reconciling,
    "approval": _without_approval,
    "budget": _without_budget,
}


def _stop_once() -> None:
    """Stop this process, unless one has been stopped before; somebody else lets it go on."""
    with suppress(FileExistsError), (Path(os.environ["CHAOS_FOLDER"]) / STOPPED).open("x") as marker:
        marker.write(str(os.getpid()))
        marker.flush()
        os.kill(os.getpid(), signal.SIGSTOP)


def _stop_before_guard() -> None:
    guard = execution.FreezeWatch.guard

    def stop_first(watch: execution.FreezeWatch, claimed: Claim) -> None:
        _stop_once()
        guard(watch, claimed)

    replace(execution.FreezeWatch, "guard", stop_first)


def _stop_after_claim() -> None:
    claim_batch = transitions.claim_batch

    def stop_afterwards(*given: Any, **named: Any) -> list[Claim]:
        claims = claim_batch(*given, **named)
        if claims:
            _stop_once()
        return claims

    replace(draining, "claim_batch", stop_afterwards)


STOP_AT: Final[dict[str, Callable[[], None]]] = {"guard": _stop_before_guard, "claim": _stop_after_claim}

if os.environ.get("CHAOS_WITHOUT"):
    WITHOUT[os.environ["CHAOS_WITHOUT"]]()
if os.environ.get("CHAOS_STOP_AT"):
    STOP_AT[os.environ["CHAOS_STOP_AT"]]()
