"""The hunting resources of the API."""
