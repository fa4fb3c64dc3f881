"""The predictions of a batch as somebody fetches them: CSV or JSON, a piece at a time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Literal, NamedTuple, TypeVar

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.batches.results import cells

Format = Literal["csv", "json"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv", "json": "application/json"}
T = TypeVar("T")

#: Predictions in one piece: some tens of kB.
_AT_ONCE = 500


class Predictions(NamedTuple):
    """A batch that has ended, its predictions by player, and the errors of those who have none."""

    batch: Batch
    results: Iterator[Result]
    failed: list[tuple[str, str]]


def pieces(found: Predictions, form: Format) -> Iterator[str]:
    """The body, piece by piece; the first is there already, so that a storage that is gone is an answer."""
    made = _csv(found.results) if form == "csv" else _json(found)
    return chain([next(made)], made)


def _csv(results: Iterator[Result]) -> Iterator[str]:
    yield from _lots(chain([Result._fields], map(cells, results)), _lines)


def _lines(rows: Iterable[tuple[object, ...]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _json(found: Predictions) -> Iterator[str]:
    batch = found.batch
    failed = [{"player_id": player, "error": error} for player, error in found.failed]
    told = {"batch": batch.id, "game_date": batch.game_date.isoformat(), "state": batch.state}
    head = json.dumps({**told, "marks": batch.marks, "failed": failed})
    yield f'{head[:-1]}, "predictions": ['
    first = next(found.results, None)
    if first is not None:
        yield json.dumps(first._asdict())
        yield from _lots(found.results, _members)
    yield "]}"


def _members(results: Iterable[Result]) -> str:
    return "".join(f",\n{json.dumps(each._asdict())}" for each in results)


def _lots(items: Iterator[T], make: Callable[[list[T]], str]) -> Iterator[str]:
    while lot := list(islice(items, _AT_ONCE)):
        yield make(lot)
