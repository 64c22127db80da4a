import pytest
from portal.access.models import User
from connectors.models import Connection
from portal.tenancy.scope import acting_for
from remediation.actions.models import *
from tests.factories import *
from tests.conftest import make_tenant, make_member
from portal.access.roles import Role

pytestmark = [pytest.mark.django_db(transaction=True)]


def test_shots(acme, globex, bob, ada, pia, tess, visitor):
    pass


@pytest.fixture
def world(acme, globex, bob, ada, bea, pia, tess):
    from remediation.actions import services
    from portal.access.actors import actor_for

    acts = []
    for t, names in (
        (acme, ("LAP-7", "FINANCE-PC-03", "srv-sql-prod-west-02.corp.acme.example")),
        (globex, ("GX-041", "GX-042")),
    ):
        g = make_group(t, "Servers")
        for i, n in enumerate(names):
            d = make_device(
                t,
                n,
                os_platform="Windows11",
                health_status="Active",
                risk_score="High",
                group=g if "srv" in n else None,
            )
            inv = make_investigation(t, f"‘Emotet’ malware was detected on {n}", device=d, state="PendingApproval")
            al = make_alert(
                t,
                inv,
                raw={
                    "id": "da638",
                    "title": "x",
                    "evidence": [{"@odata.type": "#microsoft.graph.security.fileEvidence", "verdict": "malicious"}],
                },
                status="new",
                service_source="microsoftDefenderForEndpoint",
            )
            ev = make_evidence(
                al,
                d,
                file_path=r"C:\Users\eva.lindqvist\AppData\Local\Temp\invoice_2026_11.exe",
                label="invoice_2026_11.exe",
                reason="It is malicious; the device group requires approval for all folders.",
            )
            ev2 = make_evidence(
                al,
                d,
                kind="user",
                label="eva.lindqvist",
                verdict="suspicious",
                outcome="no_action",
                reason="There is no action for this kind of evidence: User.",
            )
            with acting_for(t.id):
                InvestigationDevice = __import__("investigations.models", fromlist=["x"]).InvestigationDevice
                InvestigationDevice.objects.create(tenant=t, investigation=inv, device=d)
            a = make_pending_action(
                t, d, type_name="stop_and_quarantine_file", parameters={"sha1": "a" * 40}, investigation_id=inv.pk
            )
            b = make_pending_action(
                t,
                d,
                type_name="isolate_device",
                investigation_id=inv.pk,
                requested_by=ada if i == 0 and t is acme else None,
            )
            acts += [a, b]
            with acting_for(t.id):
                for x in (a, b):
                    ActionEvidence.objects.create(tenant=t, action=x, evidence=ev)
                if i == 1:
                    off = make_pending_action(t, d, type_name="offboard_device", requested_by=ada)
        with acting_for(t.id):
            Connection.objects.create(
                tenant=t,
                health="refused" if t is globex else "working",
                health_detail="The app is not consented to in this tenant." if t is globex else "",
                health_at=timezone.now(),
                alerts_read_to=timezone.now(),
            )
    with acting_for(acme.id):
        a = services.approve_action(acts[0].pk, actor=actor_for(bob, by_key=False), reason="Confirmed with the owner.")
        for s in ("sending", "accepted", "succeeded"):
            RemediationAction.objects.filter(pk=a.pk).update(state=s)
        services.reject_action(acts[2].pk, actor=actor_for(bob, by_key=False), reason="It is the pen test.")
        iso = services.approve_action(acts[1].pk, actor=actor_for(bob, by_key=False), reason="Yes.")
        for s in ("sending", "unknown", "needs_attention"):
            RemediationAction.objects.filter(pk=iso.pk).update(state=s, detail="No answer arrived in time.")
    for u in (bob, pia, tess):
        u.set_password("correct horse battery")
        u.save()
    return acts


def test_shots(world, acme, bob, pia, visitor):
    import os

    p = visitor.page
    done = world[0]
    pend = world[3]
    isol = world[5]
    att = world[1]
    paths = {
        "index": "/admin/",
        "pending": "/admin/actions/pendingaction/",
        "history": "/admin/actions/historyaction/",
        "pdetail": f"/admin/actions/pendingaction/{pend.pk}/change/",
        "hdetail": f"/admin/actions/historyaction/{done.pk}/change/",
        "attention": f"/admin/actions/historyaction/{att.pk}/change/",
        "confirm": f"/admin/actions/pendingaction/decide/approve/?id={pend.pk}&id={isol.pk}&id={world[4].pk}",
        "invs": "/admin/investigations/investigation/",
        "inv": f"/admin/investigations/investigation/{pend.investigation_id}/change/",
        "devices": "/admin/investigations/device/",
        "device": f"/admin/investigations/device/{pend.device_id}/change/",
        "groups": "/admin/investigations/devicegroup/",
        "alerts": "/admin/investigations/alert/",
        "conns": "/admin/connectors/connection/",
        "tenants": "/admin/tenancy/tenant/",
        "audit": "/admin/audit/auditevent/",
        "users": "/admin/access/user/",
        "useradd": "/admin/access/user/add/",
        "members": "/admin/access/tenantmembership/",
        "memberadd": "/admin/access/tenantmembership/add/",
        "nope": "/admin/actions/pendingaction/nope/change/",
    }
    visitor.go("/admin/")
    p.screenshot(path="/tmp/shots/login.png")
    visitor.sign_in(pia.email, "correct horse battery")
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else paths
    for scheme in ("light", "dark"):
        p.emulate_media(color_scheme=scheme)
        for w, h in ((1280, 800), (360, 740)):
            p.set_viewport_size({"width": w, "height": h})
            for n in only:
                visitor.go(paths[n])
                p.screenshot(path=f"/tmp/shots/{n}-{scheme}-{w}.png", full_page=True)
                if visitor.overflow() > 0:
                    print("OVERFLOW", n, w, visitor.overflow())
    # more detail
    print(visitor.complaints)
