"""What SQLite counts of a group: the same as of each by itself, and what its rows say."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from coordinator.stores import a_batch, answer, failure
from coordinator.worlds import NOW
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predictions.coordinator.batches.batch import Applied, Progress
from predictions.coordinator.store.sqlite import SqliteStore, open_sqlite
from predictions.worker.messages import Completion

PLAYERS = 4
#: Who is answered for, the last of whom nobody asked, and how.
TOLD = st.tuples(st.integers(0, PLAYERS), st.sampled_from(["answer", "answer", "failure", "another game"]))
GROUPS = st.lists(st.lists(TOLD, min_size=1, max_size=PLAYERS), max_size=4)


@settings(deadline=None, max_examples=60)
@given(handed=st.integers(0, PLAYERS), groups=GROUPS)
@example(handed=0, groups=[[(0, "answer"), (1, "answer")]])
@example(handed=4, groups=[[(0, "failure")], [(1, "answer"), (2, "answer")], [(0, "answer")]])
@example(handed=2, groups=[[(1, "answer"), (2, "answer")], [(0, "answer"), (0, "answer"), (4, "answer")]])
def test_a_group_comes_to_what_each_of_it_would(handed: int, groups: list[list[tuple[int, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stores = [stack.enter_context(open_sqlite(Path(folder) / name)) for name in ("groups", "each")]
        whole, single = (
            _come_to(store, handed, groups, by) for store, by in zip(stores, (0, 1), strict=True)
        )
    assert whole == single


def _come_to(
    store: SqliteStore, handed: int, groups: list[list[tuple[int, str]]], at_a_time: int
) -> tuple[list[Applied], Progress, list[tuple[str, float]], int]:
    """All that is kept after ``groups``, each counted at once, or by ``at_a_time``."""
    batch_id = store.create(a_batch(PLAYERS), NOW).id
    store.mark_dispatched(batch_id, [f"P{number:03}" for number in range(handed)], NOW)
    applied: list[Applied] = []
    for group in groups:
        told = [_completion(batch_id, *each) for each in group]
        size = at_a_time or len(told)
        for first in range(0, len(told), size):
            applied += store.apply(told[first : first + size], NOW)
    batch = store.get(batch_id)
    assert batch is not None
    states = Counter(row[0] for row in store._read("SELECT state FROM requests"))
    assert batch.progress.completed == states["completed"]
    assert batch.progress.failed == states["failed"]
    assert batch.progress.dispatched == PLAYERS - states["pending"]
    return (
        applied,
        batch.progress,
        [(each.player_id, each.points) for each in store.results(batch_id)],
        store.strays(),
    )


def _completion(batch_id: str, player: int, how: str) -> Completion:
    name = f"P{player:03}"
    if how == "failure":
        return failure(batch_id, name)
    return answer(batch_id, name, points=float(player), game="G" if how == "answer" else "another")
