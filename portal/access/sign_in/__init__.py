"""Signing in: passwords, second factors, an organisation's own sign-in, and how long a session lasts."""
