"""Pages of the Action center, and those of investigations, alerts and devices with their actions."""

from remediation.actions.admin.freezes import FreezeAdmin
from remediation.actions.admin.history import HistoryActionAdmin
from remediation.actions.admin.investigation import InvestigationAdmin
from remediation.actions.admin.origins import AlertAdmin, DeviceAdmin
from remediation.actions.admin.pending import PendingActionAdmin

__all__ = ["AlertAdmin", "DeviceAdmin", "FreezeAdmin", "HistoryActionAdmin", "InvestigationAdmin", "PendingActionAdmin"]
