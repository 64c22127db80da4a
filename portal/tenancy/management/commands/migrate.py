"""`manage.py migrate`, run as the owner of the tables: the one place MIGRATE_DATABASE_URL is used."""

from typing import Any

from django.conf import settings
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections


class Command(Migrate):
    """Migrate as portal_owner, whoever the rest of the process signs in as."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's own migrate over the owner's connection."""
        connection = connections[options["database"]]
        former = dict(connection.settings_dict)
        connection.close()
        connection.settings_dict.update(settings.MIGRATE_DATABASE, NAME=former["NAME"])
        try:
            super().handle(*args, **options)
        finally:
            connection.close()
            connection.settings_dict.update(former)
