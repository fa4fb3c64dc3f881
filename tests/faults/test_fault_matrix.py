"""Every outside call under every fault: the true cause, never `allow`, in time, and nothing left behind.

The cells stand in ``support/fault_*.py``; `docs/faults.md` is the same table for people.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.fault_cells import Column, run, wrong
from support.fault_table import CALLS, CELLS, SECONDS, page, stable
from support.heavy import light

from drift_gate.errors import CAUSES

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
#: Google's client, and a file; git has its neighbours in sources/git. The others differ in what is asked.
LIGHT = ("Cloud Run, service", "ledger file")
#: What the calls came to, for the page that `make faults` writes.
SEEN: dict[str, Column] = {}


@pytest.mark.parametrize("call", light(CALLS, LIGHT))
def test_every_fault_of(call: str, tmp_path: Path) -> None:
    cells = [cell for cell in CELLS if cell.call == call]
    column = SEEN[call] = run(cells, tmp_path)
    for cell in cells:
        seen = column.seen[cell.fault]
        print(f"{call:34} {cell.fault:24} {cell.outcome:28} {seen.seconds:.2f} s")
    assert [each for cell in cells for each in wrong(cell, column.seen[cell.fault])] == []
    assert column.threads <= sum(cell.held for cell in cells)


def test_only_what_the_page_says_may_be_allowed() -> None:
    """An outside call that fails never ends in a plain `allow`, but where the page gives the rule."""
    for cell in CELLS:
        assert cell.cause is None or cell.cause in CAUSES
        if cell.decision == "allow" and cell.fault != "nothing":
            assert cell.warning or cell.call == "git remote, noted as confirmed"


def test_each_place_of_the_table_is_one_cell() -> None:
    assert len({(cell.call, cell.fault) for cell in CELLS}) == len(CELLS)


def test_the_page_is_up_to_date() -> None:
    """All but the seconds; `make faults` writes it anew."""
    if os.environ.get("FAULTS_PAGE"):
        PAGE.write_text(page(SEEN), encoding="utf-8")
    told, _, seconds = PAGE.read_text(encoding="utf-8").partition(SECONDS)
    assert told.rstrip() == "\n".join(stable()).rstrip()
    assert all(f"| {call} |" in seconds for call in CALLS)
