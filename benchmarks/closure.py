"""How long the import closure of an image takes: nothing known, one file changed, everything known."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

from benchmarks.measuring import wall
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.python.chains import Closure
from drift_gate.relevance.python.closure import close
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of

_BODY = '''
def rate_{number}(games, season="2026", weights=None):
    """Rate each game of a season by the weights of its markets."""
    table = {{game["id"]: game.get("odds", 1.0) for game in games if game["season"] == season}}
    for name, weight in (weights or {{"spread": 0.5, "total": 0.25}}).items():
        table = {{key: value * (1 + weight * len(name)) for key, value in table.items()}}
    return sorted(table.items(), key=lambda item: (-item[1], item[0]))
'''


class Program:
    """An image of ``count`` modules of about 110 lines (6 KB), each importing five others, all reached."""

    def __init__(self, count: int = 500) -> None:
        chance = random.Random(7)  # noqa: S311 - the same program each time, nothing secret
        self.sources = {_path(number): _source(number, count, chance) for number in range(count)}
        self.layout = {f"/app/{path}": path for path in self.sources}

    def close(self, facts: ByBlob[ImportFacts]) -> Closure:
        """Its closure from the first module, with what ``facts`` remembers."""

        def of(path: str) -> ImportFacts:
            source = self.sources[path]
            return facts.of(hashlib.sha1(source, usedforsecurity=False).hexdigest(), lambda: source)

        return close(["shared.part0.module0"], ["/app"], self.layout, of, self.sources.keys())


def subjects() -> dict[str, Callable[[], float]]:
    """Cold, after a change of one module, and warm, for ``measuring.in_turn``."""
    program, known = Program(), ByBlob(facts_of)
    reached = program.close(known).reached
    assert len(reached) == len(program.sources)  # noqa: S101 - a benchmark of something else would be no use
    changes = iter(range(1_000_000))

    def one_changed() -> None:
        program.sources[_path(1)] += f"# {next(changes)}\n".encode()
        program.close(known)

    return {
        "closure of 500 modules, cold": wall(lambda: program.close(ByBlob(facts_of))),
        "closure of 500 modules, one changed": wall(one_changed),
        "closure of 500 modules, warm": wall(lambda: program.close(known)),
    }


def _path(number: int) -> str:
    return f"shared/part{number % 20}/module{number}.py"


def _source(number: int, count: int, chance: random.Random) -> bytes:
    others = [number + 1, *(chance.randrange(count) for _ in range(4))]
    imports = [f"from shared.part{each % 20} import module{each}" for each in others if each < count]
    bodies = [_BODY.format(number=part) for part in range(13)]
    return "\n".join(["import json", "import numpy", *imports, *bodies]).encode()
