"""A slate in a table or a view of a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.spelling import near_misses
from predictions.coordinator.exceptions import SlateError
from predictions.coordinator.slate.rows import COLUMNS, Row, numbered, require_columns, require_file

#: Seconds that a reader waits for a writer of the same file.
BUSY_SECONDS = 10
#: Steps of SQLite's machine between two looks at the clock: some milliseconds.
_STEPS = 100_000
#: What begins like an ISO date. A row without it may be one of any day, and is not passed over.
_ISO = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"


@dataclass(frozen=True, slots=True)
class SqliteTable:
    """A ``rows.Source``: the rows of one date in ``table`` of ``file``, which is only read.

    ``table`` has been checked to be a plain identifier; ``recent_points`` is numbers in a text.
    """

    file: Path
    table: str

    @property
    def name(self) -> str:
        """The file and the table."""
        return f"{self.file}, table {self.table}"

    def rows(
        self, game_date: date, columns: Sequence[str] = COLUMNS, deadline: Deadline | None = None
    ) -> Iterator[Row]:
        """The rows of ``game_date`` and those whose date cannot be read, by game and player, from row 1."""
        # SQLite would make the file that is not there, and says only "unable to open" of one it may not.
        require_file(self.file)
        address = f"file:{quote(str(self.file.absolute()))}?mode=ro"
        try:
            with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as connection:
                connection.text_factory = _text
                if deadline is not None:  # a view may have no end, and no thread can end it
                    connection.set_progress_handler(lambda: deadline.remaining() <= 0, _STEPS)
                self._check(connection, columns)
                found = connection.execute(self._query(columns), {"day": game_date.isoformat(), "iso": _ISO})
                yield from numbered(found, columns)
        except sqlite3.Error as error:
            raise SlateError(f"the slate {self.name} cannot be read: {error}") from error

    def _check(self, connection: sqlite3.Connection, columns: Sequence[str]) -> None:
        """Names are looked up first: SQLite takes an unknown name in quotes for a text."""
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        tables = [str(name) for (name,) in listed]
        if self.table.lower() not in {name.lower() for name in tables}:
            known = ", ".join(tables) or "none"
            hint = near_misses(self.table, tables)
            raise SlateError(f"the slate {self.file} has no table {self.table!r}{hint} (there: {known})")
        found = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (self.table,))
        require_columns([str(name) for (name,) in found], self.name, columns)

    def _query(self, columns: Sequence[str]) -> str:
        wanted = ", ".join(f'"{name}"' for name in columns)
        return (
            f'SELECT {wanted} FROM "{self.table}" '  # noqa: S608 (a plain identifier that is there)
            'WHERE substr("game_date", 1, 10) = :day '
            'OR "game_date" IS NULL OR "game_date" NOT GLOB :iso '
            'ORDER BY "game_id", "player_id"'
        )


def _text(raw: bytes) -> str | bytes:
    """Text that is no UTF-8 stays bytes, so that its row is set aside and the others are read."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
