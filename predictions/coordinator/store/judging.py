"""What the completions of one batch come to, beside what is kept of their requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from predictions.coordinator.batches.batch import Applied, RequestState
from predictions.worker.messages import Completion


@dataclass(slots=True)
class Asked:
    """The requests of one batch that are answered: player, state and game by player, and what counts.

    ``active``: whether the batch still takes answers. ``known`` lacks whom nobody asked.
    """

    active: bool
    known: dict[str, tuple[str, RequestState, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    settled: dict[str, Completion] = field(default_factory=dict)

    def judge(self, completion: Completion) -> Applied:
        """What ``completion`` comes to after those before it."""
        player, answer = completion.request_id, completion.prediction
        known = self.known.get(player)
        if known is None or (answer is not None and answer.game_id != known[2]):
            return "unknown"
        state = known[1]
        if player in self.settled:
            state = "completed" if self.settled[player].prediction else "failed"
        if state == "completed" or (state == "failed" and answer is None):
            self.counts["duplicates"] += 1
            return "duplicate"
        if not self.active:
            self.counts["late"] += 1
            return "late"
        self.settled[player] = completion
        return "counted"

    def changes(self) -> dict[str, int]:
        """How the batch's counts change by all of it."""
        before = [self.known[player][1] for player in self.settled]
        errors = [each.prediction for each in self.settled.values()].count(None)
        more = {"completed": len(before) - errors, "failed": errors - before.count("failed")}
        return {**self.counts, **more, "dispatched": before.count("pending")}


def settled_by(completions: Iterable[Completion], applied: Iterable[Applied]) -> set[str]:
    """The requests of one batch that ``completions`` settled, each of which came to what ``applied`` says."""
    return {each.request_id for each, what in zip(completions, applied, strict=True) if what == "counted"}


def players_of(completions: Iterable[Completion]) -> dict[str, list[str]]:
    """Whom ``completions`` answer for, by batch."""
    players: dict[str, list[str]] = {}
    for each in completions:
        players.setdefault(each.batch_id, []).append(each.request_id)
    return players
