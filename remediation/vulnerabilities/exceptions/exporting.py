"""The columns of the register of exceptions as CSV."""

from typing import Final

from portal.api.csv_export import Column

REGISTER_COLUMNS: Final = (
    Column("id", "id"),
    Column("tenant", "tenant__name"),
    Column("kind", "kind"),
    Column("recommendation", "recommendation__name"),
    Column("recommendation_id", "recommendation__recommendation_id"),
    Column("cve", "cve_id"),
    Column("whole_tenant", "is_global"),
    Column("device_groups", "group_names"),
    Column("justification", "justification"),
    Column("context", "context"),
    Column("status", "state"),
    Column("last_day", "expires_on"),
    Column("requested_by", "requested_by__email"),
    Column("requested_at", "requested_at"),
    Column("decided_by", "decided_by__email"),
    Column("decided_at", "decided_at"),
    Column("decision_reason", "decision_reason"),
    Column("ended_by", "ended_by__email"),
    Column("ended_at", "ended_at"),
    Column("end_reason", "end_reason"),
    Column("exposed_before", "exposed_before"),
    Column("exposed_after", "exposed_after"),
    Column("new_devices", "new_device_count"),
)
"""The register as auditors read it, Microsoft's words beside our own."""
