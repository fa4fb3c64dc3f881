"""Writes the SQLite file that examples/readiness.toml asks: made-up data of one season.

    python scripts/make_readiness.py [FILE]

Nothing in it is real. It is the same on every machine: the slate is the shipped one, the rest is seeded.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from drift_gate.runtime import own_folder  # noqa: E402 (needs the path above)
from predictions.coordinator.slate import read_slate  # noqa: E402 (needs the path above)

FILE = ROOT / ".drift" / "readiness.sqlite"
GAME_DATE = date(2026, 2, 5)
FIRST_DAY = date(2025, 12, 1)
CHRISTMAS = {date(2025, 12, day) for day in (24, 25, 26)}

TABLES = """
CREATE TABLE features (game_date TEXT, player_id TEXT);
CREATE TABLE upstream_cache (game_date TEXT, player_id TEXT);
CREATE TABLE lines (game_date TEXT, player_id TEXT, line REAL);
CREATE TABLE grading (game_date TEXT, player_id TEXT, predicted REAL, played INTEGER, graded INTEGER);
CREATE TABLE clean_ups (day TEXT, removed INTEGER);
"""


def write(file: Path) -> None:
    """The whole file anew; what was there is gone."""
    own_folder.make(file.parent)
    file.unlink(missing_ok=True)
    players = [request.player_id for request in read_slate(GAME_DATE).requests]
    made = random.Random(20260205)  # noqa: S311 (made-up data, no secret)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(TABLES)
        for table in ("features", "upstream_cache"):
            rows = [(GAME_DATE.isoformat(), player) for player in players]
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)  # noqa: S608 (our own names)
        for day in _game_days():
            connection.executemany("INSERT INTO lines VALUES (?, ?, ?)", _lines(day, players, made))
            if day < GAME_DATE:
                graded = _grading(day, players, made)
                connection.executemany("INSERT INTO grading VALUES (?, ?, ?, ?, ?)", graded)
                removed = made.randrange(20, 60) if made.random() < 0.8 else 0
                connection.execute("INSERT INTO clean_ups VALUES (?, ?)", (day.isoformat(), removed))


def _game_days() -> Iterator[date]:
    """Every day up to the game date but Christmas and each ninth, when nobody played."""
    for number in range((GAME_DATE - FIRST_DAY).days + 1):
        day = FIRST_DAY + timedelta(days=number)
        if day not in CHRISTMAS and (number % 9 != 4 or day == GAME_DATE):
            yield day


def _lines(day: date, players: list[str], made: random.Random) -> Iterator[tuple[str, str, float | None]]:
    """106 of 273 have a line on the game date, which is 38.8 %; 101 to 135 on the days before it."""
    count = 106 if day == GAME_DATE else made.randrange(101, 136)
    priced = set(made.sample(players, count))
    for player in players:
        yield day.isoformat(), player, made.randrange(10, 60) / 2 if player in priced else None


def _grading(
    day: date, players: list[str], made: random.Random
) -> Iterator[tuple[str, str, float | None, int | None, int | None]]:
    """One row for everybody who was predicted or played: some do not play, a few are not foreseen."""
    for player in players:
        predicted = made.uniform(2, 35) if made.random() < 0.96 else None
        played = 1 if made.random() < 0.75 else None
        graded = 1 if predicted and played and made.random() < 0.99 else None
        yield day.isoformat(), player, predicted, played, graded


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    write(target)
    print(f"wrote {target}")
