"""``read_slate``: a slate by its name. One text names each place that a slate may be read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, gather, wait_logged
from drift_gate.runtime.spelling import near_misses
from predictions.coordinator.exceptions import SlateError
from predictions.coordinator.slate.bigquery_table import MAXIMUM_BYTES_BILLED, BigQueryTable
from predictions.coordinator.slate.csv_file import csv_file, shipped
from predictions.coordinator.slate.csv_file import shipped_slates as shipped_slates
from predictions.coordinator.slate.parquet_file import ParquetFile
from predictions.coordinator.slate.rows import COLUMNS, EXPECTED_MINUTES, Row, Slate, Source, slate_of
from predictions.coordinator.slate.sqlite_table import SqliteTable

#: Seconds for the whole reading; a query of BigQuery over one partition takes one to five.
SLATE_TIMEOUT_S = 60.0
#: The ways to name a slate, as help and errors show them.
NAMES = (
    "FILE.csv",
    "FILE.parquet",
    "sqlite:FILE?table=NAME",
    "bigquery://PROJECT/DATASET.TABLE",
)
_FILES: Mapping[str, Callable[[Path], Source]] = {".csv": csv_file, ".parquet": ParquetFile}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
#: What needs no quoting in SQL. Whoever needs another name has a view.
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
#: A project id, of an old project with its domain before it; a data set; a table. No name holds a
#: backtick, so that none leaves its quotes.
_TABLE = re.compile(
    r"(?P<project>(?:[a-z0-9.-]{1,253}:)?[a-z][a-z0-9-]{4,28}[a-z0-9])"
    r"/(?P<dataset>[A-Za-z0-9_]{1,1024})\.(?P<table>[A-Za-z0-9_-]{1,1024})"
)


def read_slate(
    game_date: date,
    slate: str | Path | None = None,
    min_minutes: float | None = None,
    timeout: float = SLATE_TIMEOUT_S,
) -> Slate:
    """The slate of ``game_date`` that ``slate`` names; None: the one that comes with the package.

    ``slate`` is a path or one of ``NAMES``. ``min_minutes`` leaves out players who are expected to play
    less, which takes the column ``expected_minutes``; None: nobody is left out. ``timeout``: seconds for
    all of it. Raises ``SlateError`` when there is no slate, it is none or was not read in time,
    ``EmptySlateError`` when no row of it can be used, and ``MissingExtraError`` when the library that
    reads it is not installed.
    """
    source = shipped(game_date) if slate is None else named(slate)
    columns = COLUMNS if min_minutes is None else (*COLUMNS, EXPECTED_MINUTES)
    deadline = Deadline(timeout)

    def read() -> Slate:
        rows = _until(deadline, source.rows(game_date, columns, deadline))
        return slate_of(game_date, source.name, rows, min_minutes)

    # On a thread that nobody waits for: a disk of the network may never answer.
    with wait_logged(f"the slate {source.name}", deadline):
        found = gather({f"the slate {source.name}": read}, deadline)
    (answer,) = found.values()
    if isinstance(answer, SourceError):
        raise SlateError(f"the slate {source.name} was not read within {timeout:g} s")
    return answer


def _until(deadline: Deadline, rows: Iterable[Row]) -> Iterator[Row]:
    """``rows`` until the ``deadline``, after which nobody waits for them."""
    for row in rows:
        deadline.require("the slate")
        yield row


def named(slate: str | Path) -> Source:
    """The place that ``slate`` names; nothing is opened. Raises ``SlateError`` for a name that is none.

    A ``Path`` is always a file; a text with a scheme is not, unless written as ``./sqlite:…``.
    """
    scheme = None if isinstance(slate, Path) else _SCHEME.fullmatch(slate)
    if scheme is None:
        return _file(Path(slate))
    if scheme[1] not in _SCHEMES:
        hint = near_misses(scheme[1], _SCHEMES)
        raise SlateError(f"the slate {slate}: no scheme {scheme[1]!r}{hint} ({_ways()})")
    return _SCHEMES[scheme[1]](scheme[0], scheme[2])


def _ways() -> str:
    return f"a slate is {', '.join(NAMES[:-1])} or {NAMES[-1]}"


def _file(file: Path) -> Source:
    if file.suffix not in _FILES:
        hint = near_misses(file.suffix.lower(), _FILES)
        raise SlateError(f"the slate {file}: its name ends in neither .csv nor .parquet{hint} ({_ways()})")
    return _FILES[file.suffix](file)


def _sqlite(text: str, rest: str) -> Source:
    file, _, query = rest.rpartition("?")
    given = _parameters(text, query if file else "", ("table",))
    if not file or file.startswith("//") or "table" not in given:
        raise SlateError(
            f"the slate {text}: write sqlite:FILE?table=NAME, such as sqlite:/data/day.db?table=t"
        )
    if not _IDENTIFIER.fullmatch(given["table"]):
        raise SlateError(
            f"the slate {text}: {given['table']!r} is no table name of letters, digits and underscores; "
            "give it a view with such a name"
        )
    return SqliteTable(Path(file), given["table"])


def _bigquery(text: str, rest: str) -> Source:
    place, _, query = rest.partition("?")
    given = _parameters(text, query, ("maximum_bytes_billed",))
    match = _TABLE.fullmatch(place.removeprefix("//"))
    if not match or not place.startswith("//"):
        raise SlateError(f"the slate {text}: write bigquery://PROJECT/DATASET.TABLE")
    most = given.get("maximum_bytes_billed", str(MAXIMUM_BYTES_BILLED))
    if not re.fullmatch(r"[1-9][0-9]{0,17}", most):
        raise SlateError(f"the slate {text}: maximum_bytes_billed is {most!r}, which is no number of bytes")
    return BigQueryTable(
        project=match["project"],
        dataset=match["dataset"],
        table=match["table"],
        maximum_bytes_billed=int(most),
    )


_SCHEMES: Mapping[str, Callable[[str, str], Source]] = {"sqlite": _sqlite, "bigquery": _bigquery}


def _parameters(text: str, query: str, known: tuple[str, ...]) -> dict[str, str]:
    """What stands behind the question mark, each key once."""
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        raise SlateError(f"the slate {text}: {query!r} is not KEY=VALUE") from None
    given = dict(pairs)
    for key in given:
        if key not in known:
            hint = near_misses(key, known)
            raise SlateError(f"the slate {text}: unknown parameter {key!r}{hint} (known: {', '.join(known)})")
    if len(given) != len(pairs):
        raise SlateError(f"the slate {text}: a parameter is given twice")
    return given
