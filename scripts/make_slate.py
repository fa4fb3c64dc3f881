"""Writes the shipped slate: 8 games and 273 players that never were, the same on every machine.

    python scripts/make_slate.py

The random numbers come from a fixed seed; a test holds that the committed file is what this writes.
"""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

GAME_DATE = "2026-02-05"
SLATE = Path(__file__).parents[1] / "predictions" / "coordinator" / "slates" / f"{GAME_DATE}.csv"
TEAMS = tuple(f"T{number:02}" for number in range(1, 17))
PLAYERS = 273
RECENT_GAMES = 10
SEED = 20260205

HEADER = f"""\
# SYNTHETIC DATA. No player, team, game or number in this file is real.
# Written by scripts/make_slate.py (seed {SEED}): {len(TEAMS) // 2} games, {PLAYERS} players.
# recent_points: points of the player's last games, the newest last.
"""
COLUMNS = ("game_id", "game_date", "player_id", "player_name", "team", "opponent", "recent_points")


def slate_text() -> str:
    """The whole file."""
    draw = random.Random(SEED)  # noqa: S311 - made-up sports results, no secret
    out = io.StringIO()
    out.write(HEADER)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number in range(1, PLAYERS + 1):
        team = (number - 1) * len(TEAMS) // PLAYERS
        writer.writerow(_row(number, team, draw))
    return out.getvalue()


def _row(number: int, team: int, draw: random.Random) -> tuple[str, ...]:
    """A player of the team with index ``team``; teams 0 and 1 meet in the first game, and so on."""
    return (
        f"{GAME_DATE}-G{team // 2 + 1}",
        GAME_DATE,
        f"P{number:04}",
        f"Synthetic Player {number:03}",
        TEAMS[team],
        TEAMS[team ^ 1],
        " ".join(str(points) for points in _recent(draw)),
    )


def _recent(draw: random.Random) -> list[int]:
    """Points around a strength of the player's own; a few have played less than the others."""
    strength = draw.triangular(1, 32, 8)
    games = RECENT_GAMES if draw.random() > 0.05 else draw.randint(1, 4)
    return [max(0, round(draw.gauss(strength, 2 + strength / 4))) for _ in range(games)]


if __name__ == "__main__":
    SLATE.write_text(slate_text(), encoding="utf-8", newline="\n")
