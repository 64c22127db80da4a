"""Secrets at rest: a data key per tenant, wrapped by a master key that is never in the database."""
