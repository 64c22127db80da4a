"""The worker that benches start: the portal's own, with one task more that does nothing."""

import os

from portal.celery import app

if "BENCH_WORKERS_LIVE_ON" in os.environ:
    app.conf.worker_max_tasks_per_child = None  # a new process every so often would hide a leak


@app.task(name="benchmarks.nothing")
def nothing() -> None:
    """Do nothing: what is left is what a message costs."""


__all__ = ["app", "nothing"]
