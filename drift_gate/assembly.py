"""The check by the settings at hand, where tests that live outside this repository look for it."""

from drift_gate.wiring.checks import check

__all__ = ["check"]
