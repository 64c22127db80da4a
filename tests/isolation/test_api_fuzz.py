"""Requests made up from the API's own schema, as our people, with the other tenant's ids strewn in: nothing of theirs
comes out, and nothing breaks.
"""

import random
from copy import deepcopy
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.core import NotSet
from schemathesis.core.result import Ok
from uuid_utils.compat import uuid7

from tests.isolation.asking import LONG, Asker, our_admin, sign_in
from tests.isolation.bodies import schema
from tests.isolation.test_raw_sql import SEED
from tests.isolation.world import World

REQUESTS = 20_000 if LONG else 150
OPERATIONS = 1_000 if LONG else 30
"""How many operations to ask at most: working out what a request may look like takes longer than asking it."""
FAILED = 500


class Strewing:
    """Puts ids into made-up requests: mostly the other tenant's, sometimes ours, sometimes nobody's."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._chance = chance
        self._theirs = [str(row) for rows in world.theirs.rows.values() for row in rows]
        self._ours = [str(row) for rows in world.ours.rows.values() for row in rows]

    def identifier(self) -> str:
        """Return some id."""
        if self._chance.random() < 0.1:
            return str(uuid7())
        return self._chance.choice(self._theirs if self._chance.random() < 0.7 else self._ours)

    def into(self, value: Any, name: str = "") -> Any:
        """Return a value with ids where it has ids, and in some other places too."""
        if isinstance(value, dict):
            return {key: self.into(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.into(inner, name) for inner in value]
        is_id = isinstance(value, str) and len(value) == 36 and value.count("-") == 4
        return self.identifier() if is_id or self._chance.random() < 0.03 else value


def test_no_made_up_request_hears_a_canary_or_breaks_anything(standing: World):
    description = schemathesis.openapi.from_dict(deepcopy(schema()))
    operations = [found.ok() for found in description.get_all_operations() if isinstance(found, Ok)]
    chosen = random.Random(SEED).sample(operations, min(OPERATIONS, len(operations)))
    fuzzing = Fuzzing(standing, share=1 + REQUESTS // len(chosen))
    for operation in chosen:
        fuzzing.ask_about(operation)

    print(f"{fuzzing.asked} requests to {len(chosen)} operations, seed {SEED}")  # noqa: T201 whoever repeats it needs the seed
    assert "\n\n".join(fuzzing.faults.values()) == "", f"seed {SEED}"
    assert fuzzing.asked > REQUESTS / 2


@pytest.mark.parametrize(
    ("moment", "status"),
    [("0064-05-07T17:10:03-17:32", 200), ("0001-01-01T00:00:00+22:00", 400), ("9999-12-31T23:59:59-20:00", 400)],
)
def test_a_moment_of_any_offset_is_understood_or_refused(world: World, moment: str, status: int):
    """What the made-up requests found: PostgreSQL takes no offset of 16 hours or more."""
    for path in ("actions/?created_after", "audit-events/?at_before", "investigations/?started_after"):
        assert our_admin(world).ask("GET", f"/api/v1/{path}={quote(moment)}").status == status


class Fuzzing:
    """Asks, and keeps the first fault of each operation."""

    def __init__(self, world: World, share: int) -> None:
        self._canaries, self._share = world.canaries, share
        staff = Asker("staff", sign_in(world.group_staff))
        self._askers = [our_admin(world), Asker("key", key=world.ours.key), staff]
        self._chance = random.Random(SEED)
        self._strewing = Strewing(world, self._chance)
        self.asked = 0
        self.faults: dict[str, str] = {}

    def ask_about(self, operation: Any) -> None:
        """Make up this operation's share of requests."""

        @seeded(SEED)
        @settings(
            max_examples=self._share,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            self._ask(case, operation)

        ask()

    def _ask(self, case: schemathesis.Case, operation: Any) -> None:
        asker = self._chance.choice(self._askers)
        path = operation.path.replace("{id}", self._strewing.identifier())
        query = urlencode(self._strewing.into(dict(case.query or {})), doseq=True, errors="replace")
        body = None if isinstance(case.body, NotSet) else self._strewing.into(case.body)
        answer = asker.ask(operation.method.upper(), f"{path}?{query}" if query else path, body)
        self.asked += 1
        if answer.status >= FAILED or self._canaries.found_in(answer.text):
            told = f"{asker.name} {operation.method} {path}?{query} {body!r}\n{answer.status} {answer.body[:500]}"
            self.faults.setdefault(f"{operation.method} {operation.path}", told)
