"""The tenant's Intune: its switch, its security tasks, its devices."""
