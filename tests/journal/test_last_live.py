"""What was live last, out of the journal's file alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.world import WORKER, World

from drift_gate.journal.last_live import live_commits
from drift_gate.journal.records import Entry
from drift_gate.journal.sqlite import SqliteJournal

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_the_last_look_that_knew_it_counts(world: World, tmp_path: Path) -> None:
    """All commits where several serve; of another service nothing; a look that knew none takes none back."""
    path = tmp_path / "journal.sqlite"
    assert live_commits(path, [WORKER]) == {}
    journal = SqliteJournal(path)

    def look(number: int) -> dict[str, tuple[str, ...]]:
        at = NOON + timedelta(minutes=number)
        journal.record([Entry(id=str(number), at=at, verdict=world.verdict())])
        return live_commits(path, [WORKER, "other"])

    second = world.change()
    old = world.cloud.deploy(WORKER, commit=world.first)
    assert look(1) == {WORKER: (world.first,)}
    new = world.cloud.deploy(WORKER, commit=second)
    assert look(2) == {WORKER: (second,)}
    world.cloud.set_traffic(WORKER, {old: 50, new: 50})
    assert set(look(3)[WORKER]) == {world.first, second}
    world.cloud.set_traffic(WORKER, "latest")
    world.cloud.deploy(WORKER)
    assert set(look(4)[WORKER]) == {world.first, second}
