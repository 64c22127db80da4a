"""Pages of device groups, alerts and evidence; the floors above register those of devices and investigations."""

from investigations.admin.alerts import AlertAdmin
from investigations.admin.cases import InvestigationPages
from investigations.admin.devices import DevicePages
from investigations.admin.groups import DeviceGroupAdmin

__all__ = ["AlertAdmin", "DeviceGroupAdmin", "DevicePages", "InvestigationPages"]
