"""Exceptions: asking for one, granting it, what it hides, and its end."""
