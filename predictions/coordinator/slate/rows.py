"""Rows into a slate: one player of one game per row, validated wherever they came from. Pure.

A row that cannot be used is set aside with its place and the reason, never silently dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from reprlib import repr as shortened
from typing import NamedTuple, Protocol

from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.regular_files import require
from drift_gate.runtime.spelling import near_misses
from predictions.coordinator.exceptions import EmptySlateError, SlateError
from predictions.worker.worker import PredictionRequest

COLUMNS = ("game_id", "game_date", "player_id", "player_name", "team", "opponent", "recent_points")
_TEXTS = tuple(name for name in COLUMNS if name != "recent_points")
#: The column that only an order with ``min_minutes`` needs.
EXPECTED_MINUTES = "expected_minutes"
#: A single game's points beyond this are a slip of the pen (100 is the most that one player ever scored).
MOST_POINTS = 200
#: How many set-aside rows an error names; all of them are counted.
_NAMED = 3


class Row(NamedTuple):
    """A row as its source has it: where it stands (``line 4``, ``row 4``) and its values by column.

    ``problem`` says what the source itself found wrong with it; None: nothing.
    """

    where: str
    values: Mapping[str, object]
    problem: str | None = None


def numbered(table: Iterable[Sequence[object]], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a ``table`` that was asked for ``columns`` in their order: row 1, row 2, …"""
    for number, values in enumerate(table, start=1):
        yield Row(f"row {number}", dict(zip(columns, values, strict=True)))


class Source(Protocol):
    """One place that a slate is read from."""

    @property
    def name(self) -> str:
        """How people call it: in the batch's record, and at the start of each error."""
        ...

    def rows(
        self, game_date: date, columns: Sequence[str] = COLUMNS, deadline: Deadline | None = None
    ) -> Iterator[Row]:
        """The rows of the file, or of ``game_date`` where the place holds many dates, with ``columns``.

        Read as they are asked for; a query that could go on by itself ends at the ``deadline``.
        Raises ``SlateError`` where the place cannot be read or has other columns, and
        ``MissingExtraError`` where the library for it is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that is not used: where it stands, whom it speaks of, and why it is not used."""

    where: str
    player: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where} ({self.player}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """Everybody to predict for on one date, in the source's order, and the rows that were set aside.

    ``left_out`` counts the players who are expected to play less than was asked for.
    """

    game_date: date
    source: str
    requests: tuple[PredictionRequest, ...]
    set_aside: tuple[SetAside, ...] = ()
    left_out: int = 0

    @property
    def games(self) -> int:
        """How many games the players are spread over."""
        return len({request.game_id for request in self.requests})


def slate_of(game_date: date, source: str, rows: Iterable[Row], min_minutes: float | None = None) -> Slate:
    """The slate of ``game_date`` that ``rows`` make; ``source`` names them.

    Players who are expected to play less than ``min_minutes`` are left out; None: nobody is. Raises
    ``EmptySlateError`` when no row can be used, and whatever ``rows`` raises.
    """
    requests: dict[str, PredictionRequest] = {}
    set_aside: list[SetAside] = []
    left_out = 0
    for row in rows:
        try:
            request = _request(row, game_date)
            if min_minutes is not None and _minutes(row.values.get(EXPECTED_MINUTES)) < min_minutes:
                left_out += 1
                continue
            _once(request, requests)
        except ValueError as problem:
            set_aside.append(SetAside(row.where, _player(row.values), str(problem)))
        else:
            requests[request.player_id] = request
    if not requests:
        raise EmptySlateError(_nobody(game_date, source, set_aside, left_out))
    return Slate(
        game_date=game_date,
        source=source,
        requests=tuple(requests.values()),
        set_aside=tuple(set_aside),
        left_out=left_out,
    )


def require_file(file: Path) -> None:
    """Raises ``SlateError`` for what is no file, or a larger one than any slate."""
    try:
        require(file)
    except FileNotFoundError:
        raise SlateError(f"the slate {file} cannot be read: no such file") from None
    except OSError as error:
        raise SlateError(f"the slate {file} cannot be read: {error.strerror}") from error


def require_columns(found: Sequence[str], source: str, columns: Sequence[str]) -> None:
    """Raises ``SlateError`` for the first of ``columns`` that a table lacks, with its near misses.

    More columns, and another order, are no matter: a table is asked for its columns by name.
    """
    names = {name.lower() for name in found}
    missing = next((name for name in columns if name not in names), None)
    if missing:
        raise SlateError(f"{source} has no column {missing}{near_misses(missing, found)}")


def _player(values: Mapping[str, object]) -> str:
    named = values.get("player_id") or values.get("player_name")
    return "no player" if named is None or named == "" else _shown(named)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else shortened(value)


def _request(row: Row, game_date: date) -> PredictionRequest:
    """The row as a request; raises ``ValueError`` with the reason why it is none."""
    if row.problem:
        raise ValueError(row.problem)
    values = row.values
    texts = {name: _text(name, values.get(name)) for name in _TEXTS}
    points = _recent(values.get("recent_points"))
    if texts["game_date"] != game_date.isoformat():
        raise ValueError(f"game_date is {texts['game_date']!r}, not {game_date.isoformat()}")
    return PredictionRequest(
        player_id=texts["player_id"],
        player_name=texts["player_name"],
        game_id=texts["game_id"],
        recent_points=points,
    )


def _text(name: str, value: object) -> str:
    """``value`` as text. A number with a fraction is no name: 7 and 7.0 would be two players."""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, date):
        text = value.isoformat()
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif value is None:
        text = ""
    else:
        raise ValueError(f"{name} is {shortened(value)}, which is neither text nor a whole number")
    if not text:
        raise ValueError(f"{name} is empty")
    return text


def _recent(value: object) -> tuple[float, ...]:
    """Points of single games: numbers in a text, or a list of numbers as a typed table has them."""
    games: Sequence[object]
    match value:
        case str():
            games = value.split()
            with suppress(ValueError):  # what is wrong is found and named below
                points = tuple(map(float, games))
                if points and all(0 <= each <= MOST_POINTS for each in points):
                    return points
        case list() | tuple():
            games = value
        case None:
            games = ()
        case _:
            games = (value,)
    if not games:
        raise ValueError("recent_points is empty")
    return tuple(_points(game) for game in games)


def _points(value: object) -> float:
    points = _number("recent_points holds", value)
    if not (math.isfinite(points) and 0 <= points <= MOST_POINTS):
        raise ValueError(f"recent_points holds {_shown(value)}, which is not between 0 and {MOST_POINTS}")
    return points


def _minutes(value: object) -> float:
    """How long the player is expected to play. An unknown is no 0: the row is set aside, and named."""
    if value is None or value == "":
        raise ValueError(f"{EXPECTED_MINUTES} is empty")
    minutes = _number(f"{EXPECTED_MINUTES} is", value)
    if math.isnan(minutes):
        raise ValueError(f"{EXPECTED_MINUTES} is {_shown(value)}, which is no number")
    return minutes


def _number(what: str, value: object) -> float:
    """``value`` as a number; raises ``ValueError``, which begins with ``what``."""
    try:
        if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} {shortened(value)}, which is no number") from None


def _once(request: PredictionRequest, seen: Mapping[str, PredictionRequest]) -> None:
    """A player plays once a day: the first row counts, since nothing says that a later one is better."""
    if request.player_id in seen:
        raise ValueError(f"the player is on the slate already, in game {seen[request.player_id].game_id}")


def _nobody(game_date: date, source: str, set_aside: Sequence[SetAside], left_out: int) -> str:
    if left_out:
        return (
            f"{source} has nobody for {game_date} who is expected to play that long: "
            f"{left_out} left out, {len(set_aside)} set aside"
        )
    if not set_aside:
        return f"{source} has no rows: nobody to predict for on {game_date}"
    named = "; ".join(str(row) for row in set_aside[:_NAMED])
    more = f"; and {len(set_aside) - _NAMED} more" if len(set_aside) > _NAMED else ""
    return f"{source} has no usable row for {game_date}; set aside: {named}{more}"
