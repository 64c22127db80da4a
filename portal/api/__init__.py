"""What every API resource stands on: errors, paging, permissions, idempotency, and the schema."""
