"""What the completions of one batch come to, beside what is kept of their requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from predictions.coordinator.batches.batch import Applied, RequestState
from predictions.worker.messages import Completion


@dataclass(slots=True)
class Asked:
    """The requests of one batch that are answered: state and game by player, and the answers that count.

    ``active``: whether the batch still takes answers. ``known`` lacks whom nobody asked.
    """

    active: bool
    known: dict[str, tuple[RequestState, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    settled: dict[str, Completion] = field(default_factory=dict)

    def judge(self, completion: Completion) -> Applied:
        """What ``completion`` comes to after those before it."""
        player, answer = completion.request_id, completion.prediction
        if player not in self.known:
            return "unknown"
        state, game = self.known[player]
        if answer is not None and answer.game_id != game:
            return "unknown"
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

    def changes(self) -> Counter[str]:
        """How the batch's counts change by all of it."""
        before: Counter[str] = Counter(self.known[player][0] for player in self.settled)
        completed = sum(each.prediction is not None for each in self.settled.values())
        failed = len(self.settled) - completed - before["failed"]
        more = Counter(self.counts)
        more.update(completed=completed, failed=failed, dispatched=before["pending"])
        return more


def settled_by(completions: Iterable[Completion], applied: Iterable[Applied]) -> set[str]:
    """The requests of one batch that ``completions`` settled, each of which came to what ``applied`` says."""
    return {each.request_id for each, what in zip(completions, applied, strict=True) if what == "counted"}


def players_of(completions: Iterable[Completion]) -> dict[str, list[str]]:
    """Whom ``completions`` answer for, by batch."""
    players: dict[str, list[str]] = {}
    for each in completions:
        players.setdefault(each.batch_id, []).append(each.request_id)
    return players
