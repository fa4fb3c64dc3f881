"""Symbolic links inside an image: which file a path stands for in the end."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

#: A chain of more links than Linux follows is a loop.
_LONGEST_CHAIN = 40


def below(
    targets: Mapping[str, str], layout: Mapping[str, str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """For each link every file that it makes visible: its path, the real path, the links passed.

    All paths are absolute paths in the image. ``targets`` maps each link to what it points to, as
    stored; ``layout`` has a key for each file. A link into a loop or to nothing makes nothing visible.
    """
    for link in targets:
        end, passed = _follow(link, targets)
        if end is None:
            continue
        if end in layout and end not in targets:
            yield link, end, passed
            continue
        folder = end.rstrip("/") + "/"
        for path in layout:
            if path.startswith(folder) and path not in targets:
                yield link + path[len(folder) - 1 :], path, passed


def _follow(path: str, targets: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The path without links that ``path`` stands for, and the links on the way; None for a loop."""
    passed: list[str] = []
    while (link := _first_link(path, targets)) is not None:
        if len(passed) >= _LONGEST_CHAIN:
            return None, tuple(passed)
        passed.append(link)
        target = posixpath.join(posixpath.dirname(link), targets[link])
        path = posixpath.normpath(target + path[len(link) :])
    return path, tuple(passed)


def _first_link(path: str, targets: Mapping[str, str]) -> str | None:
    """The outermost part of ``path`` that is a link."""
    parts = path.split("/")
    ways = ("/".join(parts[: number + 1]) for number in range(1, len(parts)))
    return next((way for way in ways if way in targets), None)
