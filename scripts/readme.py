"""Writes the parts of README.md and docs/ that the code knows better: tables, help texts, the demo's output.

    python scripts/readme.py

Each part stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. A test holds that the
committed pages are what this writes. The demo's output differs from run to run in ids and times, so it is
only written anew when something else of it changed.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from drift_gate.commands import main  # noqa: E402
from drift_gate.policy.codes import CAUSE_MEANINGS, DECISIONS, REASONS  # noqa: E402
from drift_gate.settings import schema  # noqa: E402
from drift_gate.settings.meanings import MEANINGS  # noqa: E402
from predictions.coordinator.commands import main as coordinator_cli  # noqa: E402 (needs the path above)
from scripts import house  # noqa: E402

README, DOCS = ROOT / "README.md", ROOT / "docs"
REFERENCE = DOCS / "reference"
#: Columns of the shown help texts.
COLUMNS = 100


def settings_table() -> str:
    """Every key of ``drift.toml`` with its type, default and meaning."""
    rows = []
    for table, model, names in schema.tables():
        for key in names:
            info = model.model_fields[key]
            default = info.get_default(call_default_factory=True)
            default = "required" if info.is_required() else default_text(default)
            rows.append((table, f"`{key}`", type_text(info.annotation), default, MEANINGS[table][key]))
    return _markdown(("table", "key", "type", "default", "meaning"), rows)


_TYPES = {
    str: "text",
    int: "whole number",
    float: "duration",
    datetime: "date or time",
    time: "time of day",
}


def type_text(annotation: Any) -> str:
    """The type of a key as a person says it; every number with a fraction is a duration."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(args[0])
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in args)
    if type(None) in args:
        inner = type_text(Union[tuple(each for each in args if each is not type(None))])  # noqa: UP007 (built)
        return f"{inner} or `off`" if inner in ("duration", "time of day") else inner
    if origin in (Union, UnionType):
        return " or ".join(map(type_text, args))
    if origin is tuple:
        return "list"
    return _TYPES.get(annotation, "table")


def default_text(value: object) -> str:
    """A default as it would stand in the file."""
    match value:
        case None:
            return "none"
        case float():
            return f'`"{_duration(int(value))}"`'
        case tuple() if value and all(isinstance(each, float) for each in value):
            return f"`[{', '.join(_quoted(_duration(int(each))) for each in value)}]`"
        case tuple() if value and all(isinstance(each, int) for each in value):
            return f"`{list(value)}`"
        case time():
            return f'`"{value:%H:%M}"`'
        case tuple():
            return f"`[{', '.join(map(_quoted, value))}]`"
        case str():
            return f"`{_quoted(value)}`"
        case _:
            return f"`{value}`"


def _quoted(text: object) -> str:
    return f'"{text}"'


def _duration(seconds: int) -> str:
    units = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    size, unit = next((size, unit) for size, unit in units if seconds % size == 0)
    return f"{seconds // size}{unit}" if seconds else "0s"


def reasons_table() -> str:
    """Every reason code, the worst first."""
    codes = sorted(REASONS, key=lambda code: -DECISIONS.index(REASONS[code].decision))
    rows = [(f"`{code}`", REASONS[code].decision, REASONS[code].when, REASONS[code].todo) for code in codes]
    return _markdown(("code", "decides", "when", "what to do"), rows)


def causes_table() -> str:
    """Every cause of an unknown."""
    rows = [(f"`{cause}`", when, todo) for cause, (when, todo) in CAUSE_MEANINGS.items()]
    return _markdown(("cause", "when", "what to do"), rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def helps() -> str:
    """The help of every command of both programs, at a fixed width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(COLUMNS)
    try:
        return "\n\n".join(_help(each) for each in _parsers(main.parser(), coordinator_cli.parser()))
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _parsers(*roots: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Each program's parser and those of its commands, in the order of the help text."""
    for root in roots:
        yield root
        for action in root._actions:  # argparse has no public way to its own commands
            if isinstance(action, argparse._SubParsersAction):
                yield from action.choices.values()


def _help(parser: argparse.ArgumentParser) -> str:
    return _block(f"$ {parser.prog} --help\n{parser.format_help().rstrip()}")


@cache
def demo(programs: str | None = None) -> str:
    """What scripts/demo.sh shows on a terminal; ``programs`` is a folder that the PATH starts with."""
    environ = {
        "HOME": os.environ.get("HOME", "/"),
        "PATH": os.pathsep.join(
            filter(None, [programs or str(Path(sys.executable).parent), os.environ["PATH"]])
        ),
        "USER": "ada",
        "TERM": "dumb",  # no moving progress bar, which no page could show
        "NO_COLOR": "1",
        "PAGER": "cat",
        "LC_ALL": "C.UTF-8",
    }
    shown = on_terminal(["bash", str(ROOT / "scripts" / "demo.sh")], environ)
    lines = [line.rstrip() for line in shown.replace("\r\n", "\n").strip("\n").split("\n")]
    return _block("\n".join(lines))


def refusal(programs: str | None = None) -> str:
    """The part of the demo where the batch is refused."""
    _, _, after = demo(programs).partition("== The batch is refused\n")
    return _block(after.partition("\n\n==")[0])


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def on_terminal(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a command prints on a terminal of its own. Raises ``RuntimeError`` where it fails."""
    ours, terminal = pty.openpty()
    child = subprocess.Popen(argv, env=environ, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b"".join(iter(lambda: _read(ours), b"")).decode("utf-8")
    os.close(ours)
    if child.wait():
        raise RuntimeError(f"{argv} failed:\n{shown}")
    return shown


def _read(terminal: int) -> bytes:
    """The next bytes; none when the other side is gone, which Linux calls an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def timeless(text: str) -> str:
    """``text`` without what differs from run to run: commit ids, dates, the clock of the progress bar."""
    text = re.sub(r"\b[0-9a-f]{7,40}\b", lambda id_: "0" * len(id_[0]), text)
    return re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b|\b\d:\d\d:\d\d\b", "TIME", text)


def same(name: str, old: str, new: str) -> bool:
    """Whether two texts of the part ``name`` say the same.

    Each run of the demo has its own ids and times, and each Python aligns the columns of a help text in
    its own way (3.13 changed it).
    """
    if name in SHOWN:
        return timeless(old) == timeless(new)
    return old.split() == new.split() if name == "help" else old == new


class Part(NamedTuple):
    """What stands between the marks: on which page, and what writes it."""

    page: Path
    make: Callable[[], str]


#: The parts that show a run of the demo.
SHOWN = {"demo", "refusal"}
PARTS: Mapping[str, Part] = {
    "settings": Part(REFERENCE / "settings.md", settings_table),
    "reasons": Part(REFERENCE / "codes.md", reasons_table),
    "causes": Part(REFERENCE / "codes.md", causes_table),
    "help": Part(REFERENCE / "commands.md", helps),
    "demo": Part(DOCS / "demo.md", demo),
    "refusal": Part(README, refusal),
    "map": Part(ROOT / "CONTRIBUTING.md", house.GATE.table),
    "coordinator-map": Part(ROOT / "CONTRIBUTING.md", house.COORDINATOR.table),
}


#: The files that are written as a whole.
FILES: Mapping[Path, Callable[[], str]] = {
    REFERENCE / "drift.schema.json": lambda: schema.text(schema.config()),
}


def committed(name: str) -> str:
    """What the page of the part ``name`` shows now. Raises ``ValueError`` where it has no such part."""
    page = PARTS[name].page
    begin, end = _marks(name)
    _, begun, rest = page.read_text(encoding="utf-8").partition(begin)
    shown, ended, _ = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"{page.relative_to(ROOT)} has no part {name!r}")
    return shown


def write(name: str) -> None:
    """Write the part ``name`` anew where it says something else now."""
    page, make = PARTS[name]
    old, new = committed(name), make()
    if not same(name, old, new):
        begin, end = _marks(name)
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(begin + old + end, begin + new + end), encoding="utf-8")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"


if __name__ == "__main__":
    for each in PARTS:
        write(each)
    for path, make in FILES.items():
        path.write_text(make(), encoding="utf-8")
