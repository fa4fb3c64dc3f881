"""No test asserts how long something took, and none needs a busy machine to be quick.

A promise about time is proven by what was waited for: a clock or a sleep that the test passes in, an event,
or an other side that still hangs when the call is back. Figures stand in ``benchmarks/``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Container, Iterator
from functools import cache
from pathlib import Path

import pytest
from support.limits import ENOUGH_S

pytestmark = pytest.mark.texts
TESTS = Path(__file__).parent
#: Measured, and told by what ``make`` prints or writes; asserted nowhere.
MEASURED = {
    "support/fault_cells.py": "the longest check of each call, in docs/faults.md",
    "support/killing.py": "docs/kill-test.md",
    "support/own_images.py": "how long each image took to build, printed by `make images`",
    "support/soak.py": "docs/soak.md",
    "support/zygote.py": "what fault_cells.py writes, of a process of its own",
}
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "time", "time_ns"}
#: Finds lines in a file, each with what stands there.
Look = Callable[[ast.AST], Iterator[tuple[int, str]]]
ELAPSED = re.compile(r"elapsed|took|duration_s")
#: A deadline under which something has to succeed is no shorter; those that run out have names.
LEAST_S = 30.0


def reads_clock(node: ast.AST) -> bool:
    """Whether it is a call of ``time.monotonic()`` or another of its kind."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "time"
        and node.func.attr in CLOCKS
    )


def readings(tree: ast.AST) -> set[str]:
    """The names that hold what a clock said."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and reads_clock(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def differences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where one reading of a clock is taken from another."""
    names = readings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            sides = (node.left, node.right)
            if all(reads_clock(side) or (isinstance(side, ast.Name) and side.id in names) for side in sides):
                yield node.lineno, ast.unparse(node)


def comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a clock, or what something took, is compared; only the end of a loop that waits may be."""
    waiting = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and id(node) not in waiting:
            told = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            named = {each.id for each in told if isinstance(each, ast.Name)}
            if any(map(reads_clock, told)) or any(map(ELAPSED.search, named)):
                yield node.lineno, ast.unparse(node)


def seconds(node: ast.expr) -> float | None:
    """What a literal deadline grants: ``5`` and ``"5s"``; None for another."""
    if not isinstance(node, ast.Constant):
        return None
    if isinstance(node.value, (int, float)):
        return float(node.value)
    written = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(node.value))
    return float(written[1]) if written else None


def short_deadlines(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Deadlines on the real clock that are written as a number and might be too short for a busy machine."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    lengths = {id(each) for call in calls if ast.unparse(call.func) == "timedelta" for each in call.keywords}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Deadline":
            given = node.args[0] if len(node.args) == 1 else None
        elif isinstance(node, ast.keyword) and node.arg in ("deadline", "seconds"):
            given = None if id(node) in lengths else node.value
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".deadline"):
            given = node.value
        else:
            continue
        if given is not None and 0 < (seconds(given) or 0) < LEAST_S:
            yield node.lineno, ast.unparse(node)


def found_by(look: Look, but: Container[str] = ()) -> list[str]:
    """What ``look`` finds in the tests, with its place."""
    read = ((name, tree) for name, tree in trees(ABOUT[look]).items() if name not in but)
    return [f"{name}:{line}: {text}" for name, tree in read for line, text in look(tree)]


#: What a file says that has anything to be found; the others need not be parsed.
ABOUT: dict[Look, re.Pattern[str]] = {
    comparisons: re.compile(rf"\btime\.(?:{'|'.join(CLOCKS)})\(|{ELAPSED.pattern}"),
    differences: re.compile(rf"\btime\.(?:{'|'.join(CLOCKS)})\("),
    short_deadlines: re.compile("[dD]eadline(?:[(=]| = )|seconds="),
}


def trees(about: re.Pattern[str]) -> dict[str, ast.AST]:
    """The files of the tests that say something ``about`` it, by their paths."""
    texts = {file: file.read_text("utf-8") for file in TESTS.rglob("*.py")}
    return {str(file.relative_to(TESTS)): parsed(text) for file, text in texts.items() if about.search(text)}


@cache
def parsed(text: str) -> ast.AST:
    return ast.parse(text)


def test_no_test_asserts_how_long_something_took() -> None:
    assert found_by(comparisons) == []
    assert found_by(differences, but=MEASURED) == []


def test_a_deadline_is_generous_or_says_that_it_is_to_run_out() -> None:
    """``support/limits.py`` has the names."""
    assert found_by(short_deadlines) == []


def test_the_names_keep_the_rule() -> None:
    assert ENOUGH_S >= LEAST_S
    assert all((TESTS / name).exists() for name in MEASURED)


@pytest.mark.parametrize(
    "text",
    [
        "began = time.monotonic()\nassert time.monotonic() - began < 2",
        "began = time.monotonic()\nspent = time.perf_counter() - began",
        "assert 1 < elapsed < 2",
        "assert time.time() < until",
    ],
)
def test_what_is_found(text: str) -> None:
    tree = ast.parse(text)
    assert [*comparisons(tree), *differences(tree)]


@pytest.mark.parametrize(
    "text",
    [
        "until = time.monotonic() + 60\nwhile time.monotonic() < until: pass",
        "old = time.time() - 3600",
        "clock.now - before",
    ],
)
def test_what_is_none(text: str) -> None:
    tree = ast.parse(text)
    assert [*comparisons(tree), *differences(tree)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Deadline(5)", True),
        ("calling.Deadline(0.5)", True),
        ("Stage(world, deadline='5s')", True),
        ("w.failure(deadline=1)", True),
        ("stage.deadline = '2s'", True),
        ("asked(revision, seconds=1)", True),
        ("timedelta(seconds=1)", False),
        ("Deadline(60)", False),
        ("Deadline(0)", False),
        ("Deadline(2, clock)", False),
        ("Deadline(OVER_S)", False),
        ("Stage(world, deadline='10m')", False),
    ],
)
def test_what_a_short_deadline_is(text: str, found: bool) -> None:
    assert bool(list(short_deadlines(ast.parse(text)))) == found
