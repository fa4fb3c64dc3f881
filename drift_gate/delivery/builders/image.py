"""The builder where something else builds: the image is there already."""

from __future__ import annotations

from dataclasses import dataclass

from drift_gate.delivery.builders.pushed import Ask, by_digest
from drift_gate.delivery.contracts import Export
from drift_gate.runtime.deadline import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuilder:
    """A ``contracts.Builder`` that builds nothing.

    ``image`` is the name with a tag, or with a digest, in which ``{commit}`` stands for the full id of the
    commit; ``ask`` asks its registry.
    """

    image: str
    ask: Ask

    def build(self, export: Export, within: Deadline) -> str:
        """The image by digest. Raises ``BuildError`` where there is none, or it is another commit's."""
        return by_digest(self.image.replace("{commit}", export.commit), export.commit, self.ask, within)

    def push(self, built: str, within: Deadline) -> str:
        """The same."""
        return built
