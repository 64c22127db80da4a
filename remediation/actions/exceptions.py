"""Refusals of the Action center. Their messages are for people."""

from portal.access.exceptions import Conflict, Refusal


class IllegalMove(Conflict):
    """The action is not in a state from which it can go there."""


class LostClaim(RuntimeError):
    """Another worker holds the action now: whatever this one still wanted to write, it must not."""


class TooMany(Refusal):
    """More than the portal takes in one request."""

    status = 413
