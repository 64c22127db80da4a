"""Pages of devices, device groups, alerts and evidence; the floor above adds that of investigations."""

from investigations.admin.alerts import AlertAdmin
from investigations.admin.cases import InvestigationPages
from investigations.admin.devices import DeviceAdmin
from investigations.admin.groups import DeviceGroupAdmin

__all__ = ["AlertAdmin", "DeviceAdmin", "DeviceGroupAdmin", "InvestigationPages"]
