"""Microsoft's national clouds: where each has its services, and what each of them lacks.

Sources: Microsoft Graph "National cloud deployments", Defender for Endpoint "US Government customers", Exchange Online
PowerShell "Connect-ExchangeOnline" (its environments). In doubt: DoD's and China's Exchange addresses are those of
the PowerShell module, which the documentation of the admin API does not repeat; Defender is not documented for China.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.db import models
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from connectors.microsoft.permissions import DEFENDER, PERMISSIONS, permissions_of


class Cloud(models.TextChoices):
    """The clouds a customer's tenant can live in; a token of one is worth nothing in another."""

    GLOBAL = "global", _("Global")
    GCC = "gcc", _("US Government (GCC)")
    GCC_HIGH = "gcc_high", _("US Government (GCC High)")
    DOD = "dod", _("US Government (DoD)")
    CHINA = "china", _("China (21Vianet)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one cloud has its services, without trailing slashes.

    `defender_audience` is whom Defender's tokens are made for, "" where there is no Defender. Graph's and Exchange's
    are made for their addresses.
    """

    login_url: str
    defender_url: str
    graph_url: str
    exchange_url: str
    defender_audience: str


_GLOBAL: Final = Place(
    login_url="https://login.microsoftonline.com",
    defender_url="https://api.security.microsoft.com",
    graph_url="https://graph.microsoft.com",
    exchange_url="https://outlook.office365.com",
    defender_audience="https://api.securitycenter.microsoft.com",
)
_GCC_DEFENDER: Final = "https://api-gcc.securitycenter.microsoft.us"
_GOVERNMENT_DEFENDER: Final = "https://api-gov.securitycenter.microsoft.us"
_GOVERNMENT_LOGIN: Final = "https://login.microsoftonline.us"

PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        Cloud.GLOBAL: _GLOBAL,
        Cloud.GCC: Place(_GLOBAL.login_url, _GCC_DEFENDER, _GLOBAL.graph_url, _GLOBAL.exchange_url, _GCC_DEFENDER),
        Cloud.GCC_HIGH: Place(
            _GOVERNMENT_LOGIN,
            _GOVERNMENT_DEFENDER,
            "https://graph.microsoft.us",
            "https://outlook.office365.us",
            _GOVERNMENT_DEFENDER,
        ),
        Cloud.DOD: Place(
            _GOVERNMENT_LOGIN,
            _GOVERNMENT_DEFENDER,
            "https://dod-graph.microsoft.us",
            "https://webmail.apps.mil",
            _GOVERNMENT_DEFENDER,
        ),
        Cloud.CHINA: Place(
            "https://login.chinacloudapi.cn",
            _GLOBAL.defender_url,
            "https://microsoftgraph.chinacloudapi.cn",
            "https://partner.outlook.cn",
            "",
        ),
    }
)

ADDRESSES: Final = ("login_url", "defender_url", "graph_url", "exchange_url")
"""The addresses of a connection, which its cloud fills."""

_GLOBAL_ONLY: Final = frozenset(
    {
        "SecurityAnalyzedMessage.Read.All",
        "SecurityAnalyzedMessage.ReadWrite.All",
        "ThreatSubmission.ReadWrite.All",
    }
)
_NOT_IN_CHINA: Final = _GLOBAL_ONLY | {
    "SecurityAlert.Read.All",
    "SecurityAlert.ReadWrite.All",
    "ThreatHunting.Read.All",
    *(row.name for row in PERMISSIONS if row.api == DEFENDER),
}
_LACKING: Final[Mapping[str, frozenset[str]]] = {
    Cloud.GCC_HIGH: _GLOBAL_ONLY,
    Cloud.DOD: _GLOBAL_ONLY,
    Cloud.CHINA: _NOT_IN_CHINA,
}


def lacking(cloud: str) -> frozenset[str]:
    """Return the permissions whose APIs a cloud does not offer ("National cloud deployments" of each API's page).

    GCC calls the global Graph, so it has what that has.
    """
    return _LACKING.get(cloud, frozenset())


def reason_against(action_type: str, cloud: str) -> Promise | None:
    """Say why an action type cannot be carried out in a cloud, None where nothing is against it. Calls nobody."""
    absent = lacking(cloud)
    if not any(permission.name in absent for permission in permissions_of(action_type)):
        return None
    return format_lazy(
        _("Microsoft does not offer this in the cloud “{cloud}”; do it in that cloud's Defender portal."),
        cloud=Cloud(cloud).label,
    )
