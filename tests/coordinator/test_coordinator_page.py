"""docs/coordinator.md says what the code does: its variables, its states, its ways to the workers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from predictions.coordinator.batches.batch import TRANSITIONS
from predictions.coordinator.config import Config
from predictions.coordinator.readiness.settings import VARIABLE

TEXT = (Path(__file__).parents[2] / "docs" / "coordinator.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    below = TEXT.partition(f"## {heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()[2:]]


def test_every_variable_is_listed_and_no_other() -> None:
    listed = {name for row in table("Settings") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert listed == {str(field.alias) for field in Config.model_fields.values()} | {VARIABLE}


def test_the_defaults_are_the_codes() -> None:
    plain = Config.of({})
    shown = {re.findall(r"`([A-Z_]+)`", row[0])[0]: row[1].strip("`") for row in table("Settings")}
    for name, field in Config.model_fields.items():
        default = getattr(plain, name)
        if default is not None:
            text = f"{default:g}" if isinstance(default, float) else str(default)
            assert shown[str(field.alias)] == text


def test_every_way_to_the_workers_is_listed() -> None:
    listed = {row[0].strip("`") for row in table("Ways to the workers")}
    assert listed == set(get_args(Config.model_fields["dispatch"].annotation))


def test_every_arrow_between_states_may_be_taken() -> None:
    arrows = re.findall(r"^ {4}([a-z]+) --> ([a-z]+)", TEXT, re.MULTILINE)
    assert len(arrows) > 5
    assert [(one, other) for one, other in arrows if other not in TRANSITIONS[one]] == []
    assert {state for arrow in arrows for state in arrow} == set(TRANSITIONS)
