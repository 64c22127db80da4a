"""The two tenants, made once for each file of this folder; every test looks at them in a transaction of its own."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import TransactionTestCase

from tests.isolation import world as worlds
from tests.isolation.world import World


@pytest.fixture(scope="module")
def standing(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """The world, committed, and taken down again after the file."""
    import_module(settings.ROOT_URLCONF)  # its views' querysets are made by managers that no test has tampered with yet
    with django_db_blocker.unblock():
        yield worlds.build()
        TransactionTestCase._fixture_teardown(None)  # type: ignore[attr-defined]  # ours needs no test case


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """The world for one test, which changes nothing in it."""
    with transaction.atomic():
        yield standing
        transaction.set_rollback(True)
