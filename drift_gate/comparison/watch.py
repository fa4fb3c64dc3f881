"""What a policy looks for in each missing commit as it passes by: its age, its paths, its subject. Pure.

The commits are folded, not held, so what a rule needs to know of them has to be asked on the way.
Precedence: a commit younger than the grace period is left to the deploy that is on its way, by every
rule; of the older ones a single match decides, whatever the count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drift_gate.facts import Commit, Finding, named
from drift_gate.runtime.pattern_shape import MOST_TEXT

if TYPE_CHECKING:
    from drift_gate.relevance.patterns import PathRules


#: How many of the paths or rules that matched a verdict shows.
SHOWN_MATCHES = 20


@dataclass(frozen=True, slots=True)
class Watch:
    """The rules of one policy.

    ``young_after``: a commit that landed at or after this time (seconds since 1970) is within the
    grace period; None: there is none. ``paths``: for each reason code the patterns (gitignore) that
    one relevant path must match; ``subjects``: likewise a regular expression for the subject
    (the first ``MOST_TEXT`` characters of it). ``is_module``: whether a path is a submodule, which a pattern
    matches as it matches a folder.
    """

    young_after: float | None = None
    paths: Sequence[tuple[str, PathRules]] = ()
    subjects: Sequence[tuple[str, re.Pattern[str]]] = ()
    is_module: Callable[[str], bool] = lambda _: False

    def young(self, landed_at: int) -> bool:
        """Whether a commit that landed then is within the grace period."""
        return self.young_after is not None and landed_at >= self.young_after

    def matches(self, commit: Commit, paths: Iterable[str]) -> Iterator[tuple[str, str, Sequence[str]]]:
        """The code, the rule of the first that matched, and all that did: paths, or the subject."""
        for code, rules in self.paths:
            found = [path for path in paths if rules.relevant(path, self.is_module(path))]
            if found:
                yield code, str(rules.matching(found[0], self.is_module(found[0]))), found
        for code, pattern in self.subjects:
            if pattern.search(commit.subject, 0, MOST_TEXT):
                yield code, pattern.pattern, [commit.subject]


#: Looks for nothing.
NOTHING = Watch()


@dataclass(slots=True)
class WatchMatches:
    """What was caught so far: per code the oldest commit, the rule, what it matched, and how many.

    Beside it per code all that is denied for: the paths that matched, or the rules that matched a subject.
    """

    watch: Watch
    young: int = 0
    _found: dict[str, tuple[Commit, str, str, int]] = field(default_factory=dict)
    _all: dict[str, set[str]] = field(default_factory=dict)

    def look(self, commit: Commit, landed_at: int | None, paths: Sequence[str]) -> None:
        """Take one missing commit; they come newest first."""
        if landed_at is not None and self.watch.young(landed_at):
            self.young += 1
            return
        for code, rule, matched in self.watch.matches(commit, paths):
            count = self._found[code][3] if code in self._found else 0
            self._found[code] = commit, rule, matched[0], count + 1
            self._all.setdefault(code, set()).update(matched if self._by_path(code) else [rule])

    def _by_path(self, code: str) -> bool:
        return any(code == each for each, _ in self.watch.paths)

    def findings(self) -> Iterator[Finding]:
        """A finding per code, naming the oldest commit and the rule."""
        for code, (commit, rule, what, count) in self._found.items():
            more = f", and {count - 1:,} more" if count > 1 else ""
            shown = _shown(what)
            every = named(sorted(map(_shown, self._all[code])), SHOWN_MATCHES)
            yield Finding(
                code=code,
                message=f"{commit.sha[:12]} ({commit.subject[:200]}) matches {rule!r}: {shown[:200]}{more}",
                data={
                    "commit": commit.sha,
                    "rule": rule,
                    "matched": shown,
                    "commits": count,
                    "paths" if self._by_path(code) else "rules": every,
                },
            )


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
