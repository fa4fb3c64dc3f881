"""What a source of COPY, ADD or a bind mount names, and where its files come to lie in the image.

The rules are those of the Dockerfile reference, "COPY" and "ADD".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from drift_gate.relevance.dockerfile.ignore import excluded, glob, is_glob
from drift_gate.relevance.links import inside, require_few

#: As many links as Linux follows before it calls them a loop.
_MAX_LINKS = 40
#: ADD unpacks these; it looks at the content, which we do not see, and people name them so.
_ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst))$", re.IGNORECASE)
_ELSEWHERE = re.compile(r"(https?|ftp|git|ssh)://|git@", re.IGNORECASE)


@dataclass(frozen=True)
class Tree:
    """Files to copy from: a path from the tree's root, without a leading slash, to its repository path.

    ``links`` maps the symbolic links among them to their target, also from the root. ``modules`` are the
    submodules among them: each stands for all that it holds.
    """

    files: Mapping[str, str]
    links: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()

    @cached_property
    def paths(self) -> Sequence[str]:
        """All of ``files``, sorted."""
        return sorted(self.files)

    def follow(self, path: str) -> tuple[str, dict[str, str]]:
        """The path that ``path`` leads to, and the links on the way as files of their own."""
        passed: dict[str, str] = {}
        for _ in range(_MAX_LINKS):
            link = next((each for each in _upwards(path) if each in self.links), None)
            if link is None:
                break
            passed[link] = self.files[link]
            path = clean(f"{self.links[link]}/{path[len(link) :]}")
        return path, passed


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a source names: its base name, and its files by their path inside it.

    A file is its own content, under the path "". ``passed`` are the links that led here.
    """

    name: str
    files: Mapping[str, str]
    passed: Mapping[str, str]

    @property
    def is_file(self) -> bool:
        """Whether it is a single file and no folder."""
        return "" in self.files

    def without(self, out: Callable[[str], bool]) -> Found:
        """What ``--exclude`` leaves: patterns are about paths inside the folder, or the file's own name."""
        kept = {path: source for path, source in self.files.items() if not out(path or self.name)}
        return Found(self.name, kept, self.passed)


def clean(path: str) -> str:
    """A path from the root, without a leading or closing slash; ``..`` cannot leave the root."""
    return posixpath.normpath("/" + path.lstrip("/")).lstrip("/")


def is_elsewhere(source: str) -> bool:
    """Whether ADD fetches it from outside the tree: a URL or a git repository."""
    return _ELSEWHERE.match(source) is not None


def is_archive(found: Found) -> bool:
    """Whether ADD would unpack it, so that nobody can say which paths it fills."""
    return found.is_file and _ARCHIVE.search(found.name) is not None


def find(tree: Tree, source: str) -> list[Found]:
    """Everything that ``source`` names in ``tree``; empty when it names nothing.

    Wildcards are those of ``filepath.Match``. Raises ``ValueError`` for a pattern that is none, and
    ``SourceError`` where too many of them are seen through links.
    """
    name = clean(source)
    names = _matching(tree, name) if is_glob(name) else [name]
    found, through_links = [], 0
    for each in (_at(tree, each) for each in names):
        through_links += len(each.files) if each.passed else 0
        require_few(through_links, each.name)
        found.append(each)
    return [each for each in found if each.files]


def find_with_parents(tree: Tree, source: str) -> list[Found]:
    """What ``COPY --parents`` takes: the folders above a file stay, from ``/./`` on where that is written.

    Raises ``SourceError`` as ``find`` does.
    """
    start, dot, pattern = source.partition("/./")
    base = _at(tree, clean(start if dot else "/"))
    wanted = excluded([clean(pattern if dot else source)])
    kept = {path: repo for path, repo in base.files.items() if path and wanted(path)}
    root, shown = clean(start) if dot else "", 0
    for link in [path for path in kept if posixpath.join(root, path) in tree.links]:
        led = _at(tree, posixpath.join(root, link))  # a link brings what it leads to
        shown += len(led.files)
        require_few(shown, link)
        kept |= {posixpath.join(link, path).rstrip("/"): repo for path, repo in led.files.items()}
    return [Found("", kept, base.passed)] if kept else []


def places(found: Found, destination: str, *, as_folder: bool | None) -> Iterator[tuple[str, str]]:
    """Where each file comes to lie: absolute path in the image, repository path.

    A folder's content goes into ``destination``. A file does so when that is a folder
    (``as_folder``), and else takes its name. With None it may be either, for example a folder of the
    base image: both places are given, so that neither is missed.
    """
    for path, source in found.files.items():
        if path:
            yield posixpath.join(destination, path), source
            continue
        if as_folder is not True:
            yield destination, source
        if as_folder is not False:
            yield posixpath.join(destination, found.name), source


def _at(tree: Tree, name: str) -> Found:
    path, passed = tree.follow(name)
    base = posixpath.basename(name)
    held = next((each for each in _upwards(path) if each in tree.modules), path)
    if held in tree.files:
        return Found(base, {"": tree.files[held]}, passed)
    folder = f"{path}/" if path else ""
    held_there = {each[len(folder) :]: tree.files[each] for each in inside(folder, tree.paths)}
    return Found(base, held_there, passed)


def _matching(tree: Tree, pattern: str) -> list[str]:
    """The files and folders that match; what lies inside a folder that matches is not asked again.

    In the order of a walk through the folders: where two have one name, the last one stays.
    """
    parts = pattern.split("/")
    fixed = next(index for index, part in enumerate(parts) if is_glob(part))
    folder, _ = tree.follow("/".join(parts[:fixed]))
    folder = f"{folder}/" if folder else ""
    matches = glob("/".join(parts[fixed:]))
    names = {module for module in tree.modules if _leads_into(module, parts)}
    for path in inside(folder, tree.paths):
        ways = reversed(list(_upwards(path[len(folder) :])))
        match = next((each for each in ways if matches(each)), None)
        names.update([folder + match] if match is not None else [])
    return sorted(names, key=lambda name: name.split("/"))


def _leads_into(module: str, parts: list[str]) -> bool:
    """Whether a pattern, cut into its parts, may match something inside the submodule."""
    depth = module.count("/") + 1
    return depth < len(parts) and bool(glob("/".join(parts[:depth]))(module))


def _upwards(path: str) -> Iterator[str]:
    """``a/b/c``, ``a/b``, ``a``."""
    while path:
        yield path
        path = posixpath.dirname(path)
