"""Security recommendations, the remediation activities and exceptions that answer them, and the tickets in Intune."""
