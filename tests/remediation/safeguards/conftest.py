"""The same vendor as the actions' tests have: what a safeguard holds back is told by who would have received it."""

from tests.remediation.actions.conftest import connected, vendor, vendor_process

__all__ = ["connected", "vendor", "vendor_process"]
