"""Parquet files as a ``Source``, through DuckDB in memory: each declared table is a view over its files."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date

import duckdb

from drift_gate.errors import Cause, SourceError
from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.readiness.facts import MOST_ROWS
from predictions.coordinator.readiness.parameters import used

#: The most specific class counts; any other error of DuckDB: the query or a file is wrong.
_CAUSES: Mapping[type[Exception], Cause] = {
    duckdb.InterruptException: "timeout",
    duckdb.IOException: "not-found",
    duckdb.CatalogException: "not-found",
    duckdb.PermissionException: "permission-denied",
    duckdb.OutOfMemoryException: "unavailable",
    duckdb.Error: "invalid-response",
}
#: No extension comes over the network in the middle of a check, and none changes what is read.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class Parquet:
    """Views over Parquet files; the queries name days as ``$day`` and get them as DATE.

    ``tables`` maps the name of each to a file or a pattern of files.
    """

    def __init__(self, tables: Mapping[str, str]) -> None:
        self._tables = tables

    def rows(self, query: str, days: Mapping[str, date], deadline: Deadline) -> Sequence[Sequence[object]]:
        """As ``Source.rows``."""
        left = deadline.require("DuckDB")
        # DuckDB refuses a parameter that the query does not name.
        values = {name: day for name, day in days.items() if name in used(query)}
        try:
            with closing(duckdb.connect(config=_SETTINGS)) as connection:
                timer = threading.Timer(left, connection.interrupt)
                timer.daemon = True
                timer.start()
                try:
                    self._name_tables(connection)
                    found = connection.execute(query, values).fetchmany(MOST_ROWS + 1)
                finally:
                    timer.cancel()
        except duckdb.Error as error:
            raise _failed(error, deadline) from error
        if len(found) > MOST_ROWS:
            raise SourceError(f"DuckDB: the query gave more than {MOST_ROWS} rows", "invalid-response")
        return found

    def _name_tables(self, connection: duckdb.DuckDBPyConnection) -> None:
        for name, files in self._tables.items():
            connection.from_parquet(files).create_view(name)


def _failed(error: duckdb.Error, deadline: Deadline) -> SourceError:
    cause = next(_CAUSES[kind] for kind in type(error).__mro__ if kind in _CAUSES)
    said = f"interrupted after {deadline.seconds:g} s" if cause == "timeout" else _first_line(str(error))
    return SourceError(f"DuckDB: {said}", cause, cause in {"timeout", "unavailable"})


def _first_line(text: str) -> str:
    """What went wrong; the lines below show the query, which its author has."""
    return text.partition("\n")[0]
