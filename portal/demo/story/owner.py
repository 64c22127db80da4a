"""What only the owner of the tables can do, and what the story needs once: let time have passed for a row."""

from collections.abc import Sequence

import psycopg
from django.db import connection

from portal.demo.companies import Company
from portal.demo.story.person import expect
from portal.embedded.servers import join_postgres


def change_one_row(company: Company, statement: str, parameters: Sequence[object]) -> None:
    """Change exactly one row of a company's as portal_owner, whom row-level security holds too."""
    name = str(connection.settings_dict["NAME"])
    with psycopg.connect(join_postgres().url("portal_owner", name)) as owner:
        owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{company.tenant_id}}}"])
        changed = owner.execute(statement.encode(), parameters)
        expect(changed.rowcount == 1, "the owner of the tables changes one row")
