"""Parsing the timestamps that APIs return."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: object) -> datetime | None:
    """A Kubernetes timestamp (RFC 3339; whole seconds, or microseconds in events) in UTC; None for an empty or absent one."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None
