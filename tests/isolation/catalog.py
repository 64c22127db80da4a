"""What PostgreSQL's own catalog says is wrong with the second wall: one sentence for each finding."""

from typing import Any, Protocol

from tests.architecture.test_catalog import GLOBAL, LOOK_UPS, OWN_ID, SYSTEM, TENANT, WRITERS


class Connection(Protocol):
    """What a statement is run on: anything with psycopg's `execute`."""

    def execute(self, query: Any, params: Any = None) -> Any:
        """Run a statement and return what can be iterated over."""


NO_PLACE_HERE = """
SELECT format('%%s is in schema %%s: tables live in public', c.relname, n.nspname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('public', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%%'
UNION ALL
SELECT format('%%s is a foreign table or materialised view: row-level security does not reach it', c.relname)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('m', 'f')
"""

NOT_CLASSED = """
SELECT format('%%s is classed neither tenant, global nor system', c.relname) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relname = ANY (%(classed)s)
"""

NO_WALL = """
SELECT format('%%s does not force row-level security', c.relname) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relname = ANY (%(open)s)
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
UNION ALL
SELECT format('%%s has no policy one_of_mine with USING and WITH CHECK for everybody', c.relname) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relname = ANY (%(open)s)
  AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'one_of_mine' AND p.polcmd = '*'
                  AND p.polpermissive AND p.polroles = '{0}'
                  AND pg_get_expr(p.polqual, c.oid) = pg_get_expr(p.polwithcheck, c.oid)
                  AND pg_get_expr(p.polqual, c.oid) LIKE format('(%%s = ANY %%%%app.tenant_ids%%%%',
                      CASE WHEN c.relname = ANY (%(own_id)s) THEN 'id' ELSE 'tenant_id' END))
UNION ALL
SELECT format('%%s has another policy, %%s, that is not for reading by portal_lookup alone', c.relname, p.polname)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE p.polname <> 'one_of_mine'
  AND NOT (p.polcmd = 'r' AND p.polroles = ARRAY['portal_lookup'::regrole::oid])
"""

NO_TENANT = """
SELECT format('%%s has no tenant_id that is never null', c.relname) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relname = ANY (%(open)s) AND NOT c.relname = ANY (%(own_id)s)
  AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull
                  AND a.atttypid = 'uuid'::regtype)
"""

UNLED_KEYS = """
SELECT format('unique index %%s of %%s does not begin with tenant_id', i.indexrelid::regclass, c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND NOT i.indisprimary
  AND NOT c.relname = ANY (%(open)s) AND NOT c.relname = ANY (%(own_id)s) AND a.attname IS DISTINCT FROM 'tenant_id'
UNION ALL
SELECT format('foreign key %%s of %%s does not go by tenant_id and id', k.conname, c.relname)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f' AND f.relnamespace = 'public'::regnamespace
  AND NOT f.relname = ANY (%(open)s) AND NOT f.relname = ANY (%(own_id)s)
  AND (a.attname <> 'tenant_id' OR cardinality(k.conkey) <> 2)
"""

OWNED_BY_THE_APP = """
SELECT format('%%s belongs to %%s, not to portal_owner', c.relname, pg_get_userbyid(c.relowner)) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND pg_get_userbyid(c.relowner) <> 'portal_owner'
"""

SEES_AS_OWNER = """
SELECT format('view %%s is not security_invoker: it shows what its owner sees', c.relname) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
  AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
"""

GRANTED_TOO_MUCH = """
SELECT format('%%s may %%s on %%s', coalesce(nullif(g.grantee, 0)::regrole::text, 'everybody'), g.privilege_type,
              c.relname)
FROM pg_class c, LATERAL aclexplode(c.relacl) g
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND g.grantee <> c.relowner
  AND NOT (g.grantee = 'portal_app'::regrole AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
UNION ALL
SELECT format('portal_app may %%s the history', g.privilege_type) FROM pg_class c, LATERAL aclexplode(c.relacl) g
WHERE c.relname = 'audit_auditevent' AND g.grantee = 'portal_app'::regrole AND g.privilege_type <> 'SELECT'
  AND g.privilege_type <> 'INSERT'
"""

FUNCTIONS_THAT_SEE_MORE = """
SELECT format('function %%s runs as its owner and is not listed', p.proname) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND NOT p.proname = ANY (%(look_ups)s) AND NOT p.proname = ANY (%(writers)s)
UNION ALL
SELECT format('function %%s runs as its owner without a pinned search_path', p.proname) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND NOT coalesce('search_path=public, pg_temp' = ANY (p.proconfig), false)
UNION ALL
SELECT format('function %%s runs as its owner and %%s may execute it', p.proname,
              coalesce(nullif(g.grantee, 0)::regrole::text, 'everybody'))
FROM pg_proc p, LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND g.grantee NOT IN (p.proowner, 'portal_app'::regrole)
UNION ALL
SELECT format('function %%s looks over all tenants and belongs to %%s', p.proname, pg_get_userbyid(p.proowner))
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (%(look_ups)s)
  AND pg_get_userbyid(p.proowner) <> 'portal_lookup'
"""

POWERFUL_ROLES = """
SELECT format('role %%s can do more than it should', r.rolname) FROM pg_roles r
WHERE r.rolname IN ('portal_app', 'portal_owner', 'portal_lookup')
  AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR (r.rolname = 'portal_lookup' AND r.rolcanlogin))
UNION ALL
SELECT format('portal_app is a member of %%s', m.roleid::regrole) FROM pg_auth_members m
WHERE m.member = 'portal_app'::regrole
"""

QUESTIONS = (
    NO_PLACE_HERE,
    NOT_CLASSED,
    NO_WALL,
    NO_TENANT,
    UNLED_KEYS,
    OWNED_BY_THE_APP,
    SEES_AS_OWNER,
    GRANTED_TOO_MUCH,
    FUNCTIONS_THAT_SEE_MORE,
    POWERFUL_ROLES,
)


def findings(connection: Connection) -> list[str]:
    """Return everything that is wrong with tables, views, grants and functions; nothing when the wall is whole."""
    named = {
        "classed": sorted(TENANT | OWN_ID | GLOBAL | SYSTEM),
        "open": sorted(GLOBAL | SYSTEM),
        "own_id": sorted(OWN_ID),
        "look_ups": sorted(LOOK_UPS),
        "writers": sorted(WRITERS),
    }
    return sorted(line for question in QUESTIONS for (line,) in connection.execute(question, named))
