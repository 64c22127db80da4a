"""The start-up check of the master key; without a usable one no process starts."""

from typing import Any

from django.core.checks import CheckMessage, Error

from portal.secrets.exceptions import MasterKeyUnusable
from portal.secrets.master import key_ids


def check_master_keys(**_: Any) -> list[CheckMessage]:
    """Require at least one master key, and that every one named can be used."""
    try:
        key_ids()
    except MasterKeyUnusable as error:
        return [Error(str(error), id="secrets.E001")]
    return []
