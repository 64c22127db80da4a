"""Random SQL over all tenant tables, as somebody who got to write their own statements might send it."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SMALL = "LIMIT 3"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes statements. `columns` are each table's, `theirs` ids of the other tenant's rows to ask for by name."""

    chance: random.Random
    columns: Mapping[str, Sequence[str]]
    theirs: Sequence[str]
    tenant: str

    def reading(self) -> str:
        """Return a statement that reads."""
        return self._one_of(
            self._select,
            self._join,
            self._common_table,
            self._aggregate,
            self._set_returning,
            self._copy,
            self._prepared,
            self._statistics,
            self._forced_error,
        )

    def writing(self) -> str:
        """Return a statement that writes and returns the tenants of the rows it touched."""
        return self._one_of(self._update, self._insert, self._merge, self._move)

    def deleting(self) -> str:
        """Return a statement that deletes and returns the tenants of the rows that went."""
        table, other = self._table(), self._table()
        using = self.chance.choice(["", f"USING {other} o"])
        condition = self._where(table) if not using else f"o.tenant_id = '{self.tenant}'"
        return f"DELETE FROM {table} x {using} WHERE {condition} RETURNING x.tenant_id"

    def _one_of(self, *ways: Callable[[], str]) -> str:
        return self.chance.choice(ways)()

    def _table(self) -> str:
        return self.chance.choice(sorted(self.columns))

    def _column(self, table: str) -> str:
        return f'"{self.chance.choice(sorted(self.columns[table]))}"'

    def _where(self, table: str) -> str:
        """Return a condition, mostly one that asks for the other tenant."""
        named = self.chance.choice(self.theirs)
        return self.chance.choice(
            [
                "true",
                f"tenant_id = '{self.tenant}'",
                f"tenant_id <> current_setting('app.tenant_ids')::uuid[] [1] OR id = '{named}'",
                f"id = '{named}'",
                f"id IN ('{named}', '{self.chance.choice(self.theirs)}')",
                f"tenant_id::text || '' = '{self.tenant}'",
                f"{self._column(table)}::text LIKE '%kan%'",
                f"EXISTS (SELECT 1 FROM {self._table()} o WHERE o.tenant_id = '{self.tenant}')",
                f"random() < 0.5 OR tenant_id = '{self.tenant}'",
                "NOT (tenant_id = ANY (current_setting('app.tenant_ids')::uuid[]))",
            ]
        )

    def _select(self) -> str:
        table = self._table()
        lock = self.chance.choice(["", "", "FOR UPDATE", "FOR SHARE SKIP LOCKED"])
        return f"SELECT * FROM {table} WHERE {self._where(table)} ORDER BY {self._column(table)} {lock}"

    def _join(self) -> str:
        one, other = self._table(), self._table()
        how = self.chance.choice(["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"])
        named = f"b.tenant_id = '{self.tenant}'"
        both = f"{one} a {how} {other} b ON a.tenant_id = b.tenant_id OR {named}"
        return f"SELECT a.*, b.* FROM {both} ORDER BY {named} DESC LIMIT 50"

    def _common_table(self) -> str:
        table = self._table()
        return self.chance.choice(
            [
                f"WITH found AS MATERIALIZED (SELECT * FROM {table} WHERE {self._where(table)}) SELECT * FROM found",
                f"WITH RECURSIVE more(id, n) AS (SELECT id, 1 FROM {table} UNION"
                f" SELECT t.id, n + 1 FROM {table} t, more WHERE n < 3) SELECT * FROM more",
                f"SELECT * FROM (VALUES ('{self.tenant}'::uuid)) v(t), LATERAL (SELECT * FROM {table} x"
                f" WHERE x.tenant_id = v.t) found",
                f"TABLE {table} UNION ALL (SELECT * FROM {table} TABLESAMPLE BERNOULLI (100))",
            ]
        )

    def _aggregate(self) -> str:
        table = self._table()
        return self.chance.choice(
            [
                f"SELECT tenant_id, count(*), string_agg({self._column(table)}::text, ',') FROM {table} GROUP BY 1",
                f"SELECT json_agg(t) FROM {table} t WHERE {self._where(table)}",
                f"SELECT min({self._column(table)}::text) OVER (PARTITION BY tenant_id), t::text FROM {table} t",
                f"SELECT query_to_xml('SELECT * FROM {table}', true, true, '')::text",
            ]
        )

    def _set_returning(self) -> str:
        table = self._table()
        return self.chance.choice(
            [
                f"SELECT (each).key, (each).value FROM (SELECT jsonb_each_text(to_jsonb(t)) AS each FROM {table} t) s",
                f"SELECT n, t.* FROM generate_series(1, 2) n, {table} t WHERE {self._where(table)}",
                f"SELECT unnest(array_agg(t::text)) FROM {table} t",
            ]
        )

    def _copy(self) -> str:
        table = self._table()
        return self.chance.choice(
            [f"COPY {table} TO STDOUT", f"COPY (SELECT * FROM {table} WHERE {self._where(table)}) TO STDOUT WITH CSV"]
        )

    def _prepared(self) -> str:
        table = self._table()
        return f"PREPARE asked AS SELECT * FROM {table} WHERE {self._where(table)}; EXECUTE asked; DEALLOCATE asked"

    def _statistics(self) -> str:
        """What the planner and the catalog remember of rows."""
        table = self._table()
        return self.chance.choice(
            [
                f"SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = '{table}'",
                "SELECT most_common_vals::text FROM pg_stats_ext",
                f"SELECT stavalues1::text FROM pg_statistic WHERE starelid = '{table}'::regclass",
                f"EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {table} WHERE {self._where(table)}",
            ]
        )

    def _forced_error(self) -> str:
        """Errors quote values: a condition that fails on a foreign row would tell it."""
        table = self._table()
        column = self._column(table)
        return self.chance.choice(
            [
                f"SELECT * FROM {table} WHERE {column}::text::int > 0",
                f"SELECT * FROM {table} WHERE 1 / (CASE WHEN tenant_id = '{self.tenant}' THEN 0 ELSE 1 END) = 1",
                f"SELECT * FROM {table} WHERE ({column}::text)::inet IS NOT NULL ORDER BY 1",
            ]
        )

    def _update(self) -> str:
        table = self._table()
        column = self._column(table)
        return f"UPDATE {table} SET {column} = {column} WHERE {self._where(table)} RETURNING tenant_id"

    def _insert(self) -> str:
        """Copy rows, perhaps into the other tenant or under one of its ids."""
        table = self._table()
        new = (
            {"id": "gen_random_uuid()"}
            if self.chance.random() < 0.7
            else {"id": f"'{self.chance.choice(self.theirs)}'"}
        )
        if self.chance.random() < 0.5:
            new["tenant_id"] = f"'{self.tenant}'"
        names = sorted(self.columns[table])
        values = ", ".join(new.get(name, f'"{name}"') for name in names)
        listed = ", ".join(f'"{name}"' for name in names)
        conflict = self.chance.choice(["", "ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id", "ON CONFLICT DO NOTHING"])
        return f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table} {SMALL} {conflict} RETURNING tenant_id"

    def _merge(self) -> str:
        table = self._table()
        column = self._column(table)
        return (
            f"MERGE INTO {table} t USING (SELECT '{self.chance.choice(self.theirs)}'::uuid AS named) s"
            f" ON t.id = s.named OR t.tenant_id = '{self.tenant}' WHEN MATCHED THEN UPDATE SET {column} = t.{column}"
            " RETURNING t.tenant_id"
        )

    def _move(self) -> str:
        """Hand one's own rows to the other tenant, or take its."""
        table = self._table()
        condition = self.chance.choice(["true", self._where(table)])
        return f"UPDATE {table} SET tenant_id = '{self.tenant}' WHERE {condition} RETURNING tenant_id"
