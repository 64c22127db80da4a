"""Retention's pages."""

from remediation.retention.admin import holds, purges, rules

__all__ = ["holds", "purges", "rules"]
