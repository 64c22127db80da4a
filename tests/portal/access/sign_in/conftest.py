"""People with passwords, counters that begin at nothing, and what the provider's history says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fresh_counters(forget_cache: Callable[[], None]) -> None:
    """Count guesses and used codes apart from every other test's."""


def with_password(user: User) -> User:
    """Give somebody the password of these tests."""
    user.set_password(PASSWORD)
    user.save()
    return user


def enter(client: Client, email: str, password: str = PASSWORD, **headers: Any) -> Any:
    """Fill in the sign-in page."""
    return client.post("/accounts/login/", {"login": email, "password": password}, **headers)


@pytest.fixture
def history(db: None) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Return the provider's events so far: verb and data, oldest first."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        with acting_for(PROVIDER_TENANT_ID):
            events = AuditEvent.objects.exclude(verb__startswith="audit.").exclude(seq=1).order_by("seq")
            return list(events.values_list("verb", "data"))

    return read
