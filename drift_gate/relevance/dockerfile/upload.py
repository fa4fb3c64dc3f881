"""What ``gcloud builds submit`` and ``gcloud run deploy --source`` send: its ignore file as gcloud reads it.

gcloud's patterns look like gitignore's and are not: a slash inside binds to no root, a backslash does not
quote a wildcard, only the ignore file of the folder that is sent is read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from drift_gate.relevance.gitignore import without_spaces_behind

IGNORE_FILE = ".gcloudignore"
_GITIGNORE = ".gitignore"
#: What is left out where there is no ignore file of gcloud's own.
_ALWAYS_OUT = (IGNORE_FILE, ".git", _GITIGNORE)
_INCLUDE = re.compile(r"#\s*!include:(.*)", re.DOTALL)
#: What says that gcloud sends the folder, and not that nothing but gcloud does.
_BUILD_FILES = ("cloudbuild.yaml", "cloudbuild.yml", "cloudbuild.json")

Read = Callable[[str], str | None]


class UploadError(ValueError):
    """An ignore file with which gcloud would send nothing."""


@dataclass(frozen=True, slots=True)
class Upload:
    """``deciding``: the ignore files that were read. ``left_out``: is a path of the tree not sent?"""

    deciding: tuple[str, ...]
    left_out: Callable[[str], bool]


def asked(context: str) -> Iterator[str]:
    """The ignore files that may decide on the upload of ``context``, or of the whole tree."""
    for root in dict.fromkeys((posixpath.normpath(context), ".")):
        for name in (IGNORE_FILE, _GITIGNORE):
            yield posixpath.normpath(posixpath.join(root, name))


def upload_of(files: Collection[str], read: Read, context: str, folders: Collection[str], how: str) -> Upload:
    """What of the tree gcloud leaves out when the image is built from the folder ``context``.

    ``how`` is ``upload`` of drift.toml. ``folders``: the links and submodules that are folders to gcloud.
    By "auto" its own ignore file leaves out what it names; where only a build's configuration speaks for
    gcloud, the ``.gitignore`` counts and leaves out nothing, since a trigger clones and never asks it.
    Raises ``UploadError``.
    """
    nothing = Upload((), lambda path: False)
    if how == "git":
        return nothing
    root = _root(files, context, (IGNORE_FILE,)) or _root(files, context, _BUILD_FILES)
    if root is None:
        if how == "auto":
            return nothing
        root = posixpath.normpath(context)
    prefix = "" if root == "." else f"{root}/"
    own = f"{prefix}{IGNORE_FILE}"
    if own not in files and how == "auto":
        return Upload(tuple({f"{prefix}{_GITIGNORE}"} & set(files)), nothing.left_out)
    decided, lines = _lines(files, read, prefix)
    out = _ignored(lines)
    inside = {path.removeprefix(prefix) for path in folders}

    def left_out(path: str) -> bool:
        name = path.removeprefix(prefix)
        return path.startswith(prefix) and out(name, name in inside)

    return Upload(decided, left_out)


def _root(files: Collection[str], context: str, names: Collection[str]) -> str | None:
    """The folder that is sent: that of the context, or the whole tree."""
    roots = dict.fromkeys((posixpath.normpath(context), "."))
    return next(
        (root for root in roots if any(posixpath.normpath(f"{root}/{name}") in files for name in names)), None
    )


def _lines(files: Collection[str], read: Read, prefix: str) -> tuple[tuple[str, ...], list[str]]:
    """The ignore files that were read and their lines, an included file's in the place of its name."""
    own, git = f"{prefix}{IGNORE_FILE}", f"{prefix}{_GITIGNORE}"
    if own not in files:
        there = git in files
        return ((git,) if there else ()), [*_ALWAYS_OUT, *((read(git) or "").splitlines() if there else ())]
    decided, lines = [own], []
    for line in (read(own) or "").splitlines():
        if (include := _INCLUDE.match(line)) is None:
            lines.append(line)
            continue
        if "/" in include[1] or prefix + include[1] not in files:
            raise UploadError(f"{own} includes {include[1]!r}, which is not beside it")
        decided.append(prefix + include[1])
        lines += (read(prefix + include[1]) or "").splitlines()
    return tuple(decided), lines


def _ignored(lines: list[str]) -> Callable[[str, bool], bool]:
    """Whether a path is left out, or a folder above it: the last pattern that matches decides on each."""
    patterns = [found for line in lines if (found := _pattern(line)) is not None]
    folders: dict[str, bool] = {"": False}

    def decided(path: str, is_folder: bool) -> bool:
        parts = path.split("/")
        fitting = (each for each in reversed(patterns) if is_folder or not each.folders_only)
        return next((not each.takes_back for each in fitting if each.matches(parts)), False)

    def out(path: str, is_folder: bool) -> bool:
        above = False
        for slash in re.finditer("/", path):
            folder = path[: slash.start()]
            if folder not in folders:
                folders[folder] = above or decided(folder, True)
            above = folders[folder]
        return above or decided(path, is_folder)

    return out


@dataclass(frozen=True, slots=True)
class _Pattern:
    takes_back: bool
    folders_only: bool
    parts: tuple[str, ...]

    def matches(self, path: list[str]) -> bool:
        """From the last part backwards; without ``**`` or a leading slash, whatever is above may be anything.

        ``left`` are the numbers of parts of the path that may be left, None once its root was passed.
        """
        left: set[int | None] = {len(path)}
        rooted = "**" in self.parts and self.parts[0] != ""
        for number, part in reversed(list(enumerate(self.parts))):
            known = [each for each in left if each is not None]
            if part == "**":
                left = {less for each in known for less in range(each + 1)}
            elif part == "*" and number == 0 and not rooted:  # gcloud takes one letter above it for the root
                left = {each - 1 if each else None for each in known if len("/".join(path[: each - 1])) < 2}
            else:
                fitting = (each for each in known if fnmatchcase(path[each - 1] if each else "", part))
                left = {each - 1 if each else None for each in fitting}
        return 0 in left if rooted else bool(left)


def _pattern(line: str) -> _Pattern | None:
    """One line; None for a comment, for nothing, and for a closing backslash, which gcloud passes over."""
    if line.startswith("#"):
        return None
    body = line.removeprefix("!")
    named = body.removesuffix("/")
    bare = without_spaces_behind(named)
    if bare is None:
        return None
    text = re.sub(r"\\([^\\])", r"\1", bare.replace("\\ ", " ")).replace("\\\\", "\\")
    return _Pattern(body != line, named != body, tuple(text.split("/"))) if text else None
