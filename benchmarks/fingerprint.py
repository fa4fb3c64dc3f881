"""What it costs a worker to say what it holds, against git hashing the same files."""

from __future__ import annotations

import random
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import Row, cpu_of, in_turn, python, wall
from drift_gate.fingerprint import take

ROOT = Path(__file__).parents[1]
#: Bytes of a file; the modules of this repository have 6 kB on average.
SIZE = 6_000


def tree(folder: Path, count: int) -> list[str]:
    """``count`` files, fifty to a folder; returns their paths below ``folder``."""
    content = random.Random(1)  # noqa: S311 - the same files on every machine, nothing secret
    paths = [f"package{number // 50}/module{number}.py" for number in range(count)]
    for path in paths:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content.randbytes(SIZE))
    return paths


def rows() -> list[Row]:
    """The fingerprint of 50, 500 and 5,000 files against `git hash-object`, and the import alone."""
    found = []
    for count in (50, 500, 5_000):
        with tempfile.TemporaryDirectory() as name:
            found += _against_git(Path(name), count)
    alone, both = "Python alone", "Python and drift_gate.fingerprint"
    imported = in_turn(
        {
            alone: cpu_of(python("pass"), ROOT),
            both: cpu_of(python("import drift_gate.fingerprint"), ROOT),
        },
        rounds=15,
    )
    above = imported[both].median_ms - imported[alone].median_ms
    return [*found, imported[alone], replace(imported[both], remark=f"{above:+.0f} ms of CPU")]


def _against_git(folder: Path, count: int) -> list[Row]:
    paths = "\n".join(tree(folder, count)).encode()
    argv = ["git", "hash-object", "--no-filters", "--stdin-paths"]

    def git() -> None:
        subprocess.run(argv, cwd=folder, input=paths, stdout=subprocess.DEVNULL, check=True)

    theirs, ours = f"git hash-object, {count:,} files", f"fingerprint, {count:,} files"
    pair = in_turn({theirs: wall(git), ours: wall(lambda: take(folder))}, rounds=20)
    ratio = pair[ours].median_ms / pair[theirs].median_ms
    return [
        pair[theirs],
        replace(pair[ours], remark=f"{ratio:.2f} times git, in a process that runs already"),
    ]
