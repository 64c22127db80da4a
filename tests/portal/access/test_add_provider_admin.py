"""The first provider admin, made on the command line, is on record like all who follow."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

pytestmark = pytest.mark.django_db


def test_the_first_provider_admin_is_on_record_and_made_once(monkeypatch: Any) -> None:
    def add(password: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        call_command("add_provider_admin", "Pia@provider.example", verbosity=0)

    with pytest.raises(CommandError, match="too short"):
        add("short")
    add("correct horse battery")
    with pytest.raises(CommandError, match="already"):
        add("correct horse battery")
    user = User.objects.get(email="pia@provider.example")
    with acting_for(PROVIDER_TENANT_ID):
        [event] = AuditEvent.objects.filter(verb="provider_membership.given")
    assert (event.actor_label, event.data["target"]) == ("Command line", user.email)
    assert event.data["after"] == {"role": "provider_admin", "reach": "all"}
