"""What was found: devices, device groups, alerts, investigations, evidence and verdicts."""
