"""A tenant that is switched off: what needs nobody's approval is not sent for it either."""

import pytest

from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source
from remediation.actions.transitions import claim
from tests.factories import make_device


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_for_it_until_it_is_on_again(acme: Tenant) -> None:
    automatic = Proposal(
        tenant_id=acme.id,
        type="run_antivirus_scan",
        source=Source.AUTOMATED_DEVICE,
        target="pc-1",
        parameters={"scan_type": "Quick"},
        reason="Its group remediates automatically.",
        is_approved=True,
        device=make_device(acme),
    )
    with acting_for(acme.id):
        propose(acme.id, [automatic], actor=SYSTEM)
        Tenant.objects.update(is_active=False)
    assert claim(acme.id, owner="worker", types=[automatic.type]) is None
    with acting_for(acme.id):
        Tenant.objects.update(is_active=True)
    assert claim(acme.id, owner="worker", types=[automatic.type]) is not None
