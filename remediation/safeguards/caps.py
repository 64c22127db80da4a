"""Hourly limits: how many actions of one type may be sent for a tenant in one clock hour (UTC).

The claim counts in its own transaction, so any number of workers together keep the limit. What two people approved
passes it, and counts too; what takes something back has none.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from portal.audit.recording import ActorStamp, record
from portal.tenancy.scope import database_now
from remediation.catalogue import CATALOGUE
from remediation.safeguards.models import HourlyCap, HourlyUse

MOST: Final = 100_000
APPROVALS_TO_PASS: Final = 2
"""So many people's approval of one action sends it though the hour's limit is reached."""
KEPT_FOR: Final = timedelta(days=2)
"""As tenants_with_due_safeguards() has it."""

DEFAULTS: Final = json.dumps({name: kind.hourly_cap for name, kind in CATALOGUE.items() if kind.hourly_cap is not None})
"""The catalogue's limits by type, as JSON for `CAP`."""

CAP: Final = """coalesce((
    SELECT c.cap FROM safeguards_hourlycap c WHERE c.tenant_id = a.tenant_id AND c.action_type = a.type
), (%(caps)s::jsonb ->> a.type)::int)"""
"""SQL over an action `a`: the limit of its type for its tenant, NULL for none."""

USED: Final = """coalesce((
    SELECT u.used FROM safeguards_hourlyuse u
    WHERE u.tenant_id = a.tenant_id AND u.action_type = a.type
      AND u.hour = date_trunc('hour', now(), 'UTC')), 0)"""
"""SQL over an action `a`: how many of its type its tenant sent in this clock hour."""

COUNT_UP: Final = """
    INSERT INTO safeguards_hourlyuse AS u (id, tenant_id, action_type, hour, used)
    SELECT gen_random_uuid(), taken.tenant_id, taken.type, date_trunc('hour', now(), 'UTC'), count(*) FROM taken
    WHERE taken.cap IS NOT NULL GROUP BY taken.tenant_id, taken.type
    ON CONFLICT (tenant_id, action_type, hour) DO UPDATE SET used = u.used + excluded.used
    WHERE u.used + excluded.used <= (
        SELECT greatest(max(taken.cap), max(taken.used) + count(*)) FROM taken WHERE taken.type = u.action_type)
    RETURNING u.action_type"""
"""SQL over rows `taken` (tenant_id, type, cap, used): counts them, and returns the types that there was room for.

Where an hour was full already, its rows were taken because they pass the limit.
"""


def caps_of(tenant_id: UUID, types: Collection[str]) -> dict[str, int]:
    """Return the limit of each of these types for the tenant, without those that have none."""
    defaults = {name: cap for name in types if (cap := CATALOGUE[name].hourly_cap) is not None}
    own = HourlyCap.objects.filter(tenant=tenant_id, action_type__in=list(types))
    return defaults | dict(own.values_list("action_type", "cap"))


def used_this_hour(tenant_id: UUID, types: Collection[str]) -> dict[str, int]:
    """Return how many of each of these types were sent in this clock hour, without those that were not."""
    rows = HourlyUse.objects.filter(tenant=tenant_id, action_type__in=list(types), hour=hour_of(database_now()))
    return dict(rows.values_list("action_type", "used"))


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the clock hour (UTC) of a moment."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def give_back(tenant_id: UUID, action_type: str, claimed_at: datetime, count: int) -> None:
    """Take so many off the hour in which they were claimed: they never left the house."""
    HourlyUse.objects.filter(tenant=tenant_id, action_type=action_type, hour=hour_of(claimed_at)).update(
        used=Greatest(F("used") - count, 0)
    )


def forget_old_uses() -> None:
    """Delete what was counted more than two days ago for the tenants in scope; the actions themselves tell it."""
    HourlyUse.objects.filter(hour__lte=database_now() - KEPT_FOR).delete()


def check_hourly_cap(tenant_id: UUID, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of a new limit as they are kept. Raises BadRequest for a type without one or a bad number."""
    kind = CATALOGUE.get(str(details.get("action_type", "")))
    if kind is None:
        raise BadRequest(_("There is no action “%(type)s”.") % {"type": details.get("action_type", "")})
    if kind.is_ordered_alone:
        raise BadRequest(
            _("“%(action)s” cuts nothing off and takes nothing away: it has no limit.") % {"action": kind.label}
        )
    cap = details.get("cap")
    if not isinstance(cap, int) or isinstance(cap, bool) or not 0 <= cap <= MOST:
        raise BadRequest(_("The limit per hour is a number from 0 to %(most)d.") % {"most": MOST})
    return {"action_type": kind.name, "cap": cap}


def describe_hourly_cap(tenant_id: UUID, details: Mapping[str, Any]) -> str:
    """Say in one sentence what the new limit does, and what is so today."""
    name = details["action_type"]
    today = caps_of(tenant_id, [name]).get(name)
    return _("At most %(after)d × “%(action)s” will be sent in an hour (today %(before)s).") % {
        "after": details["cap"],
        "action": CATALOGUE[name].label,
        "before": _("no limit") if today is None else today,
    }


def make_hourly_cap(tenant_id: UUID, details: Mapping[str, Any], actor: ActorStamp) -> None:
    """Set the limit and record it with the number before and after. It holds from the next claim on."""
    name = details["action_type"]
    before = caps_of(tenant_id, [name]).get(name)
    row, _is_new = HourlyCap.objects.update_or_create(
        tenant_id=tenant_id, action_type=name, defaults={"cap": details["cap"]}
    )
    record(
        tenant_id,
        "hourly_limit.changed",
        object_type="hourly limit",
        object_id=row.pk,
        actor=actor,
        data={"type": name, "before": {"cap": before}, "after": {"cap": row.cap}},
    )
