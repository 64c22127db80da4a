"""The portal's Celery app as it is, except that a worker writes its process id into CHAOS_FOLDER when it is ready."""

import os
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from portal.celery import app

__all__ = ["app"]


@worker_ready.connect
def tell(sender: Any, **_: Any) -> None:
    """Say that this worker takes tasks from now on."""
    name = str(sender.hostname).partition("@")[0]
    (Path(os.environ["CHAOS_FOLDER"]) / f"{name}.ready").write_text(str(os.getpid()))
