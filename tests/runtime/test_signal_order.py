"""What SIGTERM comes to while something is begun."""

from __future__ import annotations

import signal

import pytest
from support.processes import heed_signals

from drift_gate.runtime import signals


def test_a_signal_waits_while_a_child_is_started_and_is_heeded_then() -> None:
    heed_signals()
    reached: list[str] = []

    def start() -> None:
        with signals.deferred():
            signal.raise_signal(signal.SIGTERM)
            reached.append("the child is known")
        reached.append("it goes on")

    with signals.in_order(), pytest.raises(signals.Terminated):
        start()
    assert reached == ["the child is known"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
