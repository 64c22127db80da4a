"""Puts the example tenants, their device groups and connections, and one sign-in per role into the database."""

import base64
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from connectors.clouds import ADDRESSES
from connectors.models import Connection
from investigations.groups import save_group
from investigations.models import DeviceGroup
from portal.access.actors import Actor, actor_for
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import CAPABILITIES, NEEDS_SECOND_FACTOR, Role
from portal.access.sign_in.sealing import encrypt
from portal.demo.companies import COMPANIES, LUMIERE, NORDFJELL, Company
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.intune.switching import create_intune_connection
from remediation.vulnerabilities.models import IntuneConnection


@dataclass(frozen=True, slots=True)
class SignIn:
    """A person of the demo, whose password and app are no secret. `company` is None for provider staff over all."""

    email: str
    name: str
    role: Role
    company: Company | None = None

    @property
    def password(self) -> str:
        """Return the fixed password."""
        return f"quell-demo-{self.email.partition('.')[0]}-{self.role.value.replace('_', '-')}"

    @property
    def seed(self) -> str:
        """Return the fixed seed of the person's authenticator app; "" for who needs no second factor."""
        if not CAPABILITIES[self.role] & NEEDS_SECOND_FACTOR:
            return ""
        return base64.b32encode(hashlib.sha1(f"quell demo {self.email}".encode()).digest()).decode()  # noqa: S324  # no secret at all

    def code(self) -> str:
        """Return the code that the app shows now (RFC 6238)."""
        return str(format_hotp_value(hotp_value(self.seed, int(time.time()) // 30)))


READER: Final = SignIn("robin.hale@harbour.example", "Robin Hale", Role.READER)
ANALYST: Final = SignIn("ada.berg@harbour.example", "Ada Berg", Role.ANALYST)
APPROVER: Final = SignIn("bruno.keller@harbour.example", "Bruno Keller", Role.APPROVER)
SECOND_APPROVER: Final = SignIn("chiara.rossi@harbour.example", "Chiara Rossi", Role.APPROVER)
TENANT_ADMIN: Final = SignIn("margot.petit@lumiere.example", "Margot Petit", Role.TENANT_ADMIN, LUMIERE)
PROVIDER_ADMIN: Final = SignIn("petra.novak@harbour.example", "Petra Novak", Role.PROVIDER_ADMIN)
SECOND_ADMIN: Final = SignIn("henrik.voss@harbour.example", "Henrik Voss", Role.PROVIDER_ADMIN)
EMERGENCY: Final = SignIn("ines.moreau@harbour.example", "Ines Moreau", Role.BREAK_GLASS)
SIGN_INS: Final = (
    READER, ANALYST, APPROVER, SECOND_APPROVER, TENANT_ADMIN, PROVIDER_ADMIN, SECOND_ADMIN, EMERGENCY,
)  # fmt: skip


def seed(simulator_url: str) -> None:
    """Make what is missing and point every connection at the simulator, whose port may be new. Keeps all else."""
    for company in COMPANIES:
        _make_tenant(company)
    for sign_in in SIGN_INS:
        _make_person(sign_in)
    admin = actor_for(User.objects.get(email=PROVIDER_ADMIN.email), by_key=False)
    for company in COMPANIES:
        with acting_for(company.tenant_id):
            _make_groups(company, admin)
            _connect(company, simulator_url)
            _connect_intune(company)


def _make_tenant(company: Company) -> None:
    with acting_for(company.tenant_id):
        if not Tenant.objects.filter(pk=company.tenant_id).exists():
            Tenant.objects.create(
                id=company.tenant_id, slug=company.slug, name=company.name, entra_tenant_id=company.entra_tenant_id
            )


def _make_person(sign_in: SignIn) -> None:
    user = User.objects.filter(email=sign_in.email).first() or User.objects.create_user(
        sign_in.email, sign_in.password, name=sign_in.name
    )
    if sign_in.seed:
        app = {"secret": encrypt(sign_in.seed)}
        Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": app})
    if sign_in.company is None:
        ProviderMembership.objects.get_or_create(user=user, role=sign_in.role, reach=Reach.ALL)
        return
    with acting_for(sign_in.company.tenant_id):
        TenantMembership.objects.get_or_create(tenant_id=sign_in.company.tenant_id, user=user, role=sign_in.role)


def _make_groups(company: Company, admin: Actor) -> None:
    there = set(DeviceGroup.objects.values_list("name", flat=True))
    for rank, (level, plan) in enumerate(company.groups.items(), start=1):
        if plan.name not in there:
            save_group(
                tenant_id=company.tenant_id,
                group_id=None,
                name=plan.name,
                rank=rank,
                automation_level=level,
                rules=[plan.rule],
                actor=admin,
            )


def _connect(company: Company, simulator_url: str) -> None:
    addresses = dict.fromkeys(ADDRESSES, simulator_url)
    Connection.objects.update_or_create(
        tenant_id=company.tenant_id, kind="microsoft", defaults={**addresses, "next_sync_at": None}
    )


def _connect_intune(company: Company) -> None:
    """Give the company its Intune switch: on at Nordfjell, where tasks may be moved from here too, off elsewhere."""
    if IntuneConnection.objects.filter(tenant_id=company.tenant_id).exists():
        return
    petra = actor_for(User.objects.get(email=PROVIDER_ADMIN.email), by_key=False, second_factor_at=datetime.now(UTC))
    is_on = company is NORDFJELL
    fresh = IntuneConnection(tenant_id=company.tenant_id, is_on=is_on, may_update_tasks=is_on)
    create_intune_connection(fresh, actor=petra)
