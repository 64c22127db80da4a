"""Two tenants with a row of every kind: ours, whose people look, and theirs, whose every text is a canary."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.db import connection, models
from django.utils import timezone
from psycopg import sql
from uuid_utils.compat import uuid7

from connectors.models import Connection
from connectors.outbound.models import Channel, Delivery
from investigations.models import Device, DeviceGroupRule, InvestigationDevice
from portal.access.models import ApiKey, ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.audit.recording import ActorStamp, record
from portal.embedded.servers import join_postgres
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup, TenantGroupMember, TenantModel
from portal.tenancy.scope import acting_for
from remediation.actions import transitions
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.hunting.models import Hunt
from remediation.safeguards.models import GuardedChange
from remediation.vulnerabilities.models import (
    Exposure,
    Recommendation,
    RecommendationException,
    RemediationActivity,
    SecurityTask,
)
from tests import factories
from tests.isolation.canaries import Canaries

Model = type[models.Model]
OURS_AT_MICROSOFT = UUID("7c2f9e10-41b8-4d07-9a3e-5d6b8e0f1a22")
PEOPLE = {
    "admin": Role.TENANT_ADMIN,
    "approver": Role.APPROVER,
    "reader": Role.READER,
    "emergency": Role.BREAK_GLASS,
}
PATH_TO_SUCCESS = (State.APPROVED, State.SENDING, State.ACCEPTED, State.SUCCEEDED)


@dataclass(slots=True)
class Side:
    """One tenant, its people by what they are there, and the ids of its rows by model."""

    tenant: Tenant
    people: dict[str, User] = field(default_factory=dict)
    rows: dict[Model, list[Any]] = field(default_factory=dict)
    key: str = ""

    def ids(self, model: Model) -> list[Any]:
        """Return the ids of its rows of a kind; a proxy's are those of the model it stands for."""
        return self.rows[model._meta.concrete_model or model]


@dataclass(slots=True)
class World:
    """Both tenants, those who belong to neither, and the canaries."""

    ours: Side
    theirs: Side
    canaries: Canaries
    nobody: User
    group_staff: User
    provider: User


def unknown(model: Model) -> Any:
    """Return an id of the model's kind that no row has."""
    return uuid7() if isinstance(model._meta.pk, models.UUIDField) else random.randint(800_000_000, 899_999_999)


def tenant_models() -> list[Model]:
    """Return every model whose rows belong to a tenant."""
    found = [model for model in apps.get_models() if issubclass(model, TenantModel) and not model._meta.proxy]
    return sorted(found, key=lambda model: model._meta.label)


def build() -> World:
    """Make the world and commit it."""
    ours, theirs = _furnish("acme", OURS_AT_MICROSOFT), _furnish("globex", uuid7())
    provider = _staff("pia", Role.PROVIDER_ADMIN, None)
    group = TenantGroup.objects.create(name="Ours")
    TenantGroupMember.objects.create(group=group, tenant=ours.tenant)
    ours.rows[TenantGroup] = [group.pk]
    group_staff = _staff("gus", Role.PROVIDER_ADMIN, group)
    ours.rows[ProviderMembership] = [ProviderMembership.objects.get(user=group_staff).pk]
    nobody = User.objects.create_user("nobody@provider.example", name="Nobody")
    canaries = Canaries()
    _plant(theirs, canaries)
    return World(ours, theirs, canaries, nobody, group_staff, provider)


def _staff(name: str, role: Role, group: TenantGroup | None) -> User:
    user = User.objects.create_user(f"{name}@provider.example", name=name.title())
    reach = Reach.GROUP if group else Reach.ALL
    ProviderMembership.objects.create(user=user, role=role, reach=reach, group=group)
    return user


def _furnish(slug: str, entra_tenant_id: UUID) -> Side:
    side = Side(Tenant(id=uuid7(), slug=slug, name=slug.title(), entra_tenant_id=entra_tenant_id))
    with acting_for(side.tenant.id):
        side.tenant.save(force_insert=True)
    for name, role in PEOPLE.items():
        side.people[name] = User.objects.create_user(f"{name}@{slug}.example", name=name.title())
        with acting_for(side.tenant.id):
            TenantMembership.objects.create(tenant=side.tenant, user=side.people[name], role=role)
    side.key = factories.make_key(side.tenant, Role.TENANT_ADMIN)
    _add_rows(side)
    _add_vulnerabilities(side)
    with acting_for(side.tenant.id):
        _fill_gaps(side)
        side.rows.update({model: _ids(model) for model in tenant_models()})
    _add_accounts(side)
    return side


def _ids(model: Model) -> list[UUID]:
    """Return the newest row's id; of actions two, since one that waits and one that is done have pages of their own."""
    newest_first = model._base_manager.order_by("-pk").values_list("pk", flat=True)
    return list(newest_first[: 2 if model is RemediationAction else 1])


def _add_rows(side: Side) -> None:
    """Add what services and factories make as it is in life: a case with an action that waits and one that is done."""
    tenant = side.tenant
    group = factories.make_group(tenant)
    device = factories.make_device(tenant, group=group)
    case = factories.make_investigation(tenant, device=device, started_by=side.people["admin"])
    factories.make_evidence(factories.make_alert(tenant, case), device)
    factories.make_pending_action(tenant, device, requested_by=side.people["admin"], investigation_id=case.pk)
    done = factories.make_pending_action(tenant, device, type_name="restrict_code_execution", investigation_id=case.pk)
    with acting_for(tenant.id):
        for state in PATH_TO_SUCCESS:
            transitions.move(transitions.lock(done.pk), state, actor=ActorStamp(None, "Automation"))
        DeviceGroupRule.objects.create(tenant=tenant, group=group, property="name", operator="equals", value="pc-1")
        InvestigationDevice.objects.create(tenant=tenant, investigation=case, device=device)
        Connection.objects.create(tenant=tenant)
        channel = Channel.objects.create(
            tenant=tenant, kind="email", name="IT", events=["overdue"], emails=[f"it@{tenant.slug}.example"]
        )
        Delivery.objects.create(
            tenant=tenant,
            channel=channel,
            channel_name="IT",
            kind="email",
            event="overdue",
            key="overdue",
            subject="Overdue",
            facts=[["Device", device.name]],
            object_type="device",
            object_id=device.pk,
            state="delivered",
        )
        hunt_id = uuid7()  # its batch has the same id, so that the page of a batch has one to name
        Hunt.objects.create(
            id=hunt_id,
            tenant=tenant,
            batch=hunt_id,
            source="advanced_hunting",
            query="DeviceInfo",
            state="done",
            columns=[["DeviceId", "String"]],
            rows=[{"DeviceId": device.machine_id}],
            row_count=1,
            asked_by=side.people["admin"],
        )
        GuardedChange.objects.create(
            tenant=tenant,
            kind="set_hourly_cap",
            details={"action_type": "isolate_device", "cap": 3},
            reason="Because.",
            requested_by=side.people["admin"],
        )


def _add_vulnerabilities(side: Side) -> None:
    """Add a recommendation with an activity that has a ticket, and an exception that waits for a second person."""
    tenant = side.tenant
    with acting_for(tenant.id):
        device = Device.objects.order_by("id")[0]
        group_ids = [device.group_id]
        found = Recommendation.objects.create(
            tenant=tenant,
            recommendation_id="va-_-7-zip-_-7-zip",
            name="Update 7-zip",
            exposed_count=1,
            cve_ids=["CVE-2024-11477"],
            raw={"id": "va-_-7-zip-_-7-zip"},
        )
        Exposure.objects.create(tenant=tenant, recommendation=found, device=device)
        activity_id = uuid7()  # its campaign has the same id, so that the page of a campaign has one to name
        activity = RemediationActivity.objects.create(
            id=activity_id,
            tenant=tenant,
            recommendation=found,
            campaign=activity_id,
            tenants_asked=2,
            title="Update 7-zip",
            option="software_update",
            priority="high",
            due_on=timezone.now().date() + timedelta(days=30),
            group_ids=group_ids,
            group_names=["Group"],
            requested_by=side.people["admin"],
            devices_at_start=1,
            devices_exposed=1,
            wants_ticket=True,
        )
        SecurityTask.objects.create(
            tenant=tenant, activity=activity, kind="app", display_name="Update 7-zip", status="pending", remote_id="t1"
        )
        RecommendationException.objects.create(
            tenant=tenant,
            kind="recommendation",
            recommendation=found,
            group_ids=group_ids,
            group_names=["Group"],
            justification="risk_accepted",
            context="Because.",
            expires_on=timezone.now().date() + timedelta(days=30),
            requested_by=side.people["admin"],
        )


def _add_accounts(side: Side) -> None:
    """Note the rows without a tenant on them that are this side's all the same."""
    side.rows[Tenant] = [side.tenant.pk]
    key = ApiKey.objects.latest("pk")
    User.objects.filter(pk=key.user_id).update(belongs_to=side.tenant)
    side.rows[ApiKey] = [key.pk]
    side.rows[User] = [side.people["approver"].pk, key.user_id]
    user = side.people["approver"]
    number = random.randint(900_000_000, 999_999_999)
    SocialAccount.objects.create(pk=number, user=user, provider=side.tenant.slug, uid=f"subject-{side.tenant.slug}")
    Authenticator.objects.create(pk=number, user=user, type=Authenticator.Type.WEBAUTHN, data={"name": "Key"})
    side.rows |= {SocialAccount: [number], Authenticator: [number]}


def _fill_gaps(side: Side) -> None:
    """Add a plain row to every tenant table that has none yet, those it points to first."""
    waiting = [model for model in tenant_models() if not model._base_manager.exists()]
    while waiting:
        ready = [model for model in waiting if not _targets(model) & set(waiting)]
        assert ready, f"these tables point to each other, so seed them in world.py: {waiting}"
        for model in ready:
            model._base_manager.create(**_plain_values(model, side))
            waiting.remove(model)


def _links(model: Model) -> Iterator[models.ForeignKey]:
    fields = model._meta.local_fields
    return (link for link in fields if isinstance(link, models.ForeignKey) and not link.null)


def _targets(model: Model) -> set[Model]:
    return {link.related_model for link in _links(model)} - {model}


def _plain_values(model: Model, side: Side) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in model._meta.local_concrete_fields:
        has_value = column.primary_key or column.null or column.has_default() or column.has_db_default()
        if not has_value and not (column.blank and column.empty_strings_allowed):
            values[column.attname] = _plain_value(column, side)
    return values


def _plain_value(column: models.Field, side: Side) -> Any:
    if isinstance(column, models.ForeignKey):
        if column.related_model is Tenant:
            return side.tenant.pk
        if column.related_model is User:
            return side.people["admin"].pk
        return column.related_model._base_manager.order_by("-pk").values_list("pk", flat=True)[0]
    if column.choices:
        return column.choices[0][0]
    shapes: list[tuple[type, Any]] = [
        (models.DateTimeField, timezone.now() + timedelta(hours=1)),
        (models.DateField, timezone.now().date() + timedelta(days=30)),
        (models.IntegerField, 1),
        (models.BooleanField, False),
        (models.UUIDField, uuid7()),
        (models.JSONField, {}),
        (models.BinaryField, b"\0"),
        (models.CharField, "isolate_device"),
        (models.TextField, "Because."),
    ]
    return next(value for kind, value in shapes if isinstance(column, kind))


def _plant(side: Side, canaries: Canaries) -> None:
    """Put a canary into every text of the tenant's rows, of its people and of what the provider noted about it.

    Past triggers that keep rows as they are: canaries stand in for what the rows could have held from their birth.
    """
    with acting_for(side.tenant.id):
        rows = [row for model in tenant_models() if model is not AuditEvent for row in model._base_manager.all()]
    people = User.objects.filter(email__endswith="@globex.example")
    with past_the_walls() as superuser:
        for row in [*rows, side.tenant, *people]:
            if planted := canaries.plant(row):
                _write(superuser, row, planted)
    with acting_for(side.tenant.id):
        side.tenant = Tenant.objects.get()
        _note(canaries, side.tenant.pk, side.rows[RemediationAction][0])
    with acting_for(side.tenant.id):
        side.rows[AuditEvent] = _ids(AuditEvent)
    _plant_at_provider(side, canaries)


@contextmanager
def past_the_walls() -> Iterator[psycopg.Connection]:
    """Open a connection as the database's superuser, for whom neither walls nor triggers hold; commit at the end."""
    name = str(connection.settings_dict["NAME"])
    with psycopg.connect(join_postgres().url("postgres", name)) as superuser:
        superuser.execute("SET session_replication_role = replica")
        yield superuser


def _write(superuser: psycopg.Connection, row: models.Model, values: dict[str, Any]) -> None:
    columns = {field.name: field for field in row._meta.local_concrete_fields}
    changes = sql.SQL(", ").join(
        sql.SQL("{} = %s").format(sql.Identifier(str(columns[name].column))) for name in values
    )
    statement = sql.SQL("UPDATE {} SET {} WHERE id = %s").format(sql.Identifier(row._meta.db_table), changes)
    sent = [columns[name].get_db_prep_save(value, connection) for name, value in values.items()]
    superuser.execute(statement, [*sent, row.pk])


def _note(canaries: Canaries, tenant_id: UUID, object_id: UUID) -> None:
    """History cannot be changed, so its canaries are written as events."""
    mint = {name: canaries.mint(f"audit_auditevent.{name}") for name in ("verb", "object_type", "actor_label", "data")}
    record(
        tenant_id,
        mint["verb"],
        object_type=mint["object_type"],
        object_id=object_id,
        actor=ActorStamp(uuid7(), mint["actor_label"]),
        data={"target": mint["data"], "before": {"name": mint["data"]}, "after": None},
    )


def _plant_at_provider(side: Side, canaries: Canaries) -> None:
    """What the provider keeps of the other tenant in its own tables and its own history."""
    group = TenantGroup.objects.create(name=canaries.mint("tenancy_tenantgroup.name"))
    TenantGroupMember.objects.create(group=group, tenant=side.tenant)
    staff = User.objects.create_user(f"{canaries.mint('access_user.email')}@provider.example")
    membership = ProviderMembership.objects.create(user=staff, role=Role.ANALYST, reach=Reach.GROUP, group=group)
    ApiKey.objects.filter(pk__in=side.rows[ApiKey]).update(name=canaries.mint("access_apikey.name"))
    side.rows |= {TenantGroup: [group.pk], ProviderMembership: [membership.pk]}
    with acting_for(PROVIDER_TENANT_ID):
        _note(canaries, PROVIDER_TENANT_ID, staff.pk)


def fingerprint(side: Side) -> dict[str, str]:
    """Return a digest of each of the tenant's tables but the history, which may grow; read in its own scope."""
    digests = {}
    with acting_for(side.tenant.pk), connection.cursor() as cursor:
        for table in {Tenant._meta.db_table, *(model._meta.db_table for model in tenant_models())}:
            if table != AuditEvent._meta.db_table:
                cursor.execute(f'SELECT md5(string_agg(r::text, chr(10) ORDER BY r.id)) FROM "{table}" r')
                digests[table] = str(cursor.fetchone()[0])
    return digests
