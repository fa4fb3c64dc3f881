"""What was learned of contents and trees, as bytes for a disk, and back; and which code has learned it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from drift_gate.facts import Finding
from drift_gate.relevance.by_blob import Form
from drift_gate.relevance.python.import_facts import Import, ImportFacts, Scan
from drift_gate.relevance.selection import Selection

T = TypeVar("T")


@cache
def code_version() -> bytes | None:
    """A digest of the code that learns, and of its Python; None where there is no source to be read."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(sys.version.encode())
    rooms = [file for room in ("relevance", "runtime") for file in sorted((package / room).rglob("*.py"))]
    try:
        for file in (package / "facts.py", *rooms):
            source = file.read_bytes()
            digest.update(f"{file.relative_to(package)}\0{len(source)}\0".encode() + source)
    except OSError:
        return None
    return digest.digest()


def _form(name: str, plain: Callable[[T], Any], made: Callable[[Any], T]) -> Form[T]:
    """As JSON of what ``plain`` makes of a value; ``made`` is the way back."""

    def write(value: T) -> bytes:
        # Lone surrogates stand for bytes that are no UTF-8; escaped, two of them would become one letter.
        text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")

    def read(text: bytes) -> T | None:
        try:
            return made(json.loads(text.decode("utf-8", "surrogatepass")))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

    return Form(name, write, read)


def _facts_plain(facts: ImportFacts) -> dict[str, Any]:
    said = {each.name: (getattr(facts, each.name), each.default) for each in fields(facts)}
    changed = {name: value for name, (value, default) in said.items() if value != default}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in changed.items()}


def _facts_made(plain: dict[str, Any]) -> ImportFacts:
    return ImportFacts(**{name: _FIELDS.get(name, _as_tuple)(value) for name, value in plain.items()})


def _imports(plain: list[Any]) -> tuple[Import, ...]:
    return tuple(Import(module, level, tuple(names), optional) for module, level, names, optional in plain)


def _scans(plain: list[Any]) -> tuple[Scan, ...]:
    return tuple(Scan(*each) for each in plain)


def _as_tuple(plain: Any) -> Any:
    return tuple(plain) if isinstance(plain, list) else plain


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "imports": _imports,
    "typing_only": _imports,
    "scans": _scans,
    "bound": frozenset,
}


def _selection_plain(selection: Selection) -> dict[str, Any]:
    """Each text once: the chains of importers repeat the same few paths."""
    numbers: dict[str, int] = {}

    def numbered(because: Any) -> list[list[int]]:
        rows = [(path, *why) for path, why in because.items()]
        return [[numbers.setdefault(text, len(numbers)) for text in row] for row in rows]

    plain = {each.name: getattr(selection, each.name) for each in fields(selection)}
    plain |= {name: numbered(plain[name]) for name in ("because", "elsewhere")}
    plain |= {name: sorted(plain[name]) for name in ("modules", "inputs", "loaded")}
    plain["findings"] = [(each.code, each.message, each.data) for each in selection.findings]
    return {**plain, "texts": list(numbers)}


def _selection_made(plain: dict[str, Any]) -> Selection:
    texts = plain.pop("texts")
    made = {name: _as_tuple(value) for name, value in plain.items()}
    for name in ("because", "elsewhere"):
        made[name] = {texts[path]: tuple([texts[each] for each in why]) for path, *why in plain[name]}
    made |= {name: frozenset(plain[name]) for name in ("modules", "inputs", "loaded")}
    told = plain["findings"]
    made["findings"] = tuple(Finding(code=code, message=message, data=data) for code, message, data in told)
    return Selection(**made)


FACTS = _form("imports", _facts_plain, _facts_made)
NAMES = _form("names", _facts_plain, _facts_made)
LITERALS = _form("literals", sorted, frozenset)
WORDS = _form("words", sorted, frozenset)
MEANING = _form("meaning", str, str)
SELECTION = _form("selection", _selection_plain, _selection_made)
