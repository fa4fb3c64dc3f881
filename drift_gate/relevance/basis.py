"""What a selection was computed from: where all of that is the same, so is the selection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from drift_gate.facts import Entry

#: What a file was read for: its text itself, what it imports, what it names.
TEXT, FACTS, LITERALS = "t", "f", "l"


@dataclass(frozen=True, slots=True)
class Basis:
    """``tree``: a digest of all paths with their modes. ``selection`` names what came of it.

    ``read``: for each path that was read the id of what it held, and what for, a letter each.
    """

    tree: str
    read: Mapping[str, tuple[str, str]]
    selection: str

    def changed(self, tree: str, files: Mapping[str, Entry]) -> dict[str, tuple[str, str]] | None:
        """Those of ``read`` whose content is another one in ``files``; None where more differs than content.

        ``tree`` is the digest of ``files``. A text that is another one can change anything.
        """
        if tree != self.tree:
            return None
        changed = {path: each for path, each in self.read.items() if files[path].blob != each[0]}
        return None if any(TEXT in kinds for _, kinds in changed.values()) else changed

    def written(self) -> bytes:
        """As bytes for ``read_basis``."""
        plain = [self.tree, self.selection, *((path, *each) for path, each in self.read.items())]
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read_basis(written: bytes) -> Basis | None:
    """What ``Basis.written`` wrote; None for anything else."""
    try:
        tree, selection, *read = json.loads(written.decode("utf-8", "surrogatepass"))
        return Basis(tree, {path: (blob, kinds) for path, blob, kinds in read}, selection)
    except (ValueError, TypeError):
        return None


def tree_digest(files: Mapping[str, Entry]) -> str:
    """A digest of the paths of a tree and their modes, whatever they hold."""
    text = "".join(f"{path}\0{files[path].mode}\0" for path in sorted(files))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
