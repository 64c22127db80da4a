"""The Celery app: doorbells between the portal and its workers."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("quell")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # the web's threads and management commands ring with this app, not with Celery's unconfigured one


@worker_init.connect
def refuse_unsafe_start_of_worker(**_: Any) -> None:
    """End a worker whose settings or database role are not safe."""
    from portal.starting import refuse_unsafe_start  # Django is set up only when the worker starts

    refuse_unsafe_start()
