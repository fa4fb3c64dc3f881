"""Symbolic links of a tree or an image: which file a path stands for in the end."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from drift_gate.errors import SourceError

#: A chain of more links than Linux follows is a loop, a path longer than it takes (PATH_MAX) leads nowhere.
_LONGEST_CHAIN, _LONGEST_PATH = 40, 4096
#: Paths that links may show. Each costs 200 bytes and 2 µs, and a few links upon links show any number.
MOST_SHOWN = 1_000_000


def below(
    targets: Mapping[str, str], layout: Mapping[str, str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """For each link every file that it makes visible: its path, the real path, the links passed.

    All paths are absolute paths in the image. ``targets`` maps each link to what it points to, as
    stored; ``layout`` has a key for each file. A link into a loop or to nothing makes nothing visible.
    Raises ``SourceError`` as ``require_few`` does.
    """
    files = sorted(path for path in layout if path not in targets)
    shown = 0
    for link in targets:
        end, passed = _follow(link, targets)
        if end is None:
            continue
        if end in layout and end not in targets:
            yield link, end, passed
            continue
        folder = end.rstrip("/") + "/"
        seen = inside(folder, files)
        shown += len(seen)
        require_few(shown, link)
        for path in seen:
            yield link + path[len(folder) - 1 :], path, passed


def require_few(shown: int, link: str) -> None:
    """Raises ``SourceError`` where the links up to ``link`` show more than ``MOST_SHOWN`` paths."""
    if shown > MOST_SHOWN:
        sentence = f"symbolic links show more than {MOST_SHOWN:,} paths, {link} some of them"
        raise SourceError(f"{sentence}: too many to compare", "history-unavailable")


def resolved(
    layout: Mapping[str, str], targets: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """``layout`` with its links followed, and for each path behind links the links as repository paths."""
    placed = {at: path for at, path in layout.items() if path not in targets}
    of_image = {at: targets[path] for at, path in layout.items() if path in targets}
    passed: dict[str, tuple[str, ...]] = {}
    for at, real, passing in below(of_image, layout):
        placed.setdefault(at, layout[real])
        passed[at] = tuple(layout[link] for link in passing)
    return placed, passed


def counted(
    files: Iterable[str], targets: Mapping[str, str], relevant: Callable[[str], bool]
) -> dict[str, tuple[str, ...]]:
    """The paths that count because of links, each with its reason.

    What a relevant link leads to, the links on the way, and what a relevant path through a link stands for.
    ``files`` are all paths of the tree, ``targets`` the links among them with what they point to.
    """
    because: dict[str, tuple[str, ...]] = {}
    placed, passed = resolved({f"/{path}": path for path in files}, targets) if targets else ({}, {})
    chosen = _leading_on({link for link in targets if relevant(link)}, targets)
    for at, passing in passed.items():
        if relevant(at[1:]) or not chosen.isdisjoint(passing):
            for path in (placed[at], *passing):
                because.setdefault(path, (f"link {passing[0]}",))
    return because


def _leading_on(chosen: set[str], targets: Mapping[str, str]) -> set[str]:
    """``chosen`` and the links in the folders that they lead to, and so on."""
    ways = {f"/{link}": target for link, target in targets.items()}
    links, reached, todo = sorted(ways), set[str](), list(chosen)
    while todo:
        end, _ = _follow(f"/{todo.pop()}", ways)
        if end is None or end in reached:
            continue
        reached.add(end)
        within = {link[1:] for link in inside(f"{end.rstrip('/')}/", links)}
        todo += within - chosen
        chosen |= within
    return chosen


def inside(folder: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of ``paths``, which are sorted, that begin with ``folder``: it ends in a slash, or is empty."""
    if not folder:
        return paths
    beyond = folder[:-1] + chr(ord("/") + 1)
    return paths[bisect_left(paths, folder) : bisect_left(paths, beyond)]


def _follow(path: str, targets: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The path without links that ``path`` stands for, and the links on the way; None for a loop."""
    passed: list[str] = []
    while (link := _first_link(path, targets)) is not None:
        if len(passed) >= _LONGEST_CHAIN:
            return None, tuple(passed)
        passed.append(link)
        target = posixpath.join(posixpath.dirname(link), targets[link])
        path = posixpath.normpath(target + path[len(link) :])
        if len(path) > _LONGEST_PATH:
            return None, tuple(passed)
    return path, tuple(passed)


def _first_link(path: str, targets: Mapping[str, str]) -> str | None:
    """The outermost part of ``path`` that is a link."""
    parts = path.split("/")
    ways = ("/".join(parts[: number + 1]) for number in range(1, len(parts)))
    return next((way for way in ways if way in targets), None)
