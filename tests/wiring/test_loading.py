"""What the process that reads has loaded: before the first question what this check needs, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.limits import ENOUGH_S
from support.world import CLOUD_RUN, World

from drift_gate.runtime.child_process import Child, pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.wiring.plans import Builder

READERS = {"drift_gate.relevance.narrowing", "drift_gate.relevance.python.imports"}
PATHS = 'paths = ["/predictions/worker/", "/shared/"]\n'


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A process that reads for nobody else: what another test had it load stays loaded."""
    pool().close(ENOUGH_S)
    yield
    pool().close(ENOUGH_S)


def loaded() -> set[str]:
    """The modules of the process that reads."""
    child: Child = pool().take(Deadline(ENOUGH_S))
    try:
        return set(child.call(eval, ("sorted(__import__('sys').modules)",), Deadline(ENOUGH_S)))
    finally:
        pool().give(child)


def test_a_check_by_paths_reads_no_image(world: World) -> None:
    world.cloud.deploy("prediction-worker", commit=world.first)
    world.change("docs/readme.md")
    assert world.verdict().decision == "allow"
    assert "drift_gate.relevance.lookup" in loaded()
    assert not READERS & loaded()


@pytest.mark.parametrize(
    "declared", ['dockerfile = "Dockerfile"\n', PATHS + 'entrypoint = ["predictions/worker/worker.py"]\n']
)
def test_what_reads_images_is_loaded_before_the_question(world: World, declared: str) -> None:
    """While Google's client loads, which takes longer."""
    world.toml = CLOUD_RUN.replace(PATHS, declared)
    settings = world.settings()
    Builder(settings).load(settings.services.values())
    assert loaded() >= READERS
