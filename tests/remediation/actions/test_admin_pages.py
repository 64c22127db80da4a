"""Every admin page: who sees it, what a stranger gets, that it holds to the Content-Security-Policy, what it costs."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from uuid_utils.compat import uuid7

from connectors.models import Connection
from investigations.models import DeviceGroup
from portal.access.models import TenantMembership, User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import ActionEvidence, RemediationAction
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_pending_action

INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", re.IGNORECASE)


@pytest.fixture
def rows(acme: Tenant, tess: User) -> dict[str, Any]:
    """One row of everything Acme has, by the name of its admin page."""
    device = make_device(acme, "lap-7")
    investigation = make_investigation(acme, device=device)
    alert = make_alert(acme, investigation)
    evidence = make_evidence(alert, device)
    pending = make_pending_action(acme, device, investigation_id=investigation.pk)
    done = make_pending_action(acme, device, type_name="run_antivirus_scan", parameters={"scan_type": "Quick"})
    with acting_for(acme.id):
        ActionEvidence.objects.create(tenant=acme, action=pending, evidence=evidence)
        RemediationAction.objects.filter(pk=done.pk).update(state="rejected")
        found = {
            "actions_pendingaction": pending,
            "actions_historyaction": done,
            "investigations_investigation": investigation,
            "investigations_alert": alert,
            "investigations_device": device,
            "investigations_devicegroup": device.group,
            "connectors_connection": Connection.objects.create(tenant=acme),
            "tenancy_tenant": acme,
            "audit_auditevent": AuditEvent.objects.first(),
            "access_tenantmembership": TenantMembership.objects.get(user=tess),
        }
        DeviceGroup.objects.update(name="Laptops")
    return found


def lists() -> list[str]:
    """The address of every list."""
    return [reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist") for m in admin.site._registry]


def test_every_page_opens_and_holds_to_the_content_security_policy(
    rows: dict[str, Any], tess: User, pia: User, browse: Callable[[User], Client]
) -> None:
    client = browse(tess)
    pages = [reverse(f"admin:{name}_change", args=[row.pk]) for name, row in rows.items()]
    pages += [reverse(f"admin:{name}_history", args=[row.pk]) for name, row in rows.items()]
    pages += [reverse("admin:actions_pendingaction_decide", args=[verb]) + f"?id={rows['actions_pendingaction'].pk}"
              for verb in ("approve", "reject")]  # fmt: skip
    pages += [reverse("admin:investigations_investigation_stop", args=[rows["investigations_investigation"].pk])]
    answers = [client.get(page) for page in pages] + [browse(pia).get(page) for page in [*lists(), "/admin/"]]
    answers += [browse(pia).get(reverse("admin:access_user_add")), Client().get("/accounts/login/")]
    answers += [client.get(f"/admin/actions/pendingaction/{uuid7()}/change/")]
    for answer in answers:
        assert answer.status_code == (404 if answer is answers[-1] else 200), answer.request["PATH_INFO"]
        assert "script-src 'self';" in answer["Content-Security-Policy"] + ";"
        assert "unsafe" not in answer["Content-Security-Policy"]
        found = INLINE.search(answer.content.decode())
        assert found is None, f"{answer.request['PATH_INFO']}: {found}"


def test_a_stranger_gets_for_a_foreign_id_what_they_get_for_an_unknown_one(
    rows: dict[str, Any], gil: User, browse: Callable[[User], Client]
) -> None:
    client = browse(gil)
    for name, row in rows.items():
        if name == "access_tenantmembership":
            continue  # its page is for admins; an approver gets 403 for any id
        for page in ("change", "history", "delete"):
            foreign = client.get(reverse(f"admin:{name}_{page}", args=[row.pk]))
            unknown = client.get(reverse(f"admin:{name}_{page}", args=[uuid7()]))
            assert foreign.status_code == (403 if page == "delete" else 404), (name, page)
            assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
            posted = client.post(reverse(f"admin:{name}_{page}", args=[row.pk]))
            assert posted.status_code in (403, 404)
            assert posted.content == client.post(reverse(f"admin:{name}_{page}", args=[uuid7()])).content
    for verb in ("approve", "undo"):
        url = reverse("admin:actions_pendingaction_decide", args=[verb])
        foreign = client.post(url, {"id": rows["actions_pendingaction"].pk, "reason": "mine now"})
        assert foreign.status_code == 404
        assert foreign.content == client.post(url, {"id": uuid7(), "reason": "mine now"}).content
    stop = client.post(f"/admin/investigations/investigation/{rows['investigations_investigation'].pk}/stop/")
    assert stop.status_code == 404


def test_lists_show_a_stranger_nothing_and_offer_no_foreign_tenant(
    rows: dict[str, Any], gil: User, browse: Callable[[User], Client]
) -> None:
    client = browse(gil)
    for page in lists():
        answer = client.get(page)
        assert answer.status_code in (200, 403)
        assert "lap-7" not in answer.content.decode()
        assert "Acme" not in answer.content.decode()
    by_foreign_tenant = client.get(f"/admin/actions/pendingaction/?tenant__id__exact={rows['tenancy_tenant'].pk}")
    by_unknown_tenant = client.get(f"/admin/actions/pendingaction/?tenant__id__exact={uuid7()}")
    assert "Nothing matches" in by_foreign_tenant.content.decode()
    assert "Nothing matches" in by_unknown_tenant.content.decode()


def test_who_has_no_role_sees_an_empty_overview_and_no_list(db: None, browse: Callable[[User], Client]) -> None:
    client = browse(User.objects.create_user("nobody@nowhere.example"))
    assert "no role in any tenant" in client.get("/admin/").content.decode()
    assert {client.get(page).status_code for page in lists()} == {403}
    assert client.get(f"/admin/actions/pendingaction/{uuid7()}/change/").status_code == 404


def test_a_reader_reads_all_and_changes_nothing(
    rows: dict[str, Any], ren: User, browse: Callable[[User], Client]
) -> None:
    client = browse(ren)
    for name in ("actions_pendingaction", "investigations_investigation", "investigations_devicegroup"):
        answer = client.get(reverse(f"admin:{name}_change", args=[rows[name].pk]))
        assert answer.status_code == 200
        assert '<button type="submit" class="verb' not in answer.content.decode()
        assert 'class="verb' not in answer.content.decode()
        assert client.post(reverse(f"admin:{name}_change", args=[rows[name].pk]), {"name": "Mine"}).status_code == 403
    assert "Approve" not in client.get("/admin/actions/pendingaction/").content.decode()
    assert client.get("/admin/access/user/").status_code == 403
    assert client.get("/admin/access/tenantmembership/").status_code == 403


@pytest.mark.parametrize(
    ("page", "most"),
    [
        ("actions_pendingaction", 15),
        ("actions_historyaction", 15),
        ("investigations_investigation", 12),
        ("investigations_alert", 12),
        ("investigations_device", 12),
        ("investigations_devicegroup", 12),
        ("audit_auditevent", 13),
        ("tenancy_tenant", 12),
    ],
)
def test_a_list_costs_the_same_queries_whatever_its_length(
    page: str, most: int, acme: Tenant, globex: Tenant, bob: User, browse: Callable[[User], Client]
) -> None:
    client = browse(bob)

    def fill(count: int) -> None:
        for number in range(count):
            device = make_device(acme, f"pc-{uuid7()}")
            evidence = make_evidence(make_alert(acme, make_investigation(acme, device=device)), device)
            action = make_pending_action(acme, device)
            with acting_for(acme.id):
                ActionEvidence.objects.create(tenant=acme, action=action, evidence=evidence)
                if number % 2:
                    RemediationAction.objects.filter(pk=action.pk).update(state="rejected")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(f"admin:{page}_changelist")).status_code == 200
        return len(queries)

    fill(2)
    few = cost()
    fill(8)
    assert cost() == few
    assert few <= most
