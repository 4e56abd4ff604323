"""Times as APIs write them."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: object) -> datetime | None:
    """An RFC 3339 stamp of Kubernetes (whole seconds, or microseconds in events), as UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None
