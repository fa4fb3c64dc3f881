"""What the command line prints: progress on stderr while a batch runs, then the summary and the tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from rich import progress
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drift_gate.commands.console import draw
from drift_gate.policy.verdict import Outcome
from drift_gate.presentation import render
from drift_gate.presentation.enforcement import why_not_enforced
from predictions.coordinator.batches.batch import Batch, BatchState
from predictions.coordinator.batches.ending import Share
from predictions.coordinator.batches.orders import Started, Step
from predictions.coordinator.batches.ran_with import RanWith
from predictions.coordinator.batches.results import found_at
from predictions.coordinator.config import FirestoreAt
from predictions.coordinator.readiness import render as readiness
from predictions.coordinator.readiness.sparkline import glyphs
from predictions.coordinator.readiness.verdict import Readiness
from predictions.coordinator.slate import Slate
from shared.utils.deployment_checker import Verdict

#: States in which a start or a resumption has not done what it was for.
_NOT_GOOD: frozenset[BatchState] = frozenset({"failed", "cancelled"})
#: How a row says whether its batch ran with a commit.
_RAN: Mapping[RanWith, str] = {
    "with": "[green]with it[/green]",
    "without": "[bold red]without[/bold red]",
    "partly": "[yellow]partly[/yellow]",
    "unknown": "[yellow]unknown[/yellow]",
}
#: Rows that were set aside and are named one by one; all of them are counted.
_NAMED = 10


class Progress:
    """What happens, on stderr: the verdict's table, the slate in a line, a bar over the batch."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("predicting", total=None, visible=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:  # stopping what never ran would print an empty line
            self._bar.stop()

    def tell(self, event: Verdict | Slate | Step | Readiness) -> None:
        """Show ``event``."""
        match event:
            case Verdict():
                draw(render.table(Outcome.of([event], datetime.now(UTC), 0)), sys.stderr)
            case Readiness():
                draw(readiness.table(event, glyphs(sys.stderr.encoding)), sys.stderr)
            case Slate():
                self._slate(event)
            case Step():
                self._bar.update(self._task, completed=event.done, total=event.total, visible=True)
                self._bar.start()  # a resumed batch has no slate to tell of first
            case _:
                assert_never(event)

    def _slate(self, slate: Slate) -> None:
        self._say(f"slate: {len(slate.requests)} players in {slate.games} games, from {slate.source}")
        if slate.left_out:
            self._say(f"left out: {slate.left_out} players who are expected to play less than asked for")
        for row in slate.set_aside[:_NAMED]:
            self._say(f"set aside: {row}", style="yellow")
        if len(slate.set_aside) > _NAMED:
            self._say(f"set aside: {len(slate.set_aside) - _NAMED} more rows", style="yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(escape(render.plain(text)), style=style, soft_wrap=True)


def report(done: Sequence[Started], store: Path | FirestoreAt) -> int:
    """Print what became of each, and the exit code: 4 where one of them did not come to a good end.

    ``store``: what keeps their batches.
    """
    for started in done:
        for line in summary(started):
            print(line)
        batch = started.batch
        if batch is not None and isinstance(store, Path):
            if file := found_at(store, batch):
                print(f"predictions: {render.plain(str(file))}")
            print(f"state: {render.plain(str(store))}")
    return 4 if any(each.batch and each.batch.state in _NOT_GOOD for each in done) else 0


def summary(started: Started) -> list[str]:
    """What a start or a resumption came to, a line each."""
    if started.batch is None:
        return _dry(started)
    batch, progress = started.batch, started.batch.progress
    games = f" in {started.slate.games} games" if started.slate else ""
    resumed = f", {started.how}" if started.how != "created" else ""
    lines = [
        f"batch {batch.id} for {batch.game_date} {batch.state}{resumed}: {progress.completed} players{games} "
        f"predicted, {batch.set_aside} rows set aside",
        f"gate: {_gate(batch)}",
    ]
    if batch.state == "dispatched":
        lines.insert(
            1, f"dispatch: {progress.dispatched} of {progress.requested} requests via {batch.dispatch}"
        )
    return [render.plain(line) for line in lines + _after(batch)]


def _dry(started: Started) -> list[str]:
    verdict, slate = started.verdict, started.slate
    asked = f"{len(slate.requests)} players in {slate.games} games" if slate else "nobody"
    decision = verdict.decision if verdict else "not asked"
    return [f"dry run: nothing was started; {asked} would be predicted", f"gate: {decision}"]


def _gate(batch: Batch) -> str:
    stamp = batch.stamp
    because = why_not_enforced(stamp.not_enforced_because)
    overridden = "" if stamp.enforced else f", not enforced ({because})"
    return f"{stamp.gate_decision}{overridden}"


def _after(batch: Batch) -> list[str]:
    """What must be known of an ended batch beside its numbers."""
    lines = [f"{batch.state}: {batch.error}"] if batch.error else []
    if batch.ending is not None and batch.marks:
        shares = ", ".join(_share(share) for share in batch.ending.shares)
        lines.append(f"{', '.join(batch.marks)}: {shares}")
    return lines


def _named(batch: Batch) -> str:
    """The id, which tells the date; that of a file of version 1 does not."""
    day = batch.game_date.isoformat()
    return batch.id if batch.id.startswith(day) else f"{batch.id} ({day})"


def _share(share: Share) -> str:
    by = share.revision or "an unnamed revision"
    return f"{share.results} by {by} at {share.commit or 'no known commit'}"


def problems(batches: Sequence[Batch]) -> list[str]:
    """A line for each batch that went wrong or is marked."""
    return [render.plain(f"batch {batch.id} {line}") for batch in batches for line in _after(batch)]


def status_table(batches: Sequence[Batch], ran_with: Mapping[str, RanWith] | None = None) -> Table:
    """The batches, a row each.

    ``ran_with``: whether each ran with a commit, which stands in the place of what was set aside, so that a
    row fits a terminal; None: nobody asked.
    """
    table = Table(box=None, pad_edge=False)
    asked = "set aside" if ran_with is None else "ran"
    for name in ("batch", "state", "predicted", asked, "gate", "started (UTC)"):
        table.add_column(name, no_wrap=name != "gate")
    for batch in batches:
        table.add_row(
            _named(batch),
            batch.state,
            f"{batch.progress.completed}/{batch.progress.requested}",
            str(batch.set_aside) if ran_with is None else _RAN[ran_with[batch.id]],
            batch.stamp.gate_decision + ("" if batch.stamp.enforced else ", not enforced"),
            f"{batch.created_at:%Y-%m-%d %H:%M}",
        )
    return table
