"""Clients that neither send nor take: how long a web thread waits for one before the connection is cut."""

from collections.abc import Callable, Iterable
from typing import Any, Final

CLIENT_SECONDS: Final = 60.0
"""For each piece of a request that is read and of an answer that is written."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def cut_off_slow_clients(application: Application) -> Application:
    """Return the application, for whose clients a web thread waits CLIENT_SECONDS at a time, and no longer.

    Threaded gunicorn waits without end, and a thread that sends an export holds a snapshot of the database too. The
    socket it hands over stays as patient until the connection's next request, when gunicorn sets it up anew; a server
    that hands over none has to have a limit of its own.
    """

    def bounded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (client := environ.get("gunicorn.socket")) is not None:
            client.settimeout(CLIENT_SECONDS)
        return application(environ, start_response)

    return bounded
