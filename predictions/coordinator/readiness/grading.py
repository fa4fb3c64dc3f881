"""Two definitions of grading coverage, and an account of what makes them differ. Pure.

Of the predictions, and of the players who played: somebody who was predicted and did not play can never be
graded, and somebody who played without a prediction neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drift_gate.facts import Finding
from predictions.coordinator.readiness import rows
from predictions.coordinator.readiness.facts import History, Seen, Threshold

PREDICTIONS, PLAYERS = "graded predictions", "graded players"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One day in four numbers: predictions, players who played, those who were both, graded ones.

    Only who was predicted and played can be graded.
    """

    predicted: int
    played: int
    both: int
    graded: int

    @classmethod
    def of(cls, row: Sequence[object]) -> Counts:
        """The numbers of a row in this order. Raises ``ValueError`` where they cannot be true."""
        predicted, played, both, graded = (int(rows.number(value, "count")) for value in row)
        if not graded <= both <= min(predicted, played):
            raise ValueError(
                f"{predicted} predicted, {played} played, {both} both and {graded} graded cannot be: "
                "graded ≤ both ≤ predicted and played"
            )
        return cls(predicted=predicted, played=played, both=both, graded=graded)

    @property
    def shares(self) -> tuple[float | None, float | None]:
        """Graded in percent of the predictions, and of those who played; None: there were none."""
        return _share(self.graded, self.predicted), _share(self.graded, self.played)


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def seen_both_ways(
    counts: Counts,
    of_predictions: tuple[Threshold, History | None],
    of_players: tuple[Threshold, History | None],
) -> list[Seen]:
    """Both shares, each with its threshold and its past; the account of the difference with the first."""
    account = tuple(_account(counts))
    return [
        Seen(
            label=label,
            unit="percent",
            value=share,
            threshold=threshold,
            history=history,
            detail=f"{counts.graded:,} of {whole:,}",
            notes=account if label == PREDICTIONS else (),
        )
        for label, share, whole, (threshold, history) in (
            (PREDICTIONS, counts.shares[0], counts.predicted, of_predictions),
            (PLAYERS, counts.shares[1], counts.played, of_players),
        )
    ]


def _account(counts: Counts) -> Iterator[Finding]:
    """Where the two shares part: each group of players that one counts and the other does not."""
    if not counts.predicted and not counts.played:
        yield Finding(code="nothing-to-grade", message="no predictions, and nobody played")
    elif not counts.played:
        yield Finding(code="nobody-played", message=f"{counts.predicted:,} predicted, and nobody played")
    elif not counts.predicted:
        yield Finding(code="nobody-predicted", message=f"{counts.played:,} played, and nobody was predicted")
    elif counts.shares[0] != counts.shares[1]:
        yield _difference(counts)


def _difference(counts: Counts) -> Finding:
    absent, unforeseen = counts.predicted - counts.both, counts.played - counts.both
    ungraded = counts.both - counts.graded
    groups = (
        (absent, "predicted and did not play"),
        (unforeseen, "played without a prediction"),
        (ungraded, "could be graded and are not"),
    )
    return Finding(
        code="definitions-differ",
        message=", ".join(f"{count:,} {group}" for count, group in groups if count),
        data={"did_not_play": absent, "not_predicted": unforeseen, "not_graded": ungraded},
    )
