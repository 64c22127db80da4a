"""Refusals: what a person or an integration is told when something may not or cannot be done.

The message says what happened, to what, and what to do next; it is safe to show. One handler in `portal.api` turns
these into answers, the admin shows them as messages.
"""


class Refusal(Exception):
    """A request turned down. `status` is the HTTP status an API answer gets, `type` its kind (RFC 9457, 3.1.1)."""

    status = 409
    type = "about:blank"


class BadRequest(Refusal):
    """What was asked for makes no sense as asked; asking differently may help."""

    status = 400


class Forbidden(Refusal):
    """The person may see this but not do that."""

    status = 403


class Conflict(Refusal):
    """It cannot be done in the state things are in."""

    status = 409


class SecondFactorNeeded(Exception):
    """The person may do that, once they have shown again that it is them.

    It is no refusal: a page does not tell it, the gate in front of all pages asks for the second factor.
    """

    status = Forbidden.status
    type = "/problems/second-factor-needed"
