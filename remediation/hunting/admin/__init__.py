"""Pages of hunting."""

from remediation.hunting.admin.explorer import MailSearchAdmin
from remediation.hunting.admin.hunting import HuntAdmin

__all__ = ["HuntAdmin", "MailSearchAdmin"]
