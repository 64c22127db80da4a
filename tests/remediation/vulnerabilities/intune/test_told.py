"""What IT admins are told, from what happens to what arrives at their channel: over the real ledger, each once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors.outbound.models import Delivery
from connectors.outbound.sending import send_next
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.completing import complete
from remediation.vulnerabilities.activities.due_dates import tell_due_dates
from remediation.vulnerabilities.activities.requesting import request_remediation
from remediation.vulnerabilities.models import RemediationActivity
from tests.connectors.outbound.conftest import Receiver
from tests.factories import make_recommendation
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.activities.conftest import a_request, in_days
from tests.remediation.vulnerabilities.intune.conftest import as_it_admin, make_devices, send, sync, the_task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


EVENTS = ["remediation_requested", "ticket_rejected", "overdue", "remediation_completed"]


def test_a_request_its_rejection_its_due_day_and_its_end_arrive_once_each(
    intune_on: Tenant, vendor: Vendor, ada: User, as_actor: Any, make_channel: Callable[..., Any], receiver: Receiver
) -> None:
    make_channel("webhook", receiver.url, events=EVENTS)
    found = make_recommendation(intune_on, *make_devices(intune_on, 2))

    with acting_for(intune_on.id):
        activity = request_remediation(
            found.pk, a_request(opens_ticket=True, notes="Exploited"), group_ids=[], actor=as_actor(ada)
        )
    send(intune_on)
    as_it_admin(vendor, intune_on, the_task(intune_on).remote_id, "rejected", "Change freeze until Monday.")
    for _twice in range(2):
        sync(intune_on)
    with acting_for(intune_on.id):
        RemediationActivity.objects.update(due_on=in_days(-1))
    for _twice in range(2):
        tell_due_dates(intune_on.id)
    with acting_for(intune_on.id):
        complete(activity.pk, note="Patched by hand.", actor=as_actor(ada))
    while send_next(intune_on.id):
        pass

    told = [json.loads(body) for _headers, body in receiver.requests]
    assert [each["type"] for each in told] == EVENTS
    requested, rejected, overdue, completed = (json.dumps(each) for each in told)
    assert "Patched by hand." in completed
    assert str(activity.pk) in requested
    assert "Exploited" in requested
    assert "Change freeze until Monday." in rejected
    assert in_days(-1).isoformat() in overdue
    with acting_for(intune_on.id):
        assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
