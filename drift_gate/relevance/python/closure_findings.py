"""What an import closure leaves open, as findings for the policy and remarks for people."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from drift_gate.facts import Finding
from drift_gate.relevance.python.chains import Closure
from drift_gate.relevance.rules import Rules

#: What parses here: a module may be for a newer Python.
_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"


def unresolved(why: str, *, less: bool = False, cure: str = "") -> Finding:
    """Nothing can be narrowed, because of ``why``; ``less``: paths that a person listed may be too few.

    ``cure`` is what this one is settled by, and comes first.
    """
    counts = "relevant files may be missing from paths" if less else "more counts than need be"
    return Finding(
        code="computed-import",
        message=f"{cure}what the worker can reach is not known, so {counts}: {why}",
        data={"why": why},
    )


def anything(rules: Rules, closed: Closure) -> bool:
    """Whether the worker may reach any file of the image, so that nothing can be left out."""
    return bool(closed.computed or closed.unresolved or doubts(rules, closed))


def doubts(rules: Rules, closed: Closure) -> tuple[tuple[str, str], ...]:
    """What may import anything; nothing where somebody said what an image starts and loads."""
    return () if rules.dockerfile is not None and rules.entrypoint else closed.doubts


def findings(
    rules: Rules, closed: Closure | None, roots: Collection[str], layout: Collection[str]
) -> Iterator[Finding]:
    """What the policy has to judge. ``roots``: where imports are sought in the image of that ``layout``."""
    if closed is None:
        return
    less = rules.dockerfile is None and rules.paths is not None
    for path in closed.computed:
        yield unresolved(f"{path} imports by a name that is computed", less=less)
    for path, doubt in doubts(rules, closed):
        cure = (
            "" if rules.dockerfile is None else f"entrypoint in drift.toml answers for what {doubt} loads; "
        )
        yield unresolved(f"{path} uses {doubt}, which can name any module", less=less, cure=cure)
    for path in closed.syntax_errors:
        yield Finding(
            code="unparsed-module",
            message=f"{path} cannot be parsed by {_PYTHON}: what it imports was read from its lines",
            data={"path": path, "python": _PYTHON},
        )
    for missing in closed.unresolved:
        told = f"{missing.chain[0]} imports {missing.module}, which the import roots do not lead to"
        has = (
            "a build step may put it elsewhere:" if missing.path.startswith("RUN ") else "the repository has"
        )
        yield unresolved(f"{told}; {has} {missing.path}", less=less)
    if rules.import_roots:
        yield from _idle_roots(closed, roots, layout)
    for missing in closed.incomplete:
        yield Finding(
            code="image-incomplete",
            message=f"the image lacks {missing.path}, which is imported as {missing.module}: "
            + " ← ".join((missing.path, *missing.chain)),
            data={"module": missing.module, "path": missing.path, "chain": list(missing.chain)},
        )


def _idle_roots(closed: Closure, roots: Collection[str], layout: Collection[str]) -> Iterator[Finding]:
    """The declared roots that lead to nothing, while an import of the repository's own was not found."""
    lost = [*closed.strays, *(each.module for each in closed.unresolved)]
    for root in roots:
        if not any(path.startswith(f"{root.rstrip('/')}/") for path in layout):
            why = "the image has no such folder"
        elif root not in closed.used_roots and lost:
            why = f"no import is found there, and {lost[0]} is found nowhere"
        else:
            continue
        yield Finding(
            code="path-matches-nothing",
            message=f"the folder {root} of import_roots leads to nothing: {why}",
            data={"pattern": root},
        )


def remarks(rules: Rules, closed: Closure | None) -> Iterator[str]:
    """What people who ask are told besides."""
    if closed is None:
        return
    if not doubts(rules, closed):
        told = "entrypoint answers for what that loads"
        yield from (f"{path} uses {doubt}: {told}" for path, doubt in closed.doubts)
    for module, paths in closed.strays.items():
        yield f"no import root leads to {module}: taken for {', '.join(paths)}"
    yield from (f"{path}: reached by TYPE_CHECKING only, not counted" for path in closed.typing_only)
    yield from (f"{entry}: this entry point is not in the image" for entry in closed.unfound)
