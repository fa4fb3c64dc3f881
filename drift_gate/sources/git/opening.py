"""The start of git that finds the repository which a path lies in, and what else it is asked on the way."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.errors import message_of
from drift_gate.sources.git.history import HEAD, GitHistory
from drift_gate.sources.git.local_repository import Repository, lines, name_of
from drift_gate.sources.git.log import nonsense
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.recalled import Recalled

#: Commits that are looked for by the same start, at most: a command line has an end.
MOST_SOUGHT = 100

_FULL_ID = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_ASKED = ("--is-shallow-repository", "--show-object-format", "--absolute-git-dir", "--git-common-dir")
_EXTENSIONS = re.compile(r"unknown repository extensions? found:\n((?:\t.*\n?)+)")


def git_at(path: Path, environ: Mapping[str, str], deadline: Deadline) -> Git:
    """Git that looks for the repository from ``path`` on, and checks who owns it: it does so only then.

    Raises ``SourceError`` (``history-unavailable``) where there is no such path.
    """
    if not os.path.exists(path):
        raise SourceError(f"{path} does not exist, or may not be looked at", "history-unavailable")
    folder = os.path.realpath(path if path.is_dir() else path.parent)
    return Git(cwd=folder, environ=environ, deadline=deadline)


def opened(git: Git, path: Path, recalled: Recalled, sought: Collection[str] = ()) -> Repository:
    """The repository that ``path`` lies in, as ``git`` finds it.

    ``sought`` are commits that will be asked for, by full ids or as ``HEAD``: where they are all there, its
    history knows that already. Raises ``SourceError`` (``history-unavailable``).
    """
    with opening(git, path, recalled, sought) as answer:
        found = answer()
    return found or _repository(_said(git, path), git, path, recalled)


@contextlib.contextmanager
def opening(
    git: Git, path: Path, recalled: Recalled, sought: Collection[str]
) -> Iterator[Callable[[], Repository | None]]:
    """The same by one start of git, which runs beside whatever the block does.

    What is yielded waits for its answer. None: nothing was ``sought``, or git did not say, for one reason or
    another, that all of it is there, and has to be asked in steps.
    """
    asked = [each for each in sought if each == HEAD or _FULL_ID.fullmatch(each)]
    if not 0 < len(asked) <= MOST_SOUGHT:
        yield lambda: None
        return
    names = [f"{commit}^{{commit}}" for commit in asked]
    with git.stream("rev-parse", *names, *_ASKED, "--show-cdup") as chunks:
        yield lambda: _with_commits(chunks, git, path, recalled, asked)


def _with_commits(
    chunks: Iterable[bytes], git: Git, path: Path, recalled: Recalled, asked: Sequence[str]
) -> Repository | None:
    """The repository, where git says first that the commits ``asked`` for are all there.

    It ends at what is no commit, and says another id for a tag, or the very words where a file has such a
    name.
    """
    try:
        *ids, answer = b"".join(chunks).split(b"\n", len(asked))
        known = dict(zip(asked, map(os.fsdecode, ids), strict=False))
        told = (_FULL_ID.fullmatch(oid) and name in (oid, HEAD) for name, oid in known.items())
        if len(ids) == len(asked) and all(told):
            return _repository(answer, git, path, recalled, known)
    except SourceError as error:
        if error.cause == "timeout":
            raise
    return None


def _repository(
    answer: bytes, git: Git, path: Path, recalled: Recalled, known: Mapping[str, str] | None = None
) -> Repository:
    told = lines(answer)
    if not len(_ASKED) <= len(told) <= len(_ASKED) + 1:
        raise SourceError(f"{name_of(path)} has a line break in its path", "history-unavailable")
    shallow, algorithm, git_dir, common_dir = told[:4]
    if shallow not in ("true", "false") or algorithm not in ("sha1", "sha256") or b"\0" in answer:
        raise nonsense("rev-parse")
    # A bare repository has no top folder. Git runs in it, as remotes may be relative paths.
    top = os.path.join(git.cwd, told[4]) if len(told) > 4 else git_dir
    history = GitHistory(
        git=Git(cwd=top, git_dir=git_dir, environ=git.environ, deadline=git.deadline),
        shallow=shallow == "true",
        id_length=64 if algorithm == "sha256" else 40,
        known=known or {},
        recalled=recalled,
    )
    return Repository(path, Path(git.cwd, common_dir), history)


def _said(git: Git, path: Path) -> bytes:
    def failure(_: str, stderr: str) -> SourceError:
        return _cannot_open(path, stderr)

    return git.run("rev-parse", *_ASKED, "--show-cdup", failure=failure)


def _cannot_open(path: Path, stderr: str) -> SourceError:
    name = name_of(path)
    if "dubious ownership" in stderr:
        line = re.search(r"git config --global --add safe\.directory .+", stderr)
        todo = line[0] if line else f"git config --global --add safe.directory {name}"
        message = f"{name} belongs to another user; if you trust it, run `{todo}`"
    elif "not a git repository" in stderr:
        message = f"{name} is no git repository, nor inside one"
    elif extensions := _EXTENSIONS.search(stderr):
        names = ", ".join(extensions[1].split())
        message = (
            f"{name} needs what this git does not know: the repository extension {names}; use a newer git"
        )
    else:
        message = f"{name} cannot be opened: {message_of(stderr)}"
    return SourceError(message, "history-unavailable")
