"""What to predict: a CSV file with one player of one game per row, read and validated.

Lines that begin with ``#`` before the column names are the file's own header and skipped. A row that
cannot be used is set aside with its line number and the reason, never silently dropped.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources
from itertools import dropwhile
from pathlib import Path

from predictions.coordinator.exceptions import EmptySlateError, SlateError
from predictions.worker.worker import PredictionRequest

COLUMNS = ("game_id", "game_date", "player_id", "player_name", "team", "opponent", "recent_points")
#: A single game's points beyond this are a slip of the pen (100 is the most that one player ever scored).
MOST_POINTS = 200
#: How many set-aside rows an error names; all of them are counted.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that is not used: its line in the file (from 1), whom it speaks of, and why it is not used."""

    line: int
    player: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} ({self.player}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """Everybody to predict for on one date, in the file's order, and the rows that were set aside."""

    game_date: date
    source: str
    requests: tuple[PredictionRequest, ...]
    set_aside: tuple[SetAside, ...] = ()

    @property
    def games(self) -> int:
        """How many games the players are spread over."""
        return len({request.game_id for request in self.requests})


def shipped_slates() -> tuple[str, ...]:
    """The dates (ISO) that a synthetic slate comes with the package for."""
    folder = resources.files("predictions.coordinator") / "slates"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


def read_slate(game_date: date, file: Path | None = None) -> Slate:
    """The slate of ``game_date`` from ``file``; None: the one that comes with the package.

    Raises ``SlateError`` when there is none or it is no slate, ``EmptySlateError`` when no row of it
    can be used.
    """
    source, text = _shipped(game_date) if file is None else (str(file), _read(file))
    requests: dict[str, PredictionRequest] = {}
    set_aside: list[SetAside] = []
    for line, row in _rows(text, source):
        try:
            request = _request(row, game_date)
            _once(request, requests)
        except ValueError as problem:
            set_aside.append(SetAside(line, _player(row), str(problem)))
        else:
            requests[request.player_id] = request
    if not requests:
        raise EmptySlateError(_nobody(game_date, source, set_aside))
    return Slate(
        game_date=game_date,
        source=source,
        requests=tuple(requests.values()),
        set_aside=tuple(set_aside),
    )


def _shipped(game_date: date) -> tuple[str, str]:
    day = game_date.isoformat()
    if day not in shipped_slates():
        shipped = ", ".join(shipped_slates())
        raise SlateError(
            f"no slate comes with the package for {day} (only for {shipped}); name one with --slate"
        )
    file = resources.files("predictions.coordinator") / "slates" / f"{day}.csv"
    return f"the shipped slate {day}.csv", file.read_text(encoding="utf-8")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SlateError(f"the slate {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise SlateError(f"the slate {file} is not UTF-8 text: {where}") from error


def _rows(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with the line that it ends on; empty lines are no rows."""
    lines = list(io.StringIO(text))
    body = list(dropwhile(lambda line: line.startswith("#") or not line.strip(), lines))
    skipped = len(lines) - len(body)
    reader = csv.reader(body, strict=True)
    try:
        _check_columns(next(reader, []), source)
        for values in reader:
            if values:
                yield skipped + reader.line_num, _named(values)
    except csv.Error as error:
        raise SlateError(f"{source}, line {skipped + reader.line_num}: no valid CSV: {error}") from error


def _check_columns(names: list[str], source: str) -> None:
    if tuple(names) != COLUMNS:
        found = ", ".join(names) or "nothing"
        raise SlateError(f"{source} must have the columns {', '.join(COLUMNS)}; found {found}")


def _named(values: list[str]) -> dict[str, str]:
    """The row by column name; a count that does not fit is kept under ``""`` for the validation to name."""
    row = dict(zip(COLUMNS, (value.strip() for value in values), strict=False))
    if len(values) != len(COLUMNS):
        row[""] = f"{len(values)} values for {len(COLUMNS)} columns"
    return row


def _player(row: dict[str, str]) -> str:
    return row.get("player_id") or row.get("player_name") or "no player"


def _request(row: dict[str, str], game_date: date) -> PredictionRequest:
    """The row as a request; raises ``ValueError`` with the reason why it is none."""
    if "" in row:
        raise ValueError(row[""])
    for name in COLUMNS:
        if not row[name]:
            raise ValueError(f"{name} is empty")
    if row["game_date"] != game_date.isoformat():
        raise ValueError(f"game_date is {row['game_date']!r}, not {game_date.isoformat()}")
    return PredictionRequest(
        player_id=row["player_id"],
        player_name=row["player_name"],
        game_id=row["game_id"],
        recent_points=tuple(_points(text) for text in row["recent_points"].split()),
    )


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        raise ValueError(f"recent_points holds {text!r}, which is no number") from None
    if not (math.isfinite(points) and 0 <= points <= MOST_POINTS):
        raise ValueError(f"recent_points holds {text}, which is not between 0 and {MOST_POINTS}")
    return points


def _once(request: PredictionRequest, seen: dict[str, PredictionRequest]) -> None:
    """A player plays once a day: the first row counts, since nothing says that a later one is better."""
    if request.player_id in seen:
        raise ValueError(f"the player is on the slate already, in game {seen[request.player_id].game_id}")


def _nobody(game_date: date, source: str, set_aside: list[SetAside]) -> str:
    if not set_aside:
        return f"{source} has no rows: nobody to predict for on {game_date}"
    named = "; ".join(str(row) for row in set_aside[:_NAMED])
    more = f"; and {len(set_aside) - _NAMED} more" if len(set_aside) > _NAMED else ""
    return f"{source} has no usable row for {game_date}; set aside: {named}{more}"
