"""The safeguards in the API."""
