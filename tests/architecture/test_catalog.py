"""What the database enforces, read from its own catalog: every table is classed, and every class keeps its wall."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from portal.tenancy.models import Tenant, TenantForeignKey, TenantModel

pytestmark = pytest.mark.django_db

TENANT = {
    "access_tenantmembership",
    "actions_actionevidence",
    "actions_decision",
    "actions_remediationaction",
    "api_idempotentanswer",
    "audit_auditevent",
    "connectors_connection",
    "hunting_hunt",
    "investigations_alert",
    "investigations_device",
    "investigations_devicegroup",
    "investigations_devicegrouprule",
    "investigations_evidence",
    "investigations_investigation",
    "investigations_investigationdevice",
    "retention_legalhold",
    "retention_purge",
    "retention_purgeturn",
    "retention_retentionrule",
    "secrets_tenantdatakey",
    "outbound_channel",
    "outbound_delivery",
    "safeguards_approvalrule",
    "safeguards_breakglass",
    "safeguards_freeze",
    "safeguards_guardedchange",
    "safeguards_hourlycap",
    "safeguards_hourlyuse",
    "safeguards_protecteddevice",
    "sign_in_identityprovider",
    "vulnerabilities_activitydevice",
    "vulnerabilities_burndownday",
    "vulnerabilities_excepteddevice",
    "vulnerabilities_exception",
    "vulnerabilities_exposure",
    "vulnerabilities_exposureday",
    "vulnerabilities_intuneconnection",
    "vulnerabilities_manageddevice",
    "vulnerabilities_recommendation",
    "vulnerabilities_remediationactivity",
    "vulnerabilities_securitytask",
    "vulnerabilities_securitytaskdevice",
    "vulnerabilities_vulnerabilitysync",
}
"""Customer data: a tenant on every row, held by both walls."""

OWN_ID = {"tenancy_tenant"}
"""The tenants themselves, held by their own id."""

GLOBAL = {"vulnerabilities_knownexploitedfeed", "vulnerabilities_knownexploitedvulnerability"}
"""Facts that are the same for everybody."""

SYSTEM = {
    "access_apikey",
    "access_invitation",
    "access_providermembership",
    "access_user",
    "account_emailaddress",
    "account_emailconfirmation",
    "audit_sealing",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_admin_log",
    "django_content_type",
    "django_migrations",
    "django_session",
    "mfa_authenticator",
    "socialaccount_socialaccount",
    "socialaccount_socialapp",
    "socialaccount_socialtoken",
    "tenancy_tenantgroup",
    "tenancy_tenantgroupmember",
}
"""The provider's own, and the framework's: no customer data."""

LOOK_UPS = {
    "audit_heads": "the sealer signs the newest event of every tenant",
    "freezes_over": "what holds a tenant's sending back, the provider's own freezes too",
    "roles_of_person": "which tenants may this person see, and as what",
    "tenant_by_slug": "the command line names a tenant by its short name",
    "provider_freezes": "what is frozen for all tenants, told to everybody it holds",
    "tenants_with_due_safeguards": "whose changes waited too long, alarms not gone out, counts grown old",
    "tenants_with_due_deliveries": "whose notifications are to be tried",
    "tenants_with_due_hunts": "whose hunts are to run, whose evidence waits for recipients, whose hunts grew old",
    "tenants_with_data_keys": "whose data keys rotate_keys goes through",
    "tenants_with_due_vulnerability_work": "whose recommendations, tickets, due dates and exceptions are to be seen to",
    "tenants_with_recommendations": "whose recommendations are marked when the list of what is exploited changes",
    "tenants_with_due_purges": "whose old rows are to be looked for",
    "tenants_with_due_work": "whose bells the sweep has to ring",
}


WRITERS = {"audit_append": "history is written for tenants in scope, by this and by nothing else"}
"""Run as the tables' owner, whom row-level security is forced on: they see what their caller's scope shows."""


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def test_the_suite_itself_is_held_by_the_walls() -> None:
    [(name, is_superuser, bypasses)] = rows(
        "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    assert (name, is_superuser, bypasses) == ("portal_app", False, False)


def test_every_table_is_classed() -> None:
    found = {name for (name,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert found == TENANT | OWN_ID | GLOBAL | SYSTEM


def test_every_tenant_table_forces_row_level_security_with_both_halves_of_a_policy() -> None:
    held = rows(
        """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relrowsecurity AND c.relforcerowsecurity
          AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'one_of_mine'
                      AND p.polroles = '{0}' AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL)
        """
    )
    assert {name for (name,) in held} == TENANT | OWN_ID


def test_every_tenant_table_has_a_tenant_on_every_row() -> None:
    found = rows(
        """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND a.attname = 'tenant_id' AND a.attnotnull
        """
    )
    assert {name for (name,) in found} >= TENANT


def test_unique_indexes_of_tenant_tables_begin_with_the_tenant() -> None:
    """One over all tenants would tell one tenant of another's values; row ids alone may stand by themselves."""
    found = rows(
        """
        SELECT c.relname, i.indexrelid::regclass::text, a.attname
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indisunique AND c.relname = ANY (%s::text[]) AND NOT i.indisprimary
        """,
        sorted(TENANT),
    )
    assert {(table, index) for table, index, column in found if column != "tenant_id"} == set()


def test_foreign_keys_between_tenant_tables_go_by_tenant_and_id() -> None:
    found = rows(
        """
        SELECT c.relname, k.conname, f.relname,
               (SELECT array_agg(a.attname::text ORDER BY x.n) FROM unnest(k.conkey) WITH ORDINALITY x(num, n)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.num)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
        WHERE k.contype = 'f' AND f.relname = ANY (%s::text[])
        """,
        sorted(TENANT),
    )
    assert found
    assert [row for row in found if row[3][0] != "tenant_id" or len(row[3]) != 2] == []
    in_code = sum(
        isinstance(field, TenantForeignKey)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if not model._meta.proxy
    )
    assert len(found) == in_code


def test_every_foreign_key_to_a_tenant_model_is_of_our_kind() -> None:
    loose = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.local_fields
        if field.related_model is not None
        and isinstance(field.related_model, type)
        and issubclass(field.related_model, TenantModel)
        and not isinstance(field, TenantForeignKey)
    ]
    assert loose == []


def test_the_app_owns_nothing_and_may_not_truncate_nor_bend_history() -> None:
    assert rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'portal_owner'") == []
    granted = rows(
        """
        SELECT table_name, privilege_type FROM information_schema.role_table_grants
        WHERE grantee = 'portal_app' AND table_schema = 'public'
        """
    )
    assert {kind for _table, kind in granted} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert {kind for table, kind in granted if table == "audit_auditevent"} == {"SELECT"}


def test_the_look_up_role_sees_columns_not_tables_and_cannot_sign_in() -> None:
    assert rows("SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'portal_lookup'") == [
        (False, False, False)
    ]
    whole = "SELECT 1 FROM information_schema.role_table_grants WHERE grantee = 'portal_lookup'"
    assert rows(whole) == []
    widest = rows(
        """
        SELECT c.relname, count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid,
             LATERAL aclexplode(a.attacl) g
        WHERE pg_get_userbyid(g.grantee) = 'portal_lookup' AND g.privilege_type = 'SELECT'
        GROUP BY c.relname ORDER BY 2 DESC LIMIT 1
        """
    )
    assert widest[0][1] <= 8


def test_only_the_listed_functions_look_over_all_tenants() -> None:
    found = rows(
        """
        SELECT p.proname, pg_get_userbyid(p.proowner), p.proconfig::text,
               has_function_privilege('portal_app', p.oid, 'EXECUTE'),
               EXISTS (SELECT 1 FROM aclexplode(p.proacl) g WHERE g.grantee = 0)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'public' AND p.prosecdef
        """
    )
    assert {row[0] for row in found if row[1] == "portal_lookup"} == set(LOOK_UPS)
    assert {row[0] for row in found if row[1] == "portal_owner"} == set(WRITERS)
    assert {row[1] for row in found} == {"portal_lookup", "portal_owner"}
    for _name, _owner, configuration, app_may, everybody_may in found:
        assert (app_may, everybody_may) == (True, False)
        assert "search_path=public, pg_temp" in configuration


def test_there_is_no_view_that_would_see_as_its_owner() -> None:
    assert rows("SELECT viewname FROM pg_views WHERE schemaname = 'public'") == []


def test_the_loud_exception_is_used_where_it_is_listed() -> None:
    assert [model.__name__ for model in apps.get_models() if hasattr(model, "across_tenants")] == [Tenant.__name__]
