"""The API resources of tenants, people and history, one file each."""
