"""Remediation activities: asking for remediation, following it, completing it."""
