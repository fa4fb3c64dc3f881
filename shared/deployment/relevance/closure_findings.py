"""What an import closure leaves open, as findings for the policy and remarks for people."""

from __future__ import annotations

from collections.abc import Iterator

from shared.deployment.facts import Finding
from shared.deployment.relevance.chains import Closure
from shared.deployment.relevance.rules import Rules


def unresolved(why: str, *, less: bool = False) -> Finding:
    """Nothing can be narrowed, because of ``why``; ``less``: paths that a person listed may be too few."""
    counts = "relevant files may be missing from paths" if less else "more counts than need be"
    return Finding(
        code="computed-import",
        message=f"what the worker can reach is not known, so {counts}: {why}",
        data={"why": why},
    )


def doubts(rules: Rules, closed: Closure) -> tuple[tuple[str, str], ...]:
    """What may import anything; nothing where somebody said what an image starts and loads."""
    return () if rules.dockerfile is not None and rules.entrypoint else closed.doubts


def findings(rules: Rules, closed: Closure | None) -> Iterator[Finding]:
    """What the policy has to judge."""
    if closed is None:
        return
    less = rules.dockerfile is None and rules.paths is not None
    for path in closed.computed:
        yield unresolved(f"{path} imports by a name that is computed", less=less)
    for path, doubt in doubts(rules, closed):
        yield unresolved(f"{path} uses {doubt}, which can name any module", less=less)
    for missing in closed.incomplete:
        yield Finding(
            code="image-incomplete",
            message=f"the image lacks {missing.path}, which is imported as {missing.module}: "
            + " ← ".join((missing.path, *missing.chain)),
            data={"module": missing.module, "path": missing.path, "chain": list(missing.chain)},
        )


def remarks(rules: Rules, closed: Closure | None) -> Iterator[str]:
    """What people who ask are told besides."""
    if closed is None:
        return
    if not doubts(rules, closed):
        told = "entrypoint answers for what that loads"
        yield from (f"{path} uses {doubt}: {told}" for path, doubt in closed.doubts)
    yield from (f"{path}: a syntax error; its imports are a guess" for path in closed.syntax_errors)
    yield from (f"{path}: reached by TYPE_CHECKING only, not counted" for path in closed.typing_only)
    yield from (f"{entry}: this entry point is not in the image" for entry in closed.unfound)
