"""The pages where a safeguard's change is asked for: they name the effect, change nothing, and wait for another."""

import time
from collections.abc import Callable

import pytest
from django.test import Client

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.safeguards import freezes, protection
from remediation.safeguards.models import ApprovalRule, Freeze, GuardedChange, HourlyCap, ProtectedDevice
from tests.factories import make_device
from tests.portal.access.sign_in.codes import give_app

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[[User], Client]


def waiting(tenant: Tenant) -> list[tuple[str, dict[str, object]]]:
    with acting_for(tenant.id):
        return list(GuardedChange.objects.filter(state="waiting").values_list("kind", "details"))


def test_lifting_a_freeze_is_asked_for_and_changes_nothing_yet(
    acme: Tenant, pia: User, browse: Browse, as_actor: Callable[[User], object]
) -> None:
    with acting_for(acme.id):
        freeze = freezes.freeze(acme.id, actor=as_actor(pia), reason="Something is wrong.")  # type: ignore[arg-type]
    page = f"/admin/safeguards/freeze/{freeze.pk}/lift/"
    assert "Nothing changes until somebody else confirms it." in browse(pia).get(page).content.decode()
    assert browse(pia).post(page, {"reason": ""}).status_code == 200
    assert browse(pia).post(page, {"reason": "It is over."}).status_code == 302
    assert waiting(acme) == [("lift_freeze", {"freeze": str(freeze.pk)})]
    with acting_for(acme.id):
        assert Freeze.objects.get().lifted_at is None


def test_the_end_of_a_protection_is_asked_for_by_who_may(
    acme: Tenant, tess: User, bob: User, browse: Browse, as_actor: Callable[[User], object]
) -> None:
    device = make_device(acme, "dc-1")
    with acting_for(acme.id):
        row = protection.protect(device, actor=as_actor(tess), reason="It runs the ward.")  # type: ignore[arg-type]
    page = f"/admin/safeguards/protecteddevice/{row.pk}/unprotect/"
    assert browse(bob).get(page).status_code == 403
    assert "dc-1" in browse(tess).get(page).content.decode()
    assert browse(tess).post(page, {"reason": "It was replaced."}).status_code == 302
    assert waiting(acme) == [("unprotect_device", {"device": str(device.pk)})]
    with acting_for(acme.id):
        assert ProtectedDevice.objects.exists()


def test_a_reason_outlives_the_question_for_a_fresh_second_factor(acme: Tenant, tess: User, browse: Browse) -> None:
    give_app(tess)
    client = browse(tess)
    page = f"/admin/safeguards/approvalrule/{acme.pk}/isolate_device/ask/"
    session = client.session
    fresh, stale = ([{"method": "mfa", "type": "totp", "at": time.time() - age}] for age in (0, 360))
    session["account_authentication_methods"] = stale
    session.save()
    answer = client.post(
        page, {"approvers": "3", "reason": "A cautious ward."}, HTTP_REFERER=f"http://testserver{page}"
    )
    assert answer["Location"].startswith("/accounts/2fa/reauthenticate/")
    session = client.session
    session["account_authentication_methods"] = fresh
    session.save()
    other = page.replace("isolate_device", "offboard_device")
    assert "A cautious ward." not in client.get(other).content.decode()
    assert "A cautious ward." in client.get(page).content.decode()
    assert "A cautious ward." not in client.get(page).content.decode()
    assert waiting(acme) == []


@pytest.mark.parametrize(
    ("model", "kind", "number"),
    [(ApprovalRule, "set_approval_rule", "approvers"), (HourlyCap, "set_hourly_cap", "cap")],
)
def test_a_number_is_shown_by_tenant_and_asked_for_by_who_may(
    acme: Tenant, tess: User, ren: User, browse: Browse, model: type[ApprovalRule | HourlyCap], kind: str, number: str
) -> None:
    pages = f"/admin/safeguards/{model._meta.model_name}/"
    ask = f"{pages}{acme.pk}/isolate_device/ask/"
    assert ask in browse(tess).get(pages).content.decode()
    assert ask not in browse(ren).get(pages).content.decode()
    assert browse(ren).get(ask).status_code == 403
    assert browse(tess).get(f"{pages}{acme.pk}/no_such_type/ask/").status_code == 404
    assert "Isolate device" in browse(tess).get(ask).content.decode()
    assert browse(tess).post(ask, {number: "3", "reason": "A cautious ward."}).status_code == 302
    assert waiting(acme) == [(kind, {"action_type": "isolate_device", number: 3})]
    with acting_for(acme.id):
        assert not model.objects.exists()
