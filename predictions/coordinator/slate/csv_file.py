"""A slate in a CSV file. Lines that begin with ``#`` before the column names are the file's own header."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from importlib import resources
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO

from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.regular_files import GROWN, opened
from predictions.coordinator.exceptions import SlateError
from predictions.coordinator.slate.rows import COLUMNS, EXPECTED_MINUTES, Row


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A ``rows.Source``: a CSV file in UTF-8, opened by ``open``; one line at a time is held."""

    name: str
    open: Callable[[], AbstractContextManager[IO[str]]]

    def rows(
        self, game_date: date, columns: Sequence[str] = COLUMNS, deadline: Deadline | None = None
    ) -> Iterator[Row]:
        """Each row with the line that it ends on; empty lines are no rows."""
        try:
            with self.open() as stream:
                yield from self._rows(stream, columns)
        except OSError as error:
            raise SlateError(f"the slate {self.name} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SlateError(f"the slate {self.name} is not UTF-8 text: {error.reason}") from error

    def _rows(self, stream: IO[str], columns: Sequence[str]) -> Iterator[Row]:
        skipped, first = 0, ""
        for first in stream:
            if not first.startswith("#") and first.strip():
                break
            skipped, first = skipped + 1, ""
        reader = csv.reader(chain([first], stream), strict=True)
        try:
            names = next(reader, [])
            _check_columns(names, columns, self.name)
            for values in reader:
                if values:
                    yield _row(skipped + reader.line_num, names, values)
        except csv.Error as error:
            where = f"{self.name}, line {skipped + reader.line_num}"
            raise SlateError(f"{where}: no valid CSV: {error}") from error


def csv_file(file: Path) -> CsvFile:
    """The file of a person; a byte order mark is no problem."""
    return CsvFile(str(file), lambda: TextIOWrapper(opened(file, GROWN), encoding="utf-8-sig", newline=""))


def shipped_slates() -> tuple[str, ...]:
    """The dates (ISO) that a synthetic slate comes with the package for."""
    folder = resources.files("predictions.coordinator") / "slates"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


def shipped(game_date: date) -> CsvFile:
    """The slate of ``game_date`` that comes with the package; raises ``SlateError`` when there is none."""
    day = game_date.isoformat()
    if day not in shipped_slates():
        known = ", ".join(shipped_slates())
        raise SlateError(
            f"no slate comes with the package for {day} (only for {known}); name one with --slate"
        )
    file = resources.files("predictions.coordinator") / "slates" / f"{day}.csv"
    return CsvFile(f"the shipped slate {day}.csv", lambda: file.open(encoding="utf-8"))


def _check_columns(names: Sequence[str], columns: Sequence[str], source: str) -> None:
    """The columns in their order; the last one may be there unasked."""
    if tuple(names) not in (tuple(columns), (*COLUMNS, EXPECTED_MINUTES)):
        found = ", ".join(names) or "nothing"
        raise SlateError(f"{source} must have the columns {', '.join(columns)}; found {found}")


def _row(line: int, names: Sequence[str], values: Sequence[str]) -> Row:
    problem = None if len(values) == len(names) else f"{len(values)} values for {len(names)} columns"
    return Row(f"line {line}", dict(zip(names, values, strict=False)), problem)
