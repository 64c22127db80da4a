"""Beat's doorway to sealing."""

import logging

from celery import shared_task
from django.conf import settings

from portal.audit import sealing
from portal.audit.keys import UnusableKey
from portal.audit.verify import BadSeal

logger = logging.getLogger(__name__)


@shared_task
def seal() -> None:
    """Seal history. Twice at once does no harm; a failure is logged each time, and soon stands on the overview."""
    try:
        sealing.seal()
    except (OSError, UnusableKey, BadSeal) as error:
        logger.error("History could not be sealed into %s: %s", settings.AUDIT_SEAL_FILE, error)
