"""What people of the demo have asked for before a newcomer comes: something that a person does in Defender's portal."""

from datetime import UTC, datetime
from typing import Final

from portal.access.actors import Actor, actor_for
from portal.access.models import User
from portal.demo.companies import LUMIERE
from portal.demo.hunting_ground import PEOPLE, payslip_to
from portal.demo.seeding import ANALYST, APPROVER, SignIn
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.services import approve_action, request_action

_TYPE: Final = "quarantine_attachment"


def ask_for_first_things() -> None:
    """Let Ada ask for what Microsoft has no API for, and Bruno approve it; the second time it is there already."""
    message = {"network_message_id": payslip_to(LUMIERE, PEOPLE[0]), "recipient": f"{PEOPLE[0]}@{LUMIERE.domain}"}
    ada, bruno = _as_actor(ANALYST), _as_actor(APPROVER)
    with acting_for(LUMIERE.tenant_id):
        if RemediationAction.objects.filter(type=_TYPE).exists():
            return
        action, _is_new = request_action(
            tenant_id=LUMIERE.tenant_id,
            type_name=_TYPE,
            device=None,
            parameters={"messages": [message]},
            reason="The attached payslip.docm runs a macro; the text of the mail is harmless and needed.",
            actor=ada,
        )
        approve_action(action.pk, actor=bruno, reason="The attachment alone, please.")


def _as_actor(person: SignIn) -> Actor:
    return actor_for(User.objects.get(email=person.email), by_key=False, second_factor_at=datetime.now(UTC))
