"""The predictions of a batch as a CSV file for whoever comes next, and the name of those of a date."""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from secrets import token_hex

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.exceptions import BatchError

log = logging.getLogger("prediction_coordinator")

#: What a spreadsheet takes for the beginning of a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = frozenset("=+-@\t\r")


def predictions_file(store: Path, game_date: date) -> Path:
    """The name of a date's predictions, beside the SQLite file: a link to those of one of its batches."""
    return store.with_name(f"predictions-{game_date.isoformat()}.csv")


def batch_file(store: Path, batch: Batch) -> Path:
    """Where the predictions of ``batch`` are, and no other's."""
    day = batch.game_date.isoformat()
    return store.with_name(f"predictions-{batch.id if batch.id.startswith(day) else f'{day}-{batch.id}'}.csv")


def found_at(store: Path, batch: Batch) -> Path | None:
    """The file that holds the predictions of ``batch``, by its shortest name; None: there is none."""
    own, shared = batch_file(store, batch), predictions_file(store, batch.game_date)
    if not own.exists():
        return None
    return shared if shared.exists() and shared.samefile(own) else own


class Files:
    """Writes the results of each batch into a file beside the store."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def __call__(self, batch: Batch, results: Iterator[Result]) -> None:
        """Write the file of ``batch``; one that is completed becomes the date's, unless that would lose some.

        Raises ``BatchError`` where a file cannot be written.
        """
        own, shared = batch_file(self._store, batch), predictions_file(self._store, batch.game_date)
        write_predictions(own, results)
        if batch.state != "completed":
            return
        held, mine = _lines(shared), _lines(own)
        if held > mine:
            log.warning(
                "%s keeps the %d predictions that it has: batch %s has %d, in %s; "
                "`ln -sf %s %s` makes them those of the date",
                *(shared, held - 1, batch.id, mine - 1, own, own.name, shared),
            )
            return
        _replace(shared, lambda beside: _link(beside, own))


def write_predictions(file: Path, results: Iterable[Result]) -> None:
    """Write ``results`` to ``file``, whole or not at all; an older file of that name is replaced.

    Raises ``BatchError`` when it cannot be written.
    """

    def write(beside: Path) -> None:
        with beside.open("x", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(Result._fields)
            writer.writerows(map(cells, results))

    _replace(file, write)


def cells(result: Result) -> tuple[object, ...]:
    """The row of ``result``, such that a spreadsheet takes no text in it for a formula."""
    return tuple(
        [f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value for value in result]
    )


def _replace(file: Path, make: Callable[[Path], None]) -> None:
    """Put in the place of ``file`` what ``make`` makes under a name that no other writer has."""
    beside = file.with_name(f".{file.name}.{token_hex(8)}")
    try:
        make(beside)
        beside.replace(file)
    except OSError as error:
        raise BatchError(f"the predictions cannot be written to {file}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _link(beside: Path, own: Path) -> None:
    try:
        beside.symlink_to(own.name)
    except OSError:  # a file system without links
        shutil.copyfile(own, beside)


def _lines(file: Path) -> int:
    """How many lines ``file`` has; 0 where there is none."""
    try:
        with file.open("rb") as stream:
            return sum(1 for _ in stream)
    except OSError:
        return 0
