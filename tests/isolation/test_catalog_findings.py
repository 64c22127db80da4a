"""The catalog has no findings, and would have: each careless thing an owner could do is named."""

from typing import LiteralString

import psycopg
import pytest
from django.db import connection

from portal.embedded.servers import join_postgres
from tests.isolation.catalog import findings
from tests.isolation.world import World

TABLE = "CREATE TABLE careless (id uuid PRIMARY KEY, tenant_id uuid, name text UNIQUE, device_id uuid"
WALL = "ALTER TABLE investigations_device"
ALL_OPEN = "FOR ALL USING (true)"
CARELESS: list[tuple[LiteralString, set[str]]] = [
    (
        f"{TABLE} REFERENCES investigations_device (id))",
        {
            "careless is classed neither tenant, global nor system",
            "careless does not force row-level security",
            "careless has no policy one_of_mine with USING and WITH CHECK for everybody",
            "careless has no tenant_id that is never null",
            "foreign key careless_device_id_fkey of careless does not go by tenant_id and id",
            "unique index careless_name_key of careless does not begin with tenant_id",
        },
    ),
    (f"{WALL} DISABLE ROW LEVEL SECURITY", {"investigations_device does not force row-level security"}),
    (f"{WALL} NO FORCE ROW LEVEL SECURITY", {"investigations_device does not force row-level security"}),
    (
        f"CREATE POLICY wide ON investigations_device {ALL_OPEN}",
        {"investigations_device has another policy, wide, that is not for reading by portal_lookup alone"},
    ),
    (
        "ALTER POLICY one_of_mine ON investigations_device WITH CHECK (true)",
        {"investigations_device has no policy one_of_mine with USING and WITH CHECK for everybody"},
    ),
    (f"{WALL} ALTER tenant_id DROP NOT NULL", {"investigations_device has no tenant_id that is never null"}),
    (
        "CREATE UNIQUE INDEX careless ON investigations_device (machine_id)",
        {"unique index careless of investigations_device does not begin with tenant_id"},
    ),
    (
        "CREATE UNIQUE INDEX careless ON investigations_device (lower(name))",
        {"unique index careless of investigations_device does not begin with tenant_id"},
    ),
    (
        "CREATE VIEW careless AS SELECT name FROM investigations_device",
        {"view careless is not security_invoker: it shows what its owner sees"},
    ),
    (
        "CREATE MATERIALIZED VIEW careless AS SELECT name FROM investigations_device",
        {"careless is a foreign table or materialised view: row-level security does not reach it"},
    ),
    ("CREATE SCHEMA careless CREATE TABLE loose (id int)", {"loose is in schema careless: tables live in public"}),
    ("GRANT TRUNCATE ON investigations_device TO portal_app", {"portal_app may TRUNCATE on investigations_device"}),
    ("GRANT TRIGGER ON investigations_device TO portal_app", {"portal_app may TRIGGER on investigations_device"}),
    ("GRANT REFERENCES ON investigations_device TO portal_app", {"portal_app may REFERENCES on investigations_device"}),
    ("GRANT SELECT ON investigations_device TO PUBLIC", {"everybody may SELECT on investigations_device"}),
    ("GRANT SELECT ON access_user TO portal_lookup", {"portal_lookup may SELECT on access_user"}),
    ("GRANT DELETE ON audit_auditevent TO portal_app", {"portal_app may DELETE the history"}),
    (
        "CREATE FUNCTION careless() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        {
            "function careless runs as its owner and is not listed",
            "function careless runs as its owner without a pinned search_path",
            "function careless runs as its owner and everybody may execute it",
        },
    ),
    (
        "ALTER TABLE investigations_device OWNER TO portal_app",
        {"investigations_device belongs to portal_app, not to portal_owner"},
    ),
    ("GRANT portal_lookup TO portal_app", {"portal_app is a member of portal_lookup"}),
    ("ALTER ROLE portal_app BYPASSRLS", {"role portal_app can do more than it should"}),
]


def test_the_catalog_has_no_findings(world: World):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert findings(connection.connection) == []


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("statement", "expected"), CARELESS, ids=[statement[:45] for statement, _ in CARELESS])
def test_each_careless_thing_is_found(statement: LiteralString, expected: set[str]):
    """Done in a transaction that is rolled back: what creates something as the tables' owner, the rest as superuser."""
    url = join_postgres().url("postgres", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url) as careless:
        if statement.startswith("CREATE"):
            careless.execute("SET LOCAL ROLE portal_owner")
        careless.execute(statement)
        careless.execute("RESET ROLE")
        found = findings(careless)
        careless.rollback()

    assert expected <= set(found)
