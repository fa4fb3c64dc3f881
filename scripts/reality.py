"""Runs the start commands of real repositories and prints what the closure of each reached and missed.

``python scripts/reality.py LIST.toml``, where each table of the list is a repository beside it::

    [flask]
    repository = "flask"                             # a git repository; what counts at its HEAD is asked
    command = ["python", "-m", "flask", "--version"]
    for = "30s"                                      # for a command that serves
    entrypoint = ["flask/__main__.py"]               # as in drift.toml; so is every other key

Exit code: 0 nothing was missed; 1 something was; 3 a command failed, or no Python was seen.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drift_gate.commands.trace import told, troubles
from drift_gate.questions import Loaded
from drift_gate.settings.file import Settings, load
from drift_gate.settings.keys import seconds
from drift_gate.wiring import answers
from drift_gate.wiring.trace import Traced


def traced(name: str, table: Mapping[str, Any], beside: Path) -> tuple[Traced, Loaded]:
    """What the command of ``table`` came to, started in its repository below the folder ``beside``."""
    folder = beside / table["repository"]
    limit = float(str(seconds(table["for"]))) if "for" in table else None
    words = [sys.executable if word == "python" else word for word in table["command"]]
    keys = {key: value for key, value in table.items() if key not in ("repository", "command", "for")}
    return answers.trace(
        name, words, settings=_settings(name, keys, folder), cwd=folder, seconds=limit, out=sys.__stderr__
    )


def _settings(name: str, keys: Mapping[str, Any], folder: Path) -> Settings:
    """Settings for one service, from a file of their own: the repository stays as it is."""
    lines = ["[defaults]", 'live = "ledger"', f"[services.{name}]", f"repository = {json.dumps(str(folder))}"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    with tempfile.TemporaryDirectory() as elsewhere:
        Path(elsewhere, "drift.toml").write_text("\n".join(lines), encoding="utf-8")
        return load(Path(elsewhere), os.environ)


def report(file: Path) -> Iterator[tuple[int, str]]:
    """For each line that is to be printed the exit code that it asks for."""
    for name, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
        run, loaded = traced(name, table, file.absolute().parent)
        yield from ((1 if loaded.missed else 0, line) for line in told(name, run, loaded))
        yield from ((3, f"{name}: {trouble}") for trouble in troubles(run))


def main(argv: Sequence[str]) -> int:
    """See above."""
    if len(argv) != 1:
        print("give the list of repositories: make reality LIST=…/list.toml", file=sys.stderr)
        return 2
    worst = 0
    for code, line in report(Path(argv[0])):
        print(line, flush=True)
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
