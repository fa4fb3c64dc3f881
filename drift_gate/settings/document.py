"""A TOML file of settings: its tables as validated values, and all that is wrong with it at once, by line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.runtime import regular_files
from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.value_words import mistakes
from drift_gate.settings.lines import KeyPath, Lines

Model = TypeVar("Model", bound=Fact)

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


class Document:
    """The tables of a TOML file, and the mistakes that were found in them so far.

    Whoever reads settings out of it reports every mistake (``wrong``, or through ``model`` and ``table``),
    and calls ``settle`` before anything of them is used.
    """

    def __init__(self, file: Path, text: str, known: Collection[str]) -> None:
        """``text`` is what ``file`` holds, whose tables are ``known``.

        Raises ``DriftConfigError`` where it is no TOML.
        """
        self.file = file
        self._text = text
        self.tables = _tables(file, text)
        #: Each mistake, with the keys that lead to it; None: it is none of the file's.
        self._mistakes: dict[str, KeyPath | None] = {}
        for key in self.tables:
            if key not in known:
                self.wrong((key,), (), f"unknown key {key!r}{near_misses(key, known)}", place="")

    def table(self, *path: str) -> dict[str, Any]:
        """The table at ``path``, empty where there is none. What is no table is a mistake."""
        table = self.tables
        for end, key in enumerate(path, 1):
            table = table.get(key, {})
            if not isinstance(table, dict):
                at = path[:end]
                self.wrong(at, (), f"{_dotted(at)} must be a table, [{_dotted(at)}]", place="")
                return {}
        return table

    def tables_in(self, key: str) -> list[dict[str, Any]]:
        """The list of tables ``[[key]]``, empty where there is none. What is none is a mistake."""
        listed = self.tables.get(key, [])
        if isinstance(listed, list) and all(isinstance(each, dict) for each in listed):
            return listed
        self.wrong((key,), (), f"{key} must be a list of tables, [[{key}]]", place="")
        return []

    def model(
        self,
        model: type[Model],
        table: KeyPath,
        values: Mapping[str, Any],
        origin: Callable[[str], KeyPath | str] | None = None,
        otherwise: Model | None = None,
    ) -> Model:
        """``values`` as a ``model``. Where they are none, mistakes, and a ``model`` that nobody may read.

        ``table``: where the values stand. ``origin`` says of a key which table it stands in, or the variable
        that it comes from; None: all in ``table``. ``otherwise`` stands for values that are wrong where they
        are looked at before ``settle``; None: nobody looks.
        """
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            for path, sentence in mistakes(error, model).items():
                place = origin(str(path[0])) if origin and path else table
                if isinstance(place, str):
                    self._mistakes.setdefault(f"environment {place}: {sentence}", None)
                else:
                    self.wrong(place, path, sentence)
            return otherwise or model.model_construct()

    def wrong(self, table: KeyPath, path: KeyPath, sentence: str, *, place: str | None = None) -> None:
        """A mistake at ``path`` below ``table``: both are named, by ``place`` where it is not None."""
        named = f"{_named(table)}{''.join(f' {each}' for each in path)}: " if place is None else place
        # A complaint counts the tables of a list from one, as people do; the lines count from none.
        at = (*table, *(each - 1 if isinstance(each, int) else each for each in path))
        self._mistakes.setdefault(named + sentence, at)

    def settle(self) -> None:
        """Raises ``DriftConfigError`` with every mistake so far, in the order of the file."""
        if not self._mistakes:
            return
        lines = Lines(self._text)
        at = {each: lines.of(path) for each, path in self._mistakes.items() if path is not None}
        told = [f"{self.file}:{at[each]}: {each}" for each in sorted(at, key=at.__getitem__)]
        raise DriftConfigError(*told, *(each for each in self._mistakes if each not in at))


def text_of(file: Path) -> str:
    """What ``file`` holds. Raises ``DriftConfigError`` where it cannot be read as UTF-8."""
    try:
        text = regular_files.read(file).decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise DriftConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DriftConfigError(f"{file}:{line}: is no valid TOML: it is not written in UTF-8") from error
    if text.startswith("\ufeff"):
        sentence = "it begins with a byte order mark (BOM); save it as UTF-8 without one"
        raise DriftConfigError(f"{file}:1: is no valid TOML: {sentence}")
    return text


def _tables(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line = at["line"] if at and at["line"] else text.rstrip("\n").count("\n") + 1
        column = f", at column {at['column']}" if at and at["column"] else ""
        sentence = _AT.sub("", str(error))
        raise DriftConfigError(f"{file}:{line}: is no valid TOML: {sentence}{column}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits
        raise DriftConfigError(f"{file}: is no valid TOML: {error}") from error


def _named(table: KeyPath) -> str:
    """A table as its header writes it, and of a list of tables, which."""
    if isinstance(table[-1], int):
        return f"[[{_dotted(table[:-1])}]] {table[-1] + 1}"
    return f"[{_dotted(table)}]"


def _dotted(path: KeyPath) -> str:
    keys = [str(each) for each in path]
    return ".".join(key if _BARE.fullmatch(key) else json.dumps(key) for key in keys)
