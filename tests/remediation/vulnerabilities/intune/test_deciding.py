"""Accepting, rejecting and completing from here: by people who may, where the tenant allows it, as far as it goes."""

from dataclasses import replace
from typing import Any

import pytest

from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.intune.deciding import LONGEST_NOTE, decide_task
from remediation.vulnerabilities.models import IntuneConnection, SecurityTask
from remediation.vulnerabilities.states import TaskStatus
from tests.remediation.vulnerabilities.intune.conftest import change, events_of, reread


@pytest.fixture
def task(acme: Tenant) -> SecurityTask:
    """A pending task of a tenant that lets people move it."""
    with acting_for(acme.id):
        IntuneConnection.objects.create(tenant=acme, is_on=True, may_update_tasks=True)
        return SecurityTask.objects.create(
            tenant=acme, remote_id="t-1", kind="app", status=TaskStatus.PENDING, display_name="Update 7-Zip"
        )


def decide(task: SecurityTask, wanted: TaskStatus, actor: Any, words: str = "Because.") -> SecurityTask:
    with acting_for(task.tenant_id):
        return decide_task(task.pk, wanted, words=words, actor=actor)


@pytest.mark.django_db(transaction=True)
def test_a_wish_is_kept_and_goes_on_record(task: SecurityTask, ada: User, as_actor: Any) -> None:
    decide(task, TaskStatus.REJECTED, as_actor(ada), " Not \x00here. ")

    found = reread(task)
    assert (found.status, found.wanted_status, found.wanted_note, found.wanted_by_id) == (
        TaskStatus.PENDING, TaskStatus.REJECTED, "Not \ufffdhere.", ada.pk,
    )  # fmt: skip
    [(verb, data)] = events_of(task)
    assert (verb, data["before"], data["after"]["status"]) == (
        "security_task.move_requested", {"status": "pending"}, "rejected",
    )  # fmt: skip
    with pytest.raises(Conflict, match="already"):
        decide(task, TaskStatus.ACTIVE, as_actor(ada))


@pytest.mark.django_db(transaction=True)
def test_neither_keys_nor_readers_decide(task: SecurityTask, ada: User, ren: User, as_actor: Any) -> None:
    for actor in (replace(as_actor(ada), is_key=True), as_actor(ren)):
        with pytest.raises(Forbidden):
            decide(task, TaskStatus.ACTIVE, actor)

    assert (reread(task).wanted_status, events_of(task)) == ("", [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("switch", ["is_on", "may_update_tasks"])
def test_where_the_tenant_does_not_allow_it_nothing_is_wanted(
    task: SecurityTask, ada: User, as_actor: Any, switch: str
) -> None:
    with acting_for(task.tenant_id):
        IntuneConnection.objects.update(**{switch: False})

    with pytest.raises(Conflict):
        decide(task, TaskStatus.ACTIVE, as_actor(ada))

    assert reread(task).wanted_status == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("status", "wanted", "is_legal"),
    [
        (TaskStatus.PENDING, TaskStatus.ACTIVE, True),
        (TaskStatus.PENDING, TaskStatus.COMPLETED, False),
        (TaskStatus.ACTIVE, TaskStatus.COMPLETED, True),
        (TaskStatus.ACTIVE, TaskStatus.PENDING, False),
        (TaskStatus.REJECTED, TaskStatus.ACTIVE, False),
        (TaskStatus.COMPLETED, TaskStatus.REJECTED, False),
        (TaskStatus.UNKNOWN, TaskStatus.ACTIVE, False),
        (TaskStatus.DELETED, TaskStatus.ACTIVE, False),
        (TaskStatus.WAITING, TaskStatus.REJECTED, False),
    ],
)
def test_only_moves_that_intunes_own_pages_offer(
    task: SecurityTask, ada: User, as_actor: Any, status: TaskStatus, wanted: TaskStatus, is_legal: bool
) -> None:
    change(task, status=status)

    if is_legal:
        decide(task, wanted, as_actor(ada))
    else:
        with pytest.raises(Conflict, match="What it can become from here: (“|nothing)"):
            decide(task, wanted, as_actor(ada))

    assert reread(task).wanted_status == (wanted if is_legal else "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("wanted", "words"), [(TaskStatus.REJECTED, "  "), (TaskStatus.ACTIVE, "x" * 1001)])
def test_a_rejection_says_why_and_a_note_is_not_endless(
    task: SecurityTask, ada: User, as_actor: Any, wanted: TaskStatus, words: str
) -> None:
    assert LONGEST_NOTE == 1000
    with pytest.raises(BadRequest):
        decide(task, wanted, as_actor(ada), words)
