"""A remote and the gate's mirrors of it, in a cache folder of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.mirror import Mirror
from drift_gate.testing import HistoryBuilder

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)


@dataclass
class Remoted:
    """``remote`` is what is mirrored, under ``address`` (None: as `file://`), into ``cache``."""

    remote: HistoryBuilder
    cache: Path
    address: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    def mirror(
        self, ref: str = "main", *, later: timedelta = timedelta(0), deadline: float = 30, limit: float = 3600
    ) -> Mirror:
        """A mirror as one check has it, ``later`` than noon."""
        return Mirror(
            repository=self.address or self.remote.path.as_uri(),
            target_ref=ref,
            cache_dir=self.cache,
            deadline=Deadline(deadline),
            environ={"PATH": os.environ["PATH"], "HOME": str(self.cache.parent), **self.environ},
            now=lambda: NOW + later,
            stale_target_limit=limit,
        )

    def failure(
        self, ref: str = "main", *, later: timedelta = timedelta(0), deadline: float = 30
    ) -> SourceError:
        """What its target fails with."""
        with pytest.raises(SourceError) as caught:
            self.mirror(ref, later=later, deadline=deadline).target()
        return caught.value

    def place(self) -> Path:
        """The folder of the only remote in the cache."""
        [place] = self.cache.iterdir()
        return place

    def copies(self) -> list[str]:
        """The names of all copies, whole and half, in that folder."""
        return sorted(
            path.name for path in self.place().iterdir() if path.name.startswith(("repo-", "making-"))
        )

    def current(self) -> Path:
        """The copy in use."""
        return (self.place() / "current").resolve(strict=True)


def serving(path: Path, *, bare: bool = False) -> HistoryBuilder:
    """A repository that hosts answer like: it knows filters."""
    builder = HistoryBuilder(path, bare=bare)
    builder.git("config", "uploadpack.allowFilter", "true")
    return builder
