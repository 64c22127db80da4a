"""The API resources of connections."""
