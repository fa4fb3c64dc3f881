"""The rules of these rooms: who may import whom, and what the command line may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_house import imports, reads_environ

ROOT = Path(__file__).parents[3]
ROOMS = ROOT / "predictions" / "coordinator" / "readiness"
PREFIX = "predictions.coordinator.readiness."

#: From the ground up; a room imports from its own floor and the floors below it.
FLOORS = (
    {"facts", "parameters", "reasons", "seasons", "side_by_side"},
    {"rows", "thresholds"},
    {"checks", "grading", "sources", "verdict", "sparkline"},
    {"settings", "render"},
    {"assembly"},
    {"runner"},
    {"enforcement"},
)
#: Foreign libraries, and the one file that may import each.
BOUNDED = {
    "sqlite3": "sources/sqlite.py",
    "duckdb": "sources/parquet.py",
    "google": "sources/bigquery.py",
    "requests": "sources/bigquery.py",
}
FILES = sorted(file for file in ROOMS.rglob("*.py") if file.name != "__init__.py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOMS)))
class TestARoom:
    def test_imports_only_from_its_floor_and_below(self, file: Path) -> None:
        own = file.relative_to(ROOMS).parts[0].removesuffix(".py")
        for module, typing_only in imports(file):
            other = module.removeprefix(PREFIX).split(".")[0] if module.startswith(PREFIX) else None
            if other and not typing_only:
                assert floor(other) <= floor(own), f"{own} imports {module}"

    def test_leaves_a_foreign_library_to_its_one_place(self, file: Path) -> None:
        relative = file.relative_to(ROOMS).as_posix()
        for module, _ in imports(file):
            assert BOUNDED.get(module.split(".")[0], relative) == relative

    def test_is_handed_the_environment(self, file: Path) -> None:
        assert not reads_environ(file)


@pytest.mark.heavy
def test_the_command_line_loads_no_source_before_it_is_asked_for() -> None:
    loaded = "print(*{name.split('.')[0] for name in sys.modules})"
    code = f"import sys, predictions.coordinator.commands.main; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"duckdb", "google", "requests"} & {*done.stdout.split()}
