"""What is read of a file is what a reader finds who asks every question of every node of its tree.

Of a sample here; of every installed file and of 10,000 mutated ones by ``make readings``.
"""

from __future__ import annotations

import os

import pytest
from support.plain_reading import installed, mutated, plain_facts

from drift_gate.relevance.python.imports import facts_of

MUTATED = int(os.environ.get("MUTATED_FILES", "20"))
#: Every how manieth of the installed files is read.
STEP = int(os.environ.get("INSTALLED_STEP", "8000"))
#: Several processes can share the whole.
PARTS = 32 if STEP == 1 else 1


@pytest.mark.parametrize("part", range(PARTS))
def test_of_installed_files(part: int) -> None:
    files = installed()[part :: STEP * PARTS]
    assert files
    for path in files:
        content = path.read_bytes()
        assert facts_of(content) == plain_facts(content), path


@pytest.mark.parametrize("part", range(PARTS))
def test_of_mutated_files(part: int) -> None:
    for content in mutated(seed=part, count=-(-MUTATED // PARTS)):
        assert facts_of(content) == plain_facts(content), content.decode("utf-8", "replace")
