"""Tells people outside of the portal by e-mail, Teams, Slack and signed webhook; each delivery is a row first."""
