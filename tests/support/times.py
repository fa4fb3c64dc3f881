"""Times that are told to programs with a clock of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def soon() -> datetime:
    """A month from now: an end that an acknowledgement may have for as long as a test runs."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
