"""Who approved what, in every combination: the real claim takes exactly what a plain reading of the rules allows.

The oracle below is written from the rules in docs/operators.md and calls nothing of Quell's. Each case is an action of
its own on a device of its own; a tenant holds what many cases share (its rule, its freeze, its limit, who asked).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.access.models import ProviderMembership, TenantMembership, User
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup, TenantGroupMember
from portal.tenancy.scope import acting_for
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.transitions import claim
from remediation.catalogue import WIRED
from remediation.safeguards.models import ApprovalRule, BreakGlass, Freeze, HourlyCap, ProtectedDevice
from tests.conftest import make_tenant
from tests.factories import default_group

pytestmark = pytest.mark.django_db

# --- What the cases are made of --------------------------------------------------------------------------------------

ROLES: Final[dict[str, set[str]]] = {
    "ada": {"analyst"},
    "bea": {"approver"},
    "bob": {"approver"},
    "cal": {"approver"},
    "ren": {"reader"},
    "tess": {"tenant_admin"},
    "bix": {"break_glass"},
    "duo": {"approver", "break_glass"},
    "pia": {"provider_admin"},
    "gus": {"approver"},
    "left": set(),
    "gone": set(),
    "gil": set(),
}
"""Each person's roles in the tenant of the case, as they are at the claim.

Pia is provider staff over all, Gus over a group that holds the tenant; Left lost every role, Gone is disabled, Gil
approves for another tenant alone.
"""


@dataclass(frozen=True)
class Answer:
    """One person's decision. `glass` is the break-glass use it rests on, by name; `is_edited` when bound to others."""

    person: str
    answer: str = "approve"
    is_edited: bool = False
    glass: str = ""


def by(*people: str, **how: Any) -> tuple[Answer, ...]:
    return tuple(Answer(person, **how) for person in people)


ANSWERS: Final[tuple[tuple[Answer, ...], ...]] = (
    (), by("bob"), by("bob", "bea"), by("bob", "bea", "cal"), by("tess"), by("pia"), by("gus"), by("ada"), by("ren"),
    by("left"), by("gone"), by("gil"), by("bob", "left"), by("bob", "gone"), by("bob", "ada"), by("bob", "pia"),
    by("gus", "pia"), by("tess", "bea"), by("bob", is_edited=True), by("bob") + by("bea", is_edited=True),
    by("bea", "cal") + by("bob", is_edited=True), by("bob", "bea") + by("cal", answer="reject"),
    by("bea", answer="reject"), by("bob", "bea", "cal") + by("ren", answer="reject"), by("bix"), by("bix", "bob"),
    by("duo"), by("duo", "bob"), by("bix", glass="open"), by("duo", glass="open"), by("left", glass="open"),
    by("gone", glass="open"), by("bob", glass="open"), by("bix", glass="ended"), by("bix", glass="not yet"),
    by("bix", glass="another's"), by("bix", glass="open", is_edited=True), by("bob") + by("bix", glass="open"),
    by("bob") + by("duo", glass="open"), by("bix", glass="open") + by("bob", answer="reject"),
    by("bix", glass="ended") + by("bob"), by("bea", "cal") + by("duo", glass="ended"),
)  # fmt: skip

FEW: Final = ((), by("bob"), by("bea", "cal"), by("bea", "cal", "tess"), by("left"), by("bix", glass="open"))

ASKED: Final = {
    "isolate_device": 1,
    "offboard_device": 2,
    "run_antivirus_scan": 1,
    "stop_and_quarantine_file": 0,
    "release_from_isolation": 0,
}
"""How many approvals each type was asked for; 0 was ordered or runs by itself."""

DESTRUCTIVE: Final = {"isolate_device", "offboard_device", "stop_and_quarantine_file"}


@dataclass(frozen=True)
class Policy:
    """What a tenant's cases share. `freeze` names who froze what; `cap` is every type's limit per hour."""

    requester: str = ""
    rule: int | None = None
    freeze: str = ""
    cap: int | None = None
    is_protected: bool = False
    timing: str = "due"


@dataclass(frozen=True)
class Case:
    """One action."""

    policy: Policy
    type: str
    answers: tuple[Answer, ...]
    id: UUID = field(default_factory=uuid7, compare=False)


def cases() -> Iterator[Case]:
    for requester, rule, type_name in product(("", "bob", "bix"), (None, 3), ("isolate_device", "offboard_device")):
        policy = Policy(requester=requester, rule=rule)
        for answers in ANSWERS:
            yield Case(policy, type_name, answers)
    special = [
        *(Policy(freeze=freeze) for freeze in FREEZES),
        *(Policy(timing=timing) for timing in ("not yet", "lapsed", "pending")),
        *(Policy(requester=requester, is_protected=True) for requester in ("", "bob")),
        *(Policy(requester=requester, cap=0) for requester in ("", "bob")),
        *(Policy(requester=requester, rule=2) for requester in ("ada", "tess", "left", "gone", "pia", "ren")),
        Policy(rule=1),
        Policy(rule=3, is_protected=True),
        Policy(rule=1, cap=0, is_protected=True),
    ]
    for policy, type_name, answers in product(special, ASKED, FEW):
        yield Case(policy, type_name, answers)


# --- The oracle: the rules, read plainly -----------------------------------------------------------------------------

FREEZES: Final[dict[str, set[str]]] = {
    "tenant": set(ASKED),
    "everywhere": set(ASKED),
    "isolating": {"isolate_device"},
    "isolating everywhere": {"isolate_device"},
    "Defender": set(ASKED),
    "Graph": set(),
    "lifted": set(),
    "another tenant": set(),
}
"""What each freeze holds back, of the types here."""

MAY_DECIDE: Final = {"approver", "tenant_admin", "provider_admin"}
MAY_REQUEST: Final = MAY_DECIDE | {"analyst", "break_glass"}


def is_allowed(case: Case) -> bool:
    """Whether the action may be sent at this instant."""
    policy, asked = case.policy, ASKED[case.type]
    if policy.timing != "due" or case.type in FREEZES.get(policy.freeze, set()):
        return False
    if policy.requester and not ROLES[policy.requester] & (MAY_REQUEST if asked else MAY_DECIDE):
        return False
    counted = {
        answer.person
        for answer in case.answers
        if answer.answer == "approve"
        and not answer.glass
        and not answer.is_edited
        and answer.person != policy.requester
        and ROLES[answer.person] & MAY_DECIDE
    }
    is_shielded = policy.is_protected and case.type in DESTRUCTIVE
    if not _is_approved(case, len(counted), is_shielded=is_shielded):
        return False
    return policy.cap is None or case.type == "release_from_isolation" or len(counted) >= 2


def _is_approved(case: Case, counted: int, *, is_shielded: bool) -> bool:
    asked = ASKED[case.type]
    if not asked and not is_shielded:
        return True
    if any(answer.answer == "reject" for answer in case.answers):
        return False
    rule = case.policy.rule if case.type in ("isolate_device", "offboard_device") else None
    needed = max(asked, rule or 0, 2 if is_shielded else 0)
    in_emergency = any(
        answer.answer == "approve"
        and answer.glass == "open"
        and not answer.is_edited
        and "break_glass" in ROLES[answer.person]
        for answer in case.answers
    )
    return counted >= needed or (in_emergency and not is_shielded)


# --- The same, as rows -----------------------------------------------------------------------------------------------

NOW: Final = datetime.now(UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


@pytest.fixture
def people(db: None) -> dict[str, User]:
    return make_people()


def make_people() -> dict[str, User]:
    """Everybody, without memberships but Pia's."""
    users = {name: User(email=f"{name}@people.example", is_active=name != "gone") for name in ROLES}
    User.objects.bulk_create(users.values())
    ProviderMembership.objects.create(user=users["pia"], role="provider_admin", reach="all")
    return users


def build(policy: Policy, mine: Sequence[Case], people: dict[str, User], number: int) -> Tenant:
    tenant = make_tenant(f"tenant-{number}")
    group = default_group(tenant)
    with acting_for(tenant.id):
        roles = {**ROLES, "gone": {"approver", "break_glass"}, "pia": set(), "gus": set()}
        TenantMembership.objects.bulk_create(
            TenantMembership(tenant=tenant, user=people[name], role=role) for name in roles for role in roles[name]
        )
        set_policy(tenant, policy)
        devices = {case.id: Device(tenant=tenant, group=group, name="pc", machine_id=uuid7().hex) for case in mine}
        Device.objects.bulk_create(devices.values())
        if policy.is_protected:
            ProtectedDevice.objects.bulk_create(
                ProtectedDevice(tenant=tenant, device=device, reason="DC") for device in devices.values()
            )
        RemediationAction.objects.bulk_create(as_row(case, tenant, people, devices[case.id]) for case in mine)
        glasses = open_glasses(tenant, people)
        Decision.objects.bulk_create(
            Decision(
                tenant=tenant,
                action_id=case.id,
                user=people[answer.person],
                answer=answer.answer,
                parameters_sha256="edited" if answer.is_edited else case.id.hex,
                decided_at=NOW,
                break_glass=glasses[answer.person, answer.glass] if answer.glass else None,
            )
            for case in mine
            for answer in case.answers
        )
    return tenant


def set_policy(tenant: Tenant, policy: Policy) -> None:
    if policy.rule is not None:
        for name in ("isolate_device", "offboard_device"):
            ApprovalRule.objects.create(tenant=tenant, action_type=name, approvers=policy.rule)
    for name in ASKED:
        if name != "release_from_isolation":
            HourlyCap.objects.create(tenant=tenant, action_type=name, cap=9999 if policy.cap is None else policy.cap)
    lifted_at = NOW if policy.freeze == "lifted" else None
    fields = {
        "action_type": "isolate_device" if policy.freeze.startswith("isolating") else "",
        "connector": {"Defender": "Defender for Endpoint API", "Graph": "Microsoft Graph"}.get(policy.freeze, ""),
    }
    if policy.freeze and not policy.freeze.endswith(("everywhere", "another tenant")):
        Freeze.objects.create(tenant=tenant, reason="Test", frozen_by="pia", lifted_at=lifted_at, **fields)


def as_row(case: Case, tenant: Tenant, people: dict[str, User], device: Device) -> RemediationAction:
    timing = case.policy.timing
    return RemediationAction(
        id=case.id,
        tenant=tenant,
        type=case.type,
        state="pending_approval" if timing == "pending" else "approved",
        source="manual_device",
        device=device,
        target="pc",
        parameters_sha256=case.id.hex,
        conflict_group="isolation",
        reason="Test",
        requested_by=people[case.policy.requester] if case.policy.requester else None,
        required_approvals=ASKED[case.type],
        not_before=LATER if timing == "not yet" else EARLIER,
        execute_before=EARLIER if timing == "lapsed" else LATER,
    )


def open_glasses(tenant: Tenant, people: dict[str, User]) -> dict[tuple[str, str], BreakGlass]:
    minute = timedelta(minutes=1)
    spans = {"open": (NOW - minute, NOW + minute), "ended": (NOW - 9 * minute, NOW), "not yet": (NOW + minute, LATER)}
    spans["another's"] = spans["open"]
    glasses = {
        (name, kind): BreakGlass(
            tenant=tenant,
            user=people["ren" if kind == "another's" else name],
            reason="Test",
            opened_at=span[0],
            ends_at=span[1],
            review_before=LATER,
        )
        for name in ROLES
        for kind, span in spans.items()
    }
    BreakGlass.objects.bulk_create(glasses.values())
    return glasses


def claimed(tenant: Tenant) -> set[UUID]:
    taken: set[UUID] = set()
    while (found := claim(tenant.id, owner="table", types=WIRED)) is not None:
        taken.add(found.action_id)
    return taken


def freeze_all(policy: Policy, tenant: Tenant) -> None:
    """Freezes that stand elsewhere: on the provider's own tenant, or on another customer's."""
    if not policy.freeze.endswith(("everywhere", "another tenant")):
        return
    elsewhere = PROVIDER_TENANT_ID if policy.freeze.endswith("everywhere") else make_tenant(f"else-{tenant.slug}").id
    with acting_for(elsewhere):
        Freeze.objects.update(lifted_at=NOW)
        action_type = "isolate_device" if policy.freeze.startswith("isolating") else ""
        Freeze.objects.create(tenant_id=elsewhere, reason="Test", frozen_by="pia", action_type=action_type)


def lift_all() -> None:
    with acting_for(PROVIDER_TENANT_ID):
        Freeze.objects.update(lifted_at=NOW)


def test_the_claim_takes_exactly_what_the_rules_allow(people: dict[str, User]) -> None:
    group = TenantGroup.objects.create(name="Nordics")
    ProviderMembership.objects.create(user=people["gus"], role="approver", reach="group", group=group)
    by_policy: dict[Policy, list[Case]] = {}
    for case in cases():
        by_policy.setdefault(case.policy, []).append(case)
    wrong: list[tuple[str, Case]] = []
    allowed = 0
    for number, (policy, mine) in enumerate(by_policy.items()):
        tenant = build(policy, mine, people, number)
        TenantGroupMember.objects.create(group=group, tenant=tenant)
        freeze_all(policy, tenant)
        taken = claimed(tenant)
        lift_all()
        expected = {case.id for case in mine if is_allowed(case)}
        allowed += len(expected)
        wrong += [("sent", case) for case in mine if case.id in taken - expected]
        wrong += [("held back", case) for case in mine if case.id in expected - taken]
    assert wrong == []
    total = sum(map(len, by_policy.values()))
    assert total >= 1000
    assert total / 5 < allowed < total / 2, "the table has too few of one kind to mean much"
