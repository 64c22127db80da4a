"""The worker that benches start: the portal's own, with one task more that does nothing."""

from portal.celery import app


@app.task(name="benchmarks.nothing")
def nothing() -> None:
    """Do nothing: what is left is what a message costs."""


__all__ = ["app", "nothing"]
