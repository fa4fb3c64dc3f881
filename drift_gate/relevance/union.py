"""What is relevant of all ends of one service together."""

from __future__ import annotations

from dataclasses import dataclass

from drift_gate.facts import Finding
from drift_gate.relevance.patterns import PathRules, path_rules, reason
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection


@dataclass(frozen=True, slots=True)
class Union:
    """The selections of all ends of one service, put together: what any end selects is relevant.

    ``loaded`` is what running workers have loaded: that counts, whatever the ends say.
    """

    rules: Rules
    ends: tuple[Selection, ...]
    loaded: frozenset[str] = frozenset()

    @property
    def _patterns(self) -> PathRules:
        return path_rules(self.rules.paths, self.rules.ignore)

    def _matches(self, path: str) -> bool:
        return self._patterns.relevant(path, self.is_module(path))

    def is_module(self, path: str) -> bool:
        """Whether the path is a submodule at any end."""
        return any(path in end.modules for end in self.ends)

    def relevant(self, path: str) -> bool:
        """Whether the path counts."""
        if self._proven(path) or any(path in end.because for end in self.ends):
            return True
        return self.rules.by_patterns_alone and self._matches(path)

    def _proven(self, path: str) -> str | None:
        """How it is known that the path is loaded, whatever the rules select; None where it is not."""
        if path in self.loaded:
            return "the running worker has loaded it"
        return "a run has loaded it" if any(path in end.loaded for end in self.ends) else None

    def in_image(self, path: str) -> bool:
        """Whether a relevant path is in the image, as far as anything says so, and not only in its making."""
        if path in self.loaded:
            return True
        if self.rules.by_patterns_alone:
            return self._matches(path) and path not in self.rules.build_files
        return any(path in end.because and path not in end.inputs for end in self.ends)

    def because(self, path: str) -> tuple[str, ...]:
        """Why the path counts; empty where it does not."""
        proven = self._proven(path)
        if self.rules.by_patterns_alone and self._matches(path):
            return (reason(self._patterns, path),)
        selected = next((end.because[path] for end in self.ends if path in end.because), ())
        return selected or ((proven,) if proven else ())

    @property
    def nothing(self) -> str | None:
        """Why no end selects anything that can be trusted; None where one does."""
        reasons = [end.nothing for end in self.ends]
        return None if None in reasons else reasons[0]

    def findings(self) -> tuple[Finding, ...]:
        """What the ends found, each thing once; a pattern is idle only where it is so at every end."""
        idle = set.intersection(*(set(end.idle) for end in self.ends))
        told = [_idle(f"the pattern {each!r} in paths matches no file", each) for each in sorted(idle)]
        if not self.rules.by_patterns_alone:
            told += [_idle(f"at one end {end.nothing}", end.nothing) for end in self.ends if end.nothing]
        told += [finding for end in self.ends for finding in end.findings]
        return tuple({(finding.code, finding.message): finding for finding in told}.values())


def _idle(message: str, pattern: str) -> Finding:
    return Finding(code="path-matches-nothing", message=message, data={"pattern": pattern})
