"""``prediction-coordinator readiness``: judges the data for a date."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from drift_gate.commands.console import draw
from drift_gate.errors import DriftConfigError
from drift_gate.settings.location import environment
from predictions.coordinator.commands.arguments import add_game_date
from predictions.coordinator.readiness import render, runner
from predictions.coordinator.readiness.facts import PHASES, Occasion
from predictions.coordinator.readiness.settings import FILE_NAME, VARIABLE, declared
from predictions.coordinator.readiness.sparkline import glyphs
from predictions.coordinator.slate import read_slate

HELP = "judge whether the data are ready for a batch"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Judge the data for a date by the checks that readiness.toml declares. Starts and changes nothing. "
        "Exit code: 0 allow, warn or not enforced; 1 an enforced denial; 3 a denial because something could "
        "not be judged, or an unexpected error; 2 usage, configuration or slate; 4 nobody is on the slate; "
        "130 interrupted. Bypasses are ignored."
    )
    add_game_date(command)
    command.add_argument(
        "--phase", choices=PHASES, default="pre-game", help="which checks apply now (default: %(default)s)"
    )
    command.add_argument(
        "--slate", metavar="SLATE", help="as for `start`, for a features check; without it the shipped one"
    )
    command.add_argument(
        "--format", choices=[each.value for each in render.Format], default="table", help="what to print"
    )


def occasion_of(game_date: date, slate: str | Path | None) -> Occasion:
    """What is to be predicted on ``game_date``; ``slate`` None: the one that comes with the package."""

    def players() -> list[str]:
        return [request.player_id for request in read_slate(game_date, slate).requests]

    return Occasion(game_date=game_date, players=players)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the verdict. Raises ``DriftConfigError`` and ``SlateError``."""
    settings = declared(environment())
    if settings is None:
        raise DriftConfigError(f"no {FILE_NAME} beside drift.toml; write one, or set {VARIABLE}")
    plan = runner.plan(settings, arguments.phase)
    readiness = runner.check(plan, occasion_of(arguments.game_date, arguments.slate))
    runner.record(readiness)
    if render.Format(arguments.format) is render.Format.json:
        sys.stdout.write(render.json(readiness))
    else:
        draw(render.table(readiness, glyphs(sys.stdout.encoding)))
    return readiness.exit_code
