"""Random histories: branches, merges, evil merges, merges that drop a side, reverts, moves, criss-cross.

A history is drawn as a list of drafts with everything decided, so that it builds in one go and an
example that fails prints as what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from hypothesis import strategies as st

from drift_gate.testing.history import START, Draft, HistoryBuilder

#: Few paths and contents, so that changes meet, cancel out and come back.
PATHS = ("worker/app.py", "worker/model.py", "shared/odds.py", "docs/notes.md", "weird/\n\"ü'\udcff")
CONTENTS = ("1\n", "2\n", "3\n")

Tree = dict[str, str]
Kind = Literal["change", "empty", "revert", "move", "merge", "ours", "evil", "root"]
KINDS: tuple[Kind, ...] = (
    "change",
    "change",
    "empty",
    "revert",
    "move",
    "merge",
    "merge",
    "ours",
    "evil",
    "root",
)


@dataclass(frozen=True)
class RandomHistory:
    """``drafts`` to build; commit ``n`` is on branch ``c<n>``, so that nothing is lost."""

    drafts: Sequence[Draft]

    def build(self, builder: HistoryBuilder) -> list[str]:
        """Writes it; the ids of the commits, oldest first."""
        return builder.commits(self.drafts)


@st.composite
def histories(draw: st.DrawFn, min_commits: int = 2, max_commits: int = 14) -> RandomHistory:
    """A history of so many commits, each on one or two of the commits before it (some are roots)."""
    trees: list[Tree] = []
    parents: list[list[int]] = []
    drafts: list[Draft] = []
    for number in range(draw(st.integers(min_commits, max_commits))):
        kind = draw(st.sampled_from(KINDS)) if number else "root"
        ours = [] if kind == "root" else [_recent(draw, number)]
        if kind in ("merge", "ours", "evil") and number > 1:
            ours += [other for other in [_recent(draw, number)] if other not in ours]
        base = trees[ours[0]] if ours else {}
        tree = _tree(draw, kind, [trees[parent] for parent in ours], _before(trees, parents, ours))
        trees.append(tree)
        parents.append(ours)
        drafts.append(
            Draft(
                files=_changes(base, tree),
                branch=f"c{number}",
                parents=ours,
                subject=f"{kind} {number}",
                # A few go back in time: clocks differ between machines.
                when=START + timedelta(minutes=10 * number + draw(st.sampled_from((0, 0, 0, -25)))),
            )
        )
    return RandomHistory(drafts)


def _recent(draw: st.DrawFn, number: int) -> int:
    """One of the last few commits: lines that meet again soon make criss-crosses."""
    return draw(st.integers(max(0, number - 4), number - 1))


def _before(trees: Sequence[Tree], parents: Sequence[Sequence[int]], ours: Sequence[int]) -> Tree:
    """The tree before the first parent's own change; empty where that is a root."""
    grand = parents[ours[0]] if ours else []
    return trees[grand[0]] if grand else {}


def _tree(draw: st.DrawFn, kind: Kind, sides: Sequence[Tree], before: Tree) -> Tree:
    """The files after a commit of that kind on the trees of its parents."""
    tree = dict(sides[0]) if sides else {}
    if kind == "revert":
        return dict(before)
    if kind in ("merge", "evil") and len(sides) > 1:
        paths = sorted({*sides[0], *sides[1]})
        chosen = {path: draw(st.sampled_from(sides)).get(path) for path in paths}
        tree = {path: content for path, content in chosen.items() if content is not None}
    if kind == "move" and tree:
        old = draw(st.sampled_from(sorted(tree)))
        tree[draw(st.sampled_from(PATHS))] = tree.pop(old)
    if kind in ("change", "evil", "root"):
        tree |= draw(
            st.dictionaries(st.sampled_from(PATHS), st.sampled_from(CONTENTS), min_size=1, max_size=2)
        )
    return tree


def _changes(old: Tree, new: Tree) -> dict[str, str | None]:
    """What a draft has to say to turn ``old`` into ``new``."""
    gone: dict[str, str | None] = {path: None for path in old if path not in new}
    return gone | {path: content for path, content in new.items() if old.get(path) != content}
