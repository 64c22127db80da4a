"""What a worker takes from the broker: JSON alone, and ids alone."""

import inspect
import os
import pickle
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from kombu import Connection
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads

from portal.celery import app
from portal.embedded.servers import DATABASE, join_broker, join_postgres

ROOT = Path(__file__).resolve().parents[2]
BROKER = 13


class Planted:
    """Writes a file when a process is careless enough to unpickle it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_tasks_take_ids_and_nothing_else() -> None:
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert len(ours) >= 4
    for name, task in ours.items():
        parameters = inspect.signature(task.run).parameters
        assert set(parameters) <= {"tenant", "action", "person"}, name
        assert all(each.annotation is str for each in parameters.values()), name


def test_only_json_is_accepted() -> None:
    assert list(app.conf.accept_content) == ["json"]
    assert (app.conf.task_serializer, app.conf.result_serializer, app.conf.task_ignore_result) == ("json", "json", True)
    with pytest.raises(ContentDisallowed):
        loads(pickle.dumps({}), "application/x-python-serialize", "binary", accept=app.conf.accept_content)


@pytest.mark.process
def test_a_real_worker_throws_a_pickle_away_unread_and_works_on(tmp_path: Path) -> None:
    broker = join_broker().replace("db=0", f"db={BROKER}")
    store = redis.Redis.from_url(broker)
    store.flushdb()
    url = broker.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    trap = tmp_path / "unpickled"
    headers = {"task": "remediation.actions.tasks.drain", "id": str(uuid4()), "lang": "py", "argsrepr": "()"}
    with Connection(url) as connection, connection.SimpleQueue("celery") as queue:
        queue.put(
            b64encode(pickle.dumps(((Planted(trap),), {}, {}))).decode(),
            headers=headers,
            content_type="application/x-python-serialize",
            content_encoding="utf-8",
        )
        queue.put(
            pickle.dumps(((Planted(trap),), {}, {})),
            headers=headers,
            serializer=None,
            content_type="application/x-python-serialize",
            content_encoding="binary",
        )
    assert store.llen("celery") == 2
    environment = {
        **os.environ,
        "DATABASE_URL": join_postgres().url("portal_app", DATABASE),
        "BROKER_URL": broker,
        "QUELL_DEVELOPMENT": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "portal.celery", "-b", url, "worker", "--pool", "solo"]
    log = tmp_path / "log"
    with log.open("w") as out:
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 40
        while log.read_text().count("ContentDisallowed") < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert log.read_text().count("Refusing to deserialize") >= 2 or log.read_text().count("ContentDisallowed") >= 2
        assert worker.poll() is None
        assert not trap.exists()
    finally:
        worker.terminate()
        worker.wait(20)
        store.flushdb()
