"""Whether a service lacks something, by what is remembered of it: exact, or no answer at all."""

from __future__ import annotations

from collections.abc import Set

from drift_gate.commands.remind.remembered import Known
from drift_gate.sources.git.quick import Change, QuickGit

#: Contents of ``.py`` files that are compared by what they say.
_MOST_COMPARED = 20


def base_of(git: QuickGit, head: str, live: tuple[str, ...], target_ref: str) -> tuple[str, bool] | None:
    """The commit that HEAD is held against, and whether it stands for what is live. None: there is none.

    What HEAD and the ``live`` commits have in common; where one of these is not known here, what it has in
    common with the target. A HEAD that the target has is held against where the branch stood before, else
    its parent.
    """
    if live and all(map(git.commit, live)):
        fork = git.fork(head, live)
        if fork is not None:
            return fork, True
    target = git.target(target_ref)
    fork = git.fork(head, [target]) if target is not None else None
    if fork is None or fork == head:
        before = git.commit("HEAD@{1}")
        was_before = before not in (None, head) and git.fork(head, [str(before)]) == before
        fork = before if was_before else git.commit("HEAD^")
    return None if fork is None else (fork, False)


def differing(git: QuickGit, known: Known | None, base: str, head: str) -> frozenset[str] | None:
    """Paths that count and differ between ``base`` and ``head``: none, some or all.

    None: it has to be found out. What counts at ``head`` is what counted at the commit of ``known`` as long
    as nothing came, went or changed that decides on it; whatever else is so, what counts by ``base`` alone
    counts.
    """
    if known is None:
        return None
    if known.base != base:
        if _touched(git, known.commit, base, known.counts | known.read) != set():
            return None
        known = known._replace(base=base, net=frozenset(), sure=known.counts)
    touched = _touched(git, known.commit, head, known.sure | known.counts | known.read)
    if touched is None:
        return None
    if not touched:
        return known.net
    now = git.changes(base, head)
    if now is None:
        return None
    asked = sorted(touched & known.sure & now.keys())[:_MOST_COMPARED]
    changed = {path for path in asked if _says_more(git, path, now[path], known.verbatim)}
    return frozenset((known.net - touched) & known.sure | changed) or None


def _touched(git: QuickGit, old: str, new: str, paths: Set[str]) -> set[str] | None:
    """Those of ``paths`` that hold something else at ``new``; None where more than contents differs."""
    changes = git.changes(old, new)
    if changes is None or not all(change.plain for change in changes.values()):
        return None
    return changes.keys() & paths


def _says_more(git: QuickGit, path: str, change: Change, verbatim: bool) -> bool:
    """Whether it is sure that ``path`` differs in more than the way it is written."""
    if not path.endswith(".py") or not change.plain or verbatim:
        return True
    from drift_gate.relevance.python.syntax import same_syntax

    old, new = map(git.content, change.blobs)
    return old is not None and new is not None and not same_syntax(old, new)
