"""Relevance declared by hand: ``paths`` and ``ignore`` as gitignore patterns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from drift_gate.relevance.gitignore import GitIgnore

#: How many paths a rule remembers its answer for; a long drift touches the same few again and again.
_REMEMBERED = 65_536


class PathRules:
    """Decides whether a path is relevant: some pattern of ``paths`` matches, none of ``ignore`` does.

    Both are lists of gitignore patterns, and mean what git says: ``docs/`` matches a folder of that name
    at any depth, ``/docs/`` only at the root, ``!`` takes back but nothing below a folder that matched, the
    last match wins. ``paths=None`` means that nothing was declared: every path is relevant that
    ``ignore`` does not match. Raises ``ValueError`` for a pattern that is none or can never match.
    """

    def __init__(self, paths: Sequence[str] | None = None, ignore: Sequence[str] = ()) -> None:
        self.paths = tuple(paths) if paths is not None else None
        self._wanted = GitIgnore(self.paths) if self.paths is not None else None
        self._ignored = GitIgnore(ignore)
        self.relevant = lru_cache(_REMEMBERED)(self._relevant)

    def _relevant(self, path: str, is_folder: bool = False) -> bool:
        """Whether ``path`` counts; a submodule is a folder to git, and nobody knows what it holds."""
        wanted = self._wanted is None or self._wanted.matches(path, is_folder=is_folder)
        if is_folder and not wanted and self._wanted is not None:
            wanted = self._wanted.leading(path) is not None
        return wanted and not self._ignored.matches(path, is_folder=is_folder)

    def matching(self, path: str, is_folder: bool = False) -> str | None:
        """The pattern of ``paths`` that decides on ``path``; None where none does."""
        decides = self._wanted.deciding(path, is_folder=is_folder) if self._wanted is not None else None
        if is_folder and self._wanted is not None and (decides is None or decides < 0):
            decides = self._wanted.leading(path)
        return None if decides is None or self.paths is None else self.paths[max(decides, ~decides)]

    def selects(self, files: Iterable[str]) -> bool:
        """Whether any of ``files`` is relevant."""
        return any(map(self.relevant, files))

    def idle(self, files: Collection[str], folders: Collection[str] = ()) -> tuple[str, ...]:
        """The patterns of ``paths`` that match none of ``files``: a folder moved or misspelt.

        ``folders`` are those of ``files`` that are folders to git.
        """
        patterns = [pattern for pattern in self.paths or () if _selecting(pattern)]
        return tuple(
            pattern for pattern in patterns if not _matches_any(GitIgnore([pattern]), files, folders)
        )


@lru_cache(256)
def path_rules(paths: tuple[str, ...] | None, ignore: tuple[str, ...] = ()) -> PathRules:
    """The rules, made once: what they remember of a path serves every commit and every check."""
    return PathRules(paths, ignore)


def _matches_any(pattern: GitIgnore, files: Collection[str], folders: Collection[str]) -> bool:
    return any(map(pattern.matches, files)) or any(
        pattern.matches(path, is_folder=True) or pattern.leading(path) is not None for path in folders
    )


def _selecting(pattern: str) -> bool:
    """Whether the line can match anything by itself: no comment, no blank, nothing taken back."""
    return bool(pattern.strip()) and not pattern.startswith(("#", "!"))


def reason(patterns: PathRules, path: str, *, is_folder: bool = False) -> str:
    """Why a path is relevant by these patterns, as people read it."""
    matched = patterns.matching(path, is_folder)
    return "everything is relevant" if matched is None else f"paths: {matched}"
