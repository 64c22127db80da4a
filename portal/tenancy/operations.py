"""The migration operation that makes a table a tenant table: row-level security, keys and foreign keys by tenant."""

from typing import Any

from django.apps.registry import Apps
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

ONE_OF_MINE = "any((select nullif(current_setting('app.tenant_ids', true), '')::uuid[])::uuid[])"
"""Read once per query (an InitPlan), not per row; without a scope it is null and no row matches."""


class Isolate(Operation):
    """Force row-level security on a model's table and bind its tenant foreign keys by (tenant_id, id).

    Belongs in the migration that creates the table. Reversible.
    """

    reversible = True
    atomic = True

    def __init__(self, model_name: str, *, tenant_column: str = "tenant_id") -> None:
        self.model_name = model_name
        self.tenant_column = tenant_column

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no model state: this is about the database alone."""

    def database_forwards(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> None:
        """Add the wall."""
        model = _model(after.apps, app_label, self.model_name)
        table = editor.quote_name(model._meta.db_table)
        rule = f"{self.tenant_column} = {ONE_OF_MINE}"
        editor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        editor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        editor.execute(f"CREATE POLICY one_of_mine ON {table} USING ({rule}) WITH CHECK ({rule})")
        if self.tenant_column == "tenant_id":
            editor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {_name(model, 'tenant_key')} UNIQUE (tenant_id, id)")
        for field in _tenant_links(model):
            editor.execute(_composite_key(editor, model, field))

    def database_backwards(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> None:
        """Take the wall down again."""
        model = _model(before.apps, app_label, self.model_name)
        table = editor.quote_name(model._meta.db_table)
        for field in _tenant_links(model):
            editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_name(model, field.column)}")
        if self.tenant_column == "tenant_id":
            editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_name(model, 'tenant_key')}")
        editor.execute(f"DROP POLICY one_of_mine ON {table}")
        editor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        editor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")

    def describe(self) -> str:
        """Say what the operation does, for `migrate --plan`."""
        return f"Isolate {self.model_name} by tenant with row-level security"

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how to write this operation down."""
        return type(self).__name__, [self.model_name], {"tenant_column": self.tenant_column}


def _model(apps: Apps, app_label: str, name: str) -> type[models.Model]:
    return apps.get_model(app_label, name)


def _name(model: type[models.Model], what: str) -> str:
    return f'"{model._meta.db_table[:30]}_{what[:24]}_wall"'


def _tenant_links(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    """Foreign keys whose constraint Django left to us: those between tenant tables, not that to the tenant itself."""
    keys = [field for field in model._meta.local_fields if isinstance(field, models.ForeignKey)]
    return [key for key in keys if not key.db_constraint and key.name != "tenant"]  # type: ignore[attr-defined]  # missing from the stubs


def _composite_key(
    editor: BaseDatabaseSchemaEditor, model: type[models.Model], field: models.ForeignKey[Any, Any]
) -> str:
    target = field.related_model
    return (
        f"ALTER TABLE {editor.quote_name(model._meta.db_table)} ADD CONSTRAINT {_name(model, field.column)} "
        f"FOREIGN KEY (tenant_id, {editor.quote_name(field.column)}) "
        f"REFERENCES {editor.quote_name(target._meta.db_table)} (tenant_id, id) DEFERRABLE INITIALLY IMMEDIATE"
    )


class LookUpFunction(RunSQL):
    """A SECURITY DEFINER function over all tenants, owned by portal_lookup and run by portal_app alone.

    `signature` is its name with argument types, `definition` the CREATE FUNCTION text (without SECURITY DEFINER and
    search_path, which are set here), `reads` maps each table to the columns it may see; on a tenant table the role
    gets a policy of its own, since row-level security is forced on the owner too.
    """

    def __init__(self, signature: str, *, definition: str, reads: dict[str, str], walled: tuple[str, ...] = ()) -> None:
        self.signature, self.definition, self.reads, self.walled = signature, definition, reads, walled
        grants = [f"GRANT SELECT ({columns}) ON {table} TO portal_lookup" for table, columns in reads.items()]
        policies = [
            f"CREATE POLICY looked_up_{signature.split('(')[0]} ON {table} FOR SELECT TO portal_lookup USING (true)"
            for table in walled
        ]
        super().__init__(
            sql=[
                *grants,
                *policies,
                definition,
                f"ALTER FUNCTION {signature} SECURITY DEFINER",
                f"ALTER FUNCTION {signature} SET search_path = public, pg_temp",
                f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
                f"GRANT EXECUTE ON FUNCTION {signature} TO portal_app",
                "GRANT CREATE ON SCHEMA public TO portal_lookup",
                f"ALTER FUNCTION {signature} OWNER TO portal_lookup",
                "REVOKE CREATE ON SCHEMA public FROM portal_lookup",
            ],
            reverse_sql=[
                "SET LOCAL ROLE portal_lookup",
                f"DROP FUNCTION {signature}",
                "RESET ROLE",
                *[f"DROP POLICY looked_up_{signature.split('(')[0]} ON {table}" for table in walled],
            ],
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how to write this operation down."""
        named = {"definition": self.definition, "reads": self.reads, "walled": self.walled}
        return type(self).__name__, [self.signature], named
