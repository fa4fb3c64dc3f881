"""A slate in a Parquet file, read by DuckDB, which comes with the extra ``duckdb``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.exceptions import MissingExtraError, SlateError
from predictions.coordinator.slate.rows import COLUMNS, Row, numbered, require_columns, require_file

#: Rows that are held at a time, half of the vector that DuckDB itself works on.
_AT_A_TIME = 1024
#: One thread: reading a few columns of one file gains nothing from more. No extension is loaded, let
#: alone fetched: a slate is a file on this machine.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A ``rows.Source``: one Parquet file. ``recent_points`` is a list of numbers, or numbers in a text."""

    file: Path

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.file)

    def rows(
        self, game_date: date, columns: Sequence[str] = COLUMNS, deadline: Deadline | None = None
    ) -> Iterator[Row]:
        """Each row with its number in the file, from 1."""
        try:
            import duckdb
        except ImportError as error:
            raise MissingExtraError.of("a Parquet slate", "duckdb") from error
        require_file(self.file)
        try:
            with duckdb.connect(":memory:", config=_SETTINGS) as connection:
                found = connection.execute("SELECT * FROM read_parquet(?) LIMIT 0", [_literal(self.file)])
                require_columns([column[0] for column in found.description or ()], self.name, columns)
                result = connection.execute(
                    f"SELECT {', '.join(columns)} FROM read_parquet(?)",  # noqa: S608 (our own column names)
                    [_literal(self.file)],
                )
                batches = iter(lambda: result.fetchmany(_AT_A_TIME), [])
                yield from numbered(chain.from_iterable(batches), columns)
        except duckdb.Error as error:
            raise SlateError(f"the slate {self.name} cannot be read: {_first_line(error)}") from error


def _literal(file: Path) -> str:
    """The path for DuckDB, which takes a path for a pattern."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in str(file))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
