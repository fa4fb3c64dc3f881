"""A small project as a repository of its own, started for real and held against what counts for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drift_gate.questions import Loaded
from drift_gate.settings.file import load
from drift_gate.testing import HistoryBuilder
from drift_gate.testing.history import Content
from drift_gate.wiring import answers
from drift_gate.wiring.trace import Traced

TOML = """
[defaults]
live = "ledger"
target_ref = "HEAD"

[services.worker]
"""


@dataclass(frozen=True)
class Project:
    """The ``files``, to be committed in ``folder``; ``rules`` are the lines of the service in drift.toml."""

    folder: Path
    files: Mapping[str, Content]
    rules: str = 'dockerfile = "Dockerfile"'

    def commit(self) -> None:
        """Makes the repository, checked out at one commit of the files."""
        history = HistoryBuilder(self.folder)
        history.commit({"drift.toml": TOML + self.rules, **self.files})
        history.check_out("main")

    def trace(
        self, *command: str, environ: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> tuple[Traced, Loaded]:
        """What ``command`` (``python`` is this one) came to, started in the folder."""
        self.commit()
        settings = load(self.folder, {**os.environ, **(environ or {})})
        words = _with_this_python(command)
        return answers.trace("worker", words, settings=settings, cwd=self.folder, seconds=seconds)

    def missed(self, *command: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """The files that ``command`` loads, and that do not count; it has to end by itself, and well."""
        traced, loaded = self.trace(*command, environ=environ)
        assert traced.code == 0, f"{command} ended with {traced.code}"
        assert loaded.files, f"{command} loaded nothing of {self.folder}"
        return [each.path for each in loaded.missed]


def _with_this_python(command: Sequence[str]) -> list[str]:
    return [sys.executable if word == "python" else word for word in command]
