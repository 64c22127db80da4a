"""From a device to what was taken on it, and from evidence to what answers it."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from uuid_utils.compat import uuid7

from investigations.models import Alert
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import ActionEvidence, RemediationAction
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_pending_action

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
HISTORY = reverse("admin:actions_historyaction_changelist")


def page_of(client: Client, model: str, key: object) -> str:
    answer = client.get(reverse(f"admin:investigations_{model}_change", args=[key]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def answered(alert: Alert) -> RemediationAction:
    """Return an action that answers a new piece of the alert's evidence."""
    device = make_device(alert.tenant, f"pc-{uuid7()}")
    action = make_pending_action(alert.tenant, device)
    with acting_for(alert.tenant_id):
        piece = make_evidence(alert, device)
        ActionEvidence.objects.create(tenant=alert.tenant, action=action, evidence=piece)
    return action


def test_a_device_leads_to_the_actions_taken_on_it(acme: Tenant, globex: Tenant, ren: User, browse: Browse) -> None:
    device, other = make_device(acme, "lap-7"), make_device(acme, "lap-8")
    mine, theirs = make_pending_action(acme, device), make_pending_action(acme, other)
    with acting_for(acme.id):
        RemediationAction.objects.filter(pk__in=[mine.pk, theirs.pk]).update(state="rejected")
    elsewhere = make_pending_action(acme, None, type_name="block_url", parameters={"url": "bad.example"})
    with acting_for(acme.id):
        RemediationAction.objects.filter(pk=elsewhere.pk).update(state="rejected")
    client = browse(ren)
    address = f"{HISTORY}?device={device.pk}"
    assert f'href="{address}"' in page_of(client, "device", device.pk)

    answer = client.get(address)

    assert [row.pk for row in answer.context["cl"].result_list] == [mine.pk]
    assert "lap-7" in answer.content.decode().split('id="changelist-filter"')[1]
    for nobodys in (make_device(globex).pk, "x"):
        shown = client.get(f"{HISTORY}?device={nobodys}")
        assert list(shown.context["cl"].result_list) == []
        assert "Unknown device" in shown.content.decode()


def test_evidence_leads_to_the_actions_that_answer_it(acme: Tenant, ren: User, browse: Browse) -> None:
    alert, client = make_alert(acme, make_investigation(acme)), browse(ren)
    action = answered(alert)
    assert reverse("admin:actions_pendingaction_change", args=[action.pk]) in page_of(client, "alert", alert.pk)

    counts = []
    for _more in range(2):
        with CaptureQueriesContext(connection) as queries:
            page_of(client, "alert", alert.pk)
        counts.append(len(queries))
        answered(alert)
        answered(alert)
    assert counts[0] == counts[1]
