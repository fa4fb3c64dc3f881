"""``drift.toml`` and the environment; nothing else reads ``os.environ``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drift_gate.settings.file import Settings, load

__all__ = ["Settings", "load"]


def __getattr__(name: str) -> object:
    """``Settings`` and ``load``, once they are asked for: not every module of this room needs pydantic."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drift_gate.settings import file

    return getattr(file, name)
