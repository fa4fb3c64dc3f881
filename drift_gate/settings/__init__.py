"""``drift.toml`` and the environment; nothing else reads ``os.environ``."""

from drift_gate.settings.file import Settings, load

__all__ = ["Settings", "load"]
