"""Pages of the Action center, and the investigation page with its actions."""

from remediation.actions.admin.freezes import FreezeAdmin
from remediation.actions.admin.history import HistoryActionAdmin
from remediation.actions.admin.investigation import InvestigationAdmin
from remediation.actions.admin.pending import PendingActionAdmin

__all__ = ["FreezeAdmin", "HistoryActionAdmin", "InvestigationAdmin", "PendingActionAdmin"]
