"""docs/readiness.md says what is true: its settings load, its defaults are in force, its codes exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

import pytest

from drift_gate.errors import CAUSES
from predictions.coordinator.commands import main
from predictions.coordinator.readiness import settings
from predictions.coordinator.readiness.facts import ByHistory
from predictions.coordinator.readiness.reasons import REASONS
from predictions.coordinator.readiness.settings import load
from scripts.make_readiness import write

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "readiness.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)


def test_the_settings_load_as_they_stand(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    (tmp_path / "readiness.toml").write_text(block)
    told = load(tmp_path / "readiness.toml", {})
    assert [*told.sources] == ["db", "lake", "warehouse"]


def test_every_default_of_a_threshold_is_the_one_in_force() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", DOCUMENT, re.MULTILINE))
    fields = ByHistory.model_fields
    assert {*rows} == {*fields}
    for key, told in rows.items():
        assert told == ("required" if fields[key].is_required() else str(fields[key].default))


def test_every_code_and_cause_that_is_named_exists() -> None:
    words = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", DOCUMENT))
    known = {*REASONS, *CAUSES, *get_args(Literal["line-coverage", "day-before", "pre-game", "post-game"])}
    assert words <= known


def test_the_default_policy_is_the_shown_one() -> None:
    (block,) = blocks("toml")
    defaults = settings.PolicyKeys()
    assert f'deadline = "{defaults.deadline:g}s"' in block
    assert f'failure_policy = "{defaults.failure_policy}"' in block
    assert f'enforcement = "{defaults.enforcement}"' in block


def test_the_shown_command_is_one() -> None:
    (line,) = [line for line in "".join(blocks("sh")).splitlines() if "prediction-coordinator" in line]
    _, _, arguments = line.partition("prediction-coordinator ")
    assert main.parser().parse_args(arguments.split()).phase == "pre-game"


def test_the_shown_output_is_the_examples_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some lines of it, word for word."""
    write(tmp_path / "readiness.sqlite")
    example = (ROOT / "examples" / "readiness.toml").read_text(encoding="utf-8")
    (tmp_path / "readiness.toml").write_text(example.replace("../.drift/", ""), encoding="utf-8")
    monkeypatch.setenv("COORDINATOR_READINESS", str(tmp_path / "readiness.toml"))
    assert main.main(["readiness", "--game-date", "2026-02-05"]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    (shown,) = blocks("text")
    assert all(line.split() in printed for line in shown.splitlines())
