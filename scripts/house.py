"""The rooms of ``drift_gate`` from the ground up: who may import whom, and the map of CONTRIBUTING.md.

A room is a module or a folder at the top of the package. It imports from itself and from the floors below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "drift_gate"

#: The floors from the ground up; rooms of one floor do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "fingerprint", "testing"),
    ("facts", "runtime"),
    ("relevance",),
    ("evidence",),
    ("sources", "comparison"),
    ("policy",),
    ("settings", "journal", "gate"),
    ("questions", "presentation"),
    ("wiring",),
    ("assembly", "checker", "commands"),
)


def rooms() -> Iterator[tuple[str, str]]:
    """Each room as a path below the package, with the sentence that it begins with."""
    for floor in FLOORS:
        for name in floor:
            folder = (PACKAGE / name).is_dir()
            source = PACKAGE / name / "__init__.py" if folder else PACKAGE / f"{name}.py"
            told = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
            yield f"{name}/" if folder else f"{name}.py", told.partition("\n\n")[0].replace("\n", " ")


def table() -> str:
    """The map, as CONTRIBUTING.md shows it."""
    rows = [f"| `{path}` | {sentence} |" for path, sentence in rooms()]
    return "\n".join(["| room | what it is for |", "|---|---|", *rows])
