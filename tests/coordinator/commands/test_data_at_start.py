"""A start judges the data too: after the drift gate, and with a bypass of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from coordinator.worlds import World

from predictions.coordinator.commands.main import main

START = ("start", "--game-date", "2026-02-05")
TOML = """\
[sources.db]
kind = "sqlite"
path = "lines.sqlite"

[checks.lines]
phases = ["pre-game"]
source = "db"
unit = "count"
query = "SELECT count(*) FROM lines WHERE game_date = :day"
threshold = {at_least = 2}
"""


@pytest.fixture
def lines(world: World) -> Callable[[int], None]:
    """Sets how many lines there are for the day; a check wants two of them."""
    (world.root / "readiness.toml").write_text(TOML, encoding="utf-8")

    def set_to(count: int) -> None:
        with closing(sqlite3.connect(world.root / "lines.sqlite")) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS lines (game_date TEXT)")
            connection.execute("DELETE FROM lines")
            connection.executemany("INSERT INTO lines VALUES (?)", [("2026-02-05",)] * count)

    return set_to


def test_data_that_are_there_let_it_start(lines: Callable[[int], None]) -> None:
    lines(2)
    assert main(START) == 0


def test_data_that_are_missing_refuse_it_and_leave_no_batch(
    lines: Callable[[int], None], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(1)
    assert main(START) == 1
    assert "lines" in capsys.readouterr().err
    assert not (world.root / ".drift" / "predictions.sqlite").exists()


def test_data_that_cannot_be_asked_refuse_it_as_unknown(world: World) -> None:
    (world.root / "readiness.toml").write_text(TOML, encoding="utf-8")
    assert main(START) == 3


@pytest.mark.heavy
def test_each_bypass_is_for_its_own_check(
    lines: Callable[[int], None], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who skips the drift check has not looked at the data, nor the other way round."""
    lines(0)
    assert main([*START, "--skip-drift-check"]) == 1
    assert main([*START, "--skip-readiness-checks", "--reason", "no lines today", "--actor", "ann"]) == 0
    assert "readiness checks bypassed for 2026-02-05 by ann" in capsys.readouterr().err
    world.fall_behind()
    assert main([*START, "--skip-readiness-checks"]) == 1
    assert main([*START, "--skip-readiness-checks", "--skip-drift-check"]) == 0


@pytest.mark.parametrize("broken", ["[checks", "", None], ids=["broken", "empty", "missing"])
def test_no_configuration_stands_in_the_way_of_both(world: World, broken: str | None) -> None:
    for name in ("drift.toml", "readiness.toml"):
        file = world.root / name
        if broken is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(broken, encoding="utf-8")
    assert main([*START, "--skip-drift-check", "--skip-readiness-checks"]) == 0


def test_a_bypass_of_the_drift_gate_alone_works_without_its_file(world: World) -> None:
    """Where there is no ``drift.toml``, nobody declared checks of the data beside it either."""
    (world.root / "drift.toml").unlink()
    assert main([*START, "--skip-drift-check"]) == 0
