"""What git's plumbing says of two commits, asked commit by commit; no code of ours takes part.

`rev-list --parents` gives the graph, `diff-tree` each commit against each of its parents and the net
difference. Slow and plain, so that it can be believed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from drift_gate.testing import HistoryBuilder

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class Answer:
    """The numbers that a report must have; ``landed`` is the committer time that dates the drift."""

    status: str
    behind: int
    ahead: int
    neutral: int
    picked: int
    differs: bool
    unaccounted: frozenset[str]
    landed: int | None


class Oracle:
    """Asks the repository of ``history``; ``relevant`` says which paths count."""

    def __init__(self, history: HistoryBuilder, relevant: Callable[[str], bool]) -> None:
        self._git = history.git
        self._relevant = relevant
        rows = [row.split() for row in history.git("rev-list", "--all", "--parents").splitlines()]
        self._parents = {row[0]: row[1:] for row in rows}
        self._ancestors = cache(self._find_ancestors)
        self._patch = cache(self._patch_id)

    def answer(self, live: str, target: str) -> Answer:
        """Every number, by the words of the definitions."""
        net = self._changed(live, target)
        missing = self._counted(target, live, net)
        own = self._counted(live, target, net)
        picked = self._picked(missing, own, net)
        behind, ahead = missing - picked, own - picked
        candidates = self._ancestors(target) - self._ancestors(live)
        changing = {commit for commit in candidates if self._changes(commit)}
        return Answer(
            status=self._status(bool(net), bool(behind), bool(ahead)),
            behind=len(behind),
            ahead=len(ahead),
            neutral=len(changing - missing),
            picked=len(missing & picked),
            differs=bool(net),
            unaccounted=net.difference(*map(self._changes, behind | ahead)),
            landed=self._landed(target, behind),
        )

    def _find_ancestors(self, commit: str) -> frozenset[str]:
        seen, todo = set(), [commit]
        while todo:
            each = todo.pop()
            if each not in seen:
                seen.add(each)
                todo += self._parents[each]
        return frozenset(seen)

    def _changed(self, old: str, new: str) -> frozenset[str]:
        out = self._git("diff-tree", "-r", "-z", "--no-renames", "--name-only", old, new)
        names = {os.fsencode(name).decode("utf-8", "surrogateescape") for name in out.split("\0") if name}
        return frozenset(filter(self._relevant, names))

    def _changes(self, commit: str) -> frozenset[str]:
        """Against its parent; a root against nothing; a merge: what differs from every parent."""
        parents = self._parents[commit] or [EMPTY_TREE]
        return frozenset.intersection(*(self._changed(parent, commit) for parent in parents))

    def _counted(self, inside: str, outside: str, net: frozenset[str]) -> frozenset[str]:
        candidates = self._ancestors(inside) - self._ancestors(outside)
        return frozenset(commit for commit in candidates if self._changes(commit) & net)

    def _picked(self, missing: frozenset[str], own: frozenset[str], net: frozenset[str]) -> frozenset[str]:
        """Made on the other side too, not taken back there; no further own work on the files missing."""
        ours = {commit for commit in own if self._stands(commit, missing)}
        further = [self._changes(commit) & net for commit in own - ours]
        theirs = {
            commit
            for commit in missing
            if self._stands(commit, own) and not any(self._changes(commit) & each for each in further)
        }
        return frozenset(ours | theirs)

    def _stands(self, commit: str, side: frozenset[str]) -> bool:
        """Whether ``side`` makes the change of ``commit`` more often than it takes it back."""
        change, back = self._patch(commit), self._patch(commit, "-R")
        made = [self._patch(each) for each in side]
        return bool(change) and made.count(change) > made.count(back)

    def _patch_id(self, commit: str, *reverse: str) -> str:
        """Git's id of what the commit changes; empty for a merge and for no change."""
        text = self._git("diff-tree", "-p", "--root", "--no-renames", "--no-prefix", *reverse, commit)
        return self._git("patch-id", "--stable", stdin=os.fsencode(text)).partition(" ")[0]

    def _landed(self, target: str, counted: frozenset[str]) -> int | None:
        line = self._git("rev-list", "--first-parent", target).splitlines()
        for commit in reversed(line):
            if counted & self._ancestors(commit):
                return int(self._git("show", "-s", "--format=%ct", commit))
        return None

    @staticmethod
    def _status(differs: bool, behind: bool, ahead: bool) -> str:
        if not differs:
            return "identical"
        return {(True, False): "behind", (False, True): "ahead"}.get((behind, ahead), "diverged")
