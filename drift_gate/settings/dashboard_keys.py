"""The keys of ``[dashboard]``. Pure."""

from __future__ import annotations

from drift_gate.facts import Fact
from drift_gate.settings.keys import PositiveDuration


class DashboardKeys(Fact):
    """``[dashboard]``: ``every`` is how many seconds apart looks should lie; what nobody looked at for twice
    that is shown as not looked at.

    ``public_badges``: whether a badge is shown to whoever asks, and not only to whom the pages are.
    """

    every: PositiveDuration = 7200.0
    public_badges: bool = False
