"""The web and worker modules with one guard switched off, to show that the story notices: STORY_BREAK names which.

`approval`: what should wait for people is born approved. `quiet`: a doubt is looked up at once instead of after the
quiet period. `wall`: everybody may read every tenant. Production code has no such switches; the patches are all here.
"""

import os
from dataclasses import replace
from datetime import datetime
from typing import Final

import django
from django.conf import settings
from django.core.checks.registry import registry
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from portal.access import middleware  # noqa: E402 Django has to be set up first
from portal.access.actors import Actor, actor_for  # noqa: E402
from portal.access.models import User  # noqa: E402
from portal.access.roles import Capability  # noqa: E402
from portal.celery import app  # noqa: E402
from portal.demo.seeding import PROVIDER_ADMIN  # noqa: E402
from portal.wsgi import application  # noqa: E402
from remediation.actions import proposing  # noqa: E402
from remediation.actions.checks import check_times  # noqa: E402

__all__ = ["app", "application"]


def _break_approval() -> None:
    make_row = proposing._row
    proposing._row = lambda proposal, now, demand: make_row(proposal, now, replace(demand, approvals=0))


def _break_quiet() -> None:
    registry.registered_checks.discard(check_times)  # it would not let a worker start with such a quiet period
    settings.ACTION_QUIET_SECONDS = 0.05


def _break_wall() -> None:
    def actor_for_everybody(user: User, *, by_key: bool, second_factor_at: datetime | None = None) -> Actor:
        known = actor_for(user, by_key=by_key, second_factor_at=second_factor_at)
        with connection.cursor() as cursor:
            admin = User.objects.get(email=PROVIDER_ADMIN.email)
            cursor.execute("SELECT tenant_id FROM roles_of_person(%s)", [admin.pk])
            everywhere = {tenant_id: frozenset({Capability.READ}) for (tenant_id,) in cursor.fetchall()}
        return replace(known, capabilities={**everywhere, **known.capabilities})

    middleware.actor_for = actor_for_everybody  # type: ignore[attr-defined]  # patched where it is used


_BREAKS: Final = {"approval": _break_approval, "quiet": _break_quiet, "wall": _break_wall}

_BREAKS[os.environ["STORY_BREAK"]]()
