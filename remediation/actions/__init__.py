"""Remediation actions: decided, approved, carried out, undone, and kept as history."""
