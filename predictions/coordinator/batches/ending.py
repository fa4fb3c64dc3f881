"""How a batch ended: who answered, what served then, and whether the two belong together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drift_gate.facts import Fact
from predictions.coordinator.batches.stamp import Serving, Stamp, same_commit

#: The mark of a batch whose results may come from more than one revision.
MIXED_REVISION = "mixed-revision"


class Share(Fact):
    """How many results the workers of one revision and commit brought; None: they did not say."""

    revision: str | None
    commit: str | None
    results: int


class Ending(Fact):
    """What a batch looked like when it ended.

    ``live_revisions`` and ``live_commits``: what served then, as in ``Stamp``; ``live_unknown`` says why
    they could not be read. ``mixed``: whether another revision served than at the start, or workers of
    more than one commit answered; None: nobody knows, as where a result came without a commit.
    ``foreign``: who answered without having been judged; those answers count as errors.
    """

    live_revisions: tuple[str | None, ...] = ()
    live_commits: tuple[str | None, ...] = ()
    live_unknown: str | None = None
    mixed: bool | None = None
    shares: tuple[Share, ...] = ()
    foreign: tuple[Share, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader of the results must know."""
        return (MIXED_REVISION,) if self.mixed else ()


def ending(
    stamps: Sequence[Stamp],
    shares: Sequence[Share],
    now_live: Serving | str,
    foreign: Sequence[Share] = (),
) -> Ending:
    """How the batch ended that was started and resumed on ``stamps``, the last verdict last.

    ``now_live``: what serves now, or the sentence why nobody knows. ``foreign``: see ``Ending``.
    """
    serving = now_live if isinstance(now_live, Serving) else Serving((), ())
    then = Serving(stamps[-1].live_revisions, stamps[-1].live_commits)
    changed = None if isinstance(now_live, str) else _differs(then, serving)
    return Ending(
        live_revisions=serving.revisions,
        live_commits=serving.commits,
        live_unknown=now_live if isinstance(now_live, str) else None,
        mixed=_mixed(stamps, shares, changed),
        shares=tuple(shares),
        foreign=tuple(foreign),
    )


def judged(stamps: Sequence[Stamp], commit: str | None) -> bool | None:
    """Whether one of the verdicts judged ``commit``; None: nobody knows."""
    answers = [stamp.judged(commit) for stamp in stamps]
    return True if True in answers else None if None in answers else False


def _mixed(stamps: Sequence[Stamp], shares: Sequence[Share], changed: bool | None) -> bool | None:
    """A result without a commit may be of any: it never makes a batch one that is not mixed."""
    commits = [share.commit for share in shares if share.commit]
    several = any(not same_commit(commits[0], each) for each in commits)
    if several or changed or any(judged(stamps, each) is False for each in commits):
        return True
    return changed if len(commits) == len(shares) else None


def _differs(then: Serving, now: Serving) -> bool | None:
    """Whether another revision serves; by commit where there are no revisions (a ledger knows none)."""
    for before, after in ((then.revisions, now.revisions), (then.commits, now.commits)):
        if before and after and None not in before and None not in after:
            return set(before) != set(after)
    return None
