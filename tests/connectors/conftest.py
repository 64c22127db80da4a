"""The simulator and a connected Acme, as the tests of actions have them, and certificates to sign in with."""

from tests.remediation.actions.conftest import connected, vendor, vendor_process

__all__ = ["connected", "vendor", "vendor_process"]
