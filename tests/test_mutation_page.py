"""docs/mutation.md: each survivor has its reason, the sums are right, a new run keeps what was written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import mutation
from scripts.mutation import MISSING, Mutant, counts, survivors, with_part

TEXT = mutation.PAGE.read_text(encoding="utf-8")
ROOT = Path(__file__).parents[1]


def mutant(number: int, state: str) -> Mutant:
    return Mutant(f"m{number}", "drift_gate/comparison/report.py", "fold", state)


def rows(part: str) -> list[list[str]]:
    """The cells of a table of the page."""
    lines = TEXT.partition(f"<!-- begin {part} -->")[2].partition(f"<!-- end {part} -->")[0].splitlines()
    return [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines if line.startswith("| ")][1:]


class TestTheCommittedPage:
    def test_enough_is_noticed(self) -> None:
        *files, total = rows("counts")
        numbers = [[int(cell.replace(",", "")) for cell in row[1:6]] for row in (*files, total)]
        assert [sum(column) for column in zip(*numbers[:-1], strict=True)] == numbers[-1]
        mutants, killed, endless, *_ = numbers[-1]
        assert 100 * (killed + endless) / mutants >= mutation.LOWEST_SCORE
        assert all((ROOT / "drift_gate" / row[0].strip("`")).is_file() for row in files)

    def test_every_survivor_has_a_reason(self) -> None:
        assert rows("survivors")
        assert [row for row in rows("survivors") if len(row) != 3 or row[2] in ("", MISSING)] == []


def test_a_file_is_counted_by_what_became_of_its_mutants() -> None:
    """One that never ended was noticed; one that no test reaches was not."""
    found = [mutant(0, "killed"), mutant(1, "timeout"), mutant(2, "survived"), mutant(3, "no tests")]
    row, total = list(counts(found))[2:]
    assert row == "| `comparison/report.py` | 4 | 1 | 1 | 1 | 1 | 50.0 % |"
    assert total == "| all | 4 | 1 | 1 | 1 | 1 | 50.0 % |"


def test_a_reason_stays_with_its_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that read alike share a row; a new one says that its reason is missing."""
    shown = {
        "m0": "--- a\n+++ b\n-  a | b\n+  a & b\n",
        "m1": "-  a | b\n+  a & b\n",
        "m2": "-  x = 1,\n",
    }
    monkeypatch.setattr(mutation, "mutmut", lambda _, name: shown[name])  # no run of thousands for this
    reason = {("`report.fold`", "`` a \\| b `` → `` a & b ``"): "the same for one bit"}
    found = [mutant(number, "survived") for number in range(3)] + [mutant(3, "killed")]
    assert list(survivors(found, reason))[2:] == [
        "| `report.fold` | `` a \\| b `` → `` a & b `` | the same for one bit |",
        f"| `report.fold` | `` x = 1, `` → nothing | {MISSING} |",
    ]


def test_a_part_is_written_anew_and_the_rest_stays() -> None:
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    assert with_part(text, "x", ["new", "er"]) == "a\n<!-- begin x -->\nnew\ner\n<!-- end x -->\nb\n"
