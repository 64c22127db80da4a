"""Actions that are more than one call: each step may be taken twice, so a part that was taken is looked up, not undone.

Nothing done is a plain no. Once one step was taken, trouble with another leaves the whole in doubt; a look-up finds
what is missing, and the action is sent again for the rest.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from connectors.protocol import NotSent, OutcomeUnknown, Refused

SECONDS_FOR_ALL: Final = 45.0
"""How long one send goes on beginning steps, so that it ends well within the claim on the action."""

Step = Callable[[Callable[[], None]], object]
"""One call that acts; it is given what to ask right before the socket."""


def take(steps: Sequence[Step], *, before_sending: Callable[[], None]) -> list[str]:
    """Take each step in turn and return Microsoft's words about those it refused, [] when all were taken.

    `before_sending` is asked before the first step only: what was begun is finished. Raises what the first step raises
    while nothing was taken, the first refusal when all were refused, and OutcomeUnknown when a part was taken.
    """
    ends = time.monotonic() + SECONDS_FOR_ALL
    refusals: list[Refused] = []
    taken, guard = 0, before_sending
    for step in steps:
        if time.monotonic() > ends:
            raise OutcomeUnknown(
                f"{taken} of {len(steps)} steps were taken, then the time was up; the rest comes later."
            )
        try:
            step(guard)
        except NotSent as error:
            if not taken:
                raise
            raise OutcomeUnknown(f"{taken} of {len(steps)} steps were taken; then: {error}") from error
        except Refused as refusal:
            refusals.append(refusal)
        else:
            taken += 1
        guard = _nothing
    if refusals and not taken:
        raise refusals[0]
    return [str(refusal) for refusal in refusals]


def _nothing() -> None:
    """Ask nothing more: the action is under way."""
