"""The rooms of the gate and of its coordinator from the ground up, and who may import whom.

A room is a module or a folder at the top of the package. It imports from itself and from the floors below.
CONTRIBUTING.md shows both as maps.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

#: The floors of the gate from the ground up; rooms of one floor do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "fingerprint", "testing"),
    ("facts", "runtime"),
    ("relevance",),
    ("evidence",),
    ("sources", "comparison"),
    ("policy",),
    ("settings", "journal", "gate"),
    ("delivery",),
    ("questions", "presentation", "notify"),
    ("wiring", "dashboard"),
    ("assembly", "checker", "commands"),
)


#: Those of the coordinator.
COORDINATOR_FLOORS: tuple[tuple[str, ...], ...] = (
    ("exceptions", "logs", "variables"),
    ("slate",),
    ("readiness",),
    ("batches", "config"),
    ("coordinator", "dispatch", "store"),
    ("http", "wiring"),
    ("commands",),
)


class House(NamedTuple):
    """A package, by its dotted name, and its floors from the ground up."""

    name: str
    floors: tuple[tuple[str, ...], ...]

    @property
    def folder(self) -> Path:
        """Where it stands."""
        return ROOT.joinpath(*self.name.split("."))

    @property
    def files(self) -> list[Path]:
        """Its modules."""
        return sorted(self.folder.rglob("*.py"))

    def floor(self, room: str) -> int:
        """The floor of a room, from the ground up."""
        return next(number for number, rooms in enumerate(self.floors) if room in rooms)

    def room(self, module: str) -> str | None:
        """The room that ``module`` stands in, by its dotted name; None for any other module."""
        name, _, inside = module.partition(f"{self.name}.")
        room = inside.partition(".")[0]
        return room if not name and any(room in rooms for rooms in self.floors) else None

    def rooms(self) -> Iterator[tuple[str, str]]:
        """Each room as a path below the package, with the sentence that it begins with."""
        for floor in self.floors:
            for name in floor:
                folder = (self.folder / name).is_dir()
                source = self.folder / name / "__init__.py" if folder else self.folder / f"{name}.py"
                said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
                yield f"{name}/" if folder else f"{name}.py", said.partition("\n\n")[0].replace("\n", " ")

    def table(self) -> str:
        """The map, as CONTRIBUTING.md shows it."""
        rows = [f"| `{path}` | {sentence} |" for path, sentence in self.rooms()]
        return "\n".join(["| room | what it is for |", "|---|---|", *rows])


GATE = House("drift_gate", FLOORS)
COORDINATOR = House("predictions.coordinator", COORDINATOR_FLOORS)
