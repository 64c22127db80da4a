"""Microsoft's quotas: which calls count together, and how many a minute and an hour a tenant may make.

Defender for Endpoint: 100 a minute and 1,500 an hour for each API unless its page says otherwise (facts of each page:
run live response 10 a minute; package link 2 and 120; start investigation 50 an hour; advanced hunting 45 and 1,500;
import of indicators 30; batch update of alerts 10 and 500). Graph: security alerts 150 a minute per application and
tenant ("Microsoft Graph throttling limits"); hunting at least 45 a minute. Intune: 1,000 calls of security tasks in 20
seconds, 100 of them writes, and 2,000 of devices; held to as many a minute, which keeps every 20 seconds too. For mail
and for Exchange Microsoft prints no figure: the everyday one is assumed.
"""

import re
from functools import lru_cache
from typing import Final

from connectors.protocol import Quota

# Machines, GUIDs, numbers, mailboxes, alerts (da…_…, fa…), and recommendations (va-_-…, sca-_-…).
_ID: Final = re.compile(
    r"^(?:[0-9a-f]{40}|[0-9a-f]{8}-[0-9a-f-]{27,}|\d+|.*@.*|[a-z]{2}[0-9a-f-]{10,}(?:_.*)?|[a-z]+-_-.*)$", re.IGNORECASE
)
_SPECIAL: Final = {
    "POST /api/machines/*/runliveresponse": (10, None),
    "POST /api/machines/*/startinvestigation": (100, 50),
    "GET /api/machineactions/*/getpackageuri": (2, 120),
    "POST /api/indicators/import": (30, None),
    "POST /api/alerts/batchupdate": (10, 500),
    "POST /v1.0/security/runhuntingquery": (45, 1500),
    "GET /v1.0/security/alerts_v2": (150, None),
    "PATCH /v1.0/security/alerts_v2": (150, None),
    "GET /beta/deviceappmanagement/deviceappmanagementtasks": (1000, None),
    "POST /beta/deviceappmanagement/deviceappmanagementtasks": (100, None),
    "GET /v1.0/devicemanagement/manageddevices": (2000, None),
}


@lru_cache(maxsize=4096)
def quota_of_call(method: str, path: str) -> Quota:
    """Return the quota that a call of this method to this path (no host, no query) counts against."""
    steps = ["*" if _ID.match(step) else step.lower() for step in path.strip("/").split("/")]
    steps = [step.partition("(")[0].removeprefix("microsoft.graph.security.") for step in steps]
    name = f"{method} /{'/'.join(steps)}"
    for special, (per_minute, per_hour) in _SPECIAL.items():
        if name == special or name.startswith(f"{special}/"):
            return Quota(special, per_minute, per_hour)
    return Quota(name, 100, 1500)
