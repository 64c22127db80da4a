"""Pages of device groups; the floors above register those of alerts, devices and investigations."""

from investigations.admin.alerts import AlertPages
from investigations.admin.cases import InvestigationPages
from investigations.admin.devices import DevicePages
from investigations.admin.groups import DeviceGroupAdmin

__all__ = ["AlertPages", "DeviceGroupAdmin", "DevicePages", "InvestigationPages"]
