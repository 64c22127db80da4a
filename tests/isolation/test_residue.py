"""What a tenant's own people do leaves nothing of their data outside their rows: in no mail, cache, message or log."""

import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from django.conf import settings
from django.core import mail

from connectors.outbound.tasks import send
from portal.access.tasks import send_invitations
from portal.celery import app
from remediation.actions.tasks import drain, settle, sweep, sync
from remediation.retention.receipts import file_waiting
from remediation.safeguards.tasks import alarm
from remediation.safeguards.tasks import sweep as sweep_safeguards
from remediation.vulnerabilities.tasks import (
    end_exceptions,
    read_intune,
    read_recommendations,
    send_tickets,
    tell_due_dates,
)
from tests.isolation.asking import Asker, sign_in
from tests.isolation.bodies import BODIES, filled
from tests.isolation.canaries import LOOKS_LIKE
from tests.isolation.crawling import looks
from tests.isolation.routes import ROWS, VERBS
from tests.isolation.world import World

VULNERABILITIES = (read_recommendations, read_intune, send_tickets, tell_due_dates, end_exceptions)


def test_mail_cache_broker_and_log_hold_no_canary(
    standing: World, caplog: pytest.LogCaptureFixture, settings: Any, tmp_path: Path
):
    """Committed for real, with the workers' tasks run after: what they would have sent and said is looked at too."""
    world, receipts = standing, tmp_path / "receipts.jsonl"
    settings.RETENTION_RECEIPTS_FILE = str(receipts)
    caplog.set_level(logging.INFO)
    del mail.outbox[:]
    for user in [*world.theirs.people.values(), world.provider]:
        _do_everything(world, Asker(user.email, sign_in(user)))
    for _answer in looks(Asker("their tenant admin", sign_in(world.theirs.people["admin"])), world.theirs):
        pass
    held = _keys_and_values()
    _run_tasks(str(world.theirs.tenant.pk))

    assert mail.outbox
    told = [str(message.message()) for message in mail.outbox if not _may_read(message.to, world.provider.email)]
    assert world.canaries.found_in("\n".join(told)) == {}
    assert str(world.theirs.tenant.pk) in "\n".join(held), "no bell was rung, so nothing was looked at"
    assert LOOKS_LIKE.findall("\n".join([*held, *_keys_and_values()])) == []
    assert world.canaries.found_in(caplog.text) == {}
    in_receipts = world.canaries.found_in(receipts.read_text())
    assert set(in_receipts.values()) == {"retention_purge.sha256"}, "digests belong there, and nothing else"


def _run_tasks(tenant: str) -> None:
    send_invitations()
    alarm(tenant)
    sweep_safeguards()
    for task in (sweep, drain, settle, sync, send, *VULNERABILITIES):
        task(*([] if task is sweep else [tenant]))
    file_waiting(UUID(tenant))


def _do_everything(world: World, asker: Asker) -> None:
    for method, path, body in BODIES:
        if "{" not in path:
            asker.ask(method, path, filled(body, lambda _place, kind: world.theirs.ids(kind)[0]))
    for verb, body in VERBS.items():
        for row_id in world.theirs.ids(ROWS[verb.partition("/")[0]]):
            asker.ask("POST", f"/api/v1/{verb.replace('<uuid:pk>', str(row_id))}/", body)


def _may_read(recipients: list[str], provider: str) -> bool:
    """Return whether all who get a message are the tenant's own, whose addresses are canaries, or administer all."""
    return all(LOOKS_LIKE.search(address) or address == provider for address in recipients)


def _keys_and_values() -> list[str]:
    """Return all that the cache's and the broker's server holds for this process: keys, and values as text."""
    number = str(app.conf["broker_url"]).rpartition("virtual_host=")[2]
    addresses = {settings.BROKER_URL, settings.BROKER_URL.replace("db=0", f"db={number}")}
    found = []
    for address in addresses:
        with redis.Redis.from_url(address) as server:
            for key in server.scan_iter(count=1000):
                found += [repr(key), repr(_value(server, key))]
    return found


def _value(server: Any, key: bytes) -> Any:
    readers = {
        b"string": lambda: server.get(key),
        b"list": lambda: server.lrange(key, 0, -1),
        b"set": lambda: server.smembers(key),
        b"hash": lambda: server.hgetall(key),
        b"zset": lambda: server.zrange(key, 0, -1),
    }
    return readers.get(server.type(key), lambda: None)()
