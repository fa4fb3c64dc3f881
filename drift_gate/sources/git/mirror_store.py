"""One repository's place in the cache folder: which copy is in use, who may change it, what is left over.

<cache>/<name>-<digest>/
├── lock             held by whoever makes or refreshes; the system frees it when that process dies
├── current          a symbolic link to the copy in use, replaced in one step
├── repo-…           copies: the one in use, and older ones that somebody may still read
├── making-…         a copy in the making: whoever holds the lock may remove it
├── confirmed.json   what the remote last confirmed
└── learned/          what checks found out (see ``relevance.memory``)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.log import nonsense
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.remote import Remote, shown

#: Seconds for which a copy that was replaced is kept: whoever reads it has long reached its deadline.
RETIRED_S = 3600.0
#: Each fetch adds a pack; from so many on they are made one.
MANY_PACKS = 50
#: Of the time that is left, what making the mirror faster may take; it is no part of the answer.
TIDY_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Copy:
    """A bare repository of the cache, open."""

    path: Path
    history: GitHistory

    def suspect(self) -> None:
        """Have the next check make a new one: this one is damaged. It serves nobody until then."""
        with contextlib.suppress(OSError):
            (self.path / "suspect").touch()

    def is_at(self, oid: str, theirs: str) -> bool:
        """Whether the remote's ref ``theirs`` was fetched here as ``oid``, with its history.

        That the object exists says less: git keeps what it fetched when it then refused the ref.
        """
        try:
            return self.history.object_at(ours(theirs)) == oid
        except SourceError:
            return False


def ours(theirs: str) -> str:
    """Under which name a copy keeps the remote's ref ``theirs``."""
    return f"refs/drift-gate/{theirs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The place of ``remote``. ``git`` runs in its ``folder``, outside of any copy."""

    remote: Remote
    folder: Path
    git: Git

    @classmethod
    def at(cls, cache: Path, remote: Remote, environ: Mapping[str, str], deadline: Deadline) -> Store:
        """The place of ``remote`` under the folder ``cache``, made where it is missing."""
        folder = Path(os.path.abspath(cache)) / folder_name(remote.address)
        with _usable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(remote=remote, folder=folder, git=Git(cwd=str(folder), environ=environ, deadline=deadline))

    @property
    def name(self) -> str:
        """The remote, for people."""
        return shown(self.remote.address)

    def current(self) -> Copy | None:
        """The copy in use; None where there is none, or where it is damaged."""
        with _usable(self.folder):
            path = Path(os.path.realpath(self.folder / "current"))
            if not path.is_dir() or (path / "suspect").exists():
                return None
        try:
            copy = self._open(path)
        except SourceError as error:
            if error.cause != "history-unavailable":
                raise
            return None
        return None if copy.history.shallow else copy

    def obtain(self, oid: str, theirs: str, deadline: Deadline) -> Copy:
        """A copy with all of the history of ``oid``, which the remote has under the ref ``theirs`` now.

        One process at a time fetches it, or makes a new copy where the one in use cannot; whoever
        waited meanwhile finds it there. Raises ``SourceError`` and leaves everything as it was.
        """
        copy = self.current()
        if copy and copy.is_at(oid, theirs):
            return copy
        with self._locked(deadline):
            self._sweep()
            copy = self.current()
            if copy and copy.is_at(oid, theirs):
                return copy
            return self._fetched(copy, oid, theirs, deadline) if copy else self._first(oid, theirs, deadline)

    def _open(self, path: Path) -> Copy:
        git = replace(self.git, git_dir=str(path))
        answer = git.run("rev-parse", "--is-shallow-repository", "--show-object-format")
        told = re.fullmatch(rb"(true|false)\n(sha1|sha256)\n", answer)
        if not told:
            raise nonsense("rev-parse")
        history = GitHistory(git=git, shallow=told[1] == b"true", id_length=_ID_LENGTH[told[2].decode()])
        return Copy(path, history)

    def _fetched(self, copy: Copy, oid: str, theirs: str, deadline: Deadline) -> Copy:
        """``copy`` with ``oid`` in it, or a new one where that cannot be written or read."""
        git = replace(copy.history.git, deadline=deadline)
        try:
            self._fetch(git, copy, oid, theirs)
        except SourceError as error:
            if error.cause != "history-unavailable":
                raise
            return self._made(oid, theirs, deadline)
        _tidy(git.within(TIDY_SHARE), self.remote, copy.path)
        return copy

    def _first(self, oid: str, theirs: str, deadline: Deadline) -> Copy:
        try:
            return self._made(oid, theirs, deadline)
        except SourceError as error:
            if error.cause != "timeout":
                raise
            raise SourceError(
                f"there is no mirror of {self.name} yet, and making one did not fit into this check "
                f"({error.message}): run `deployment-drift warm` at the build of the image or the start of "
                "the server",
                "timeout",
                True,
            ) from None

    def _made(self, oid: str, theirs: str, deadline: Deadline) -> Copy:
        """A new copy, put in place of the current one when it is complete. Nothing half remains."""
        with _usable(self.folder):
            making = Path(tempfile.mkdtemp(prefix="making-", dir=self.folder))
        try:
            form = "sha256" if len(oid) == _ID_LENGTH["sha256"] else "sha1"
            git = replace(self.git, deadline=deadline)
            git.run("init", "--quiet", "--bare", "--template=", f"--object-format={form}", str(making))
            self._fetch(replace(git, git_dir=str(making)), self._open(making), oid, theirs)
            with _usable(self.folder):
                path = making.rename(making.with_name(making.name.replace("making-", "repo-", 1)))
                self._put_in_use(path)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _tidy(replace(git, git_dir=str(path)).within(TIDY_SHARE), self.remote, path)
        return self._open(path)

    def _fetch(self, git: Git, copy: Copy, oid: str, theirs: str) -> None:
        self.remote.fetch_ref(git, theirs, ours(theirs))
        if not copy.is_at(oid, theirs) and not self._moved_on(git, oid, theirs):
            # Git ends well and leaves the ref alone where the remote would make the history a cut one.
            raise SourceError(
                f"{self.name} names {oid[:12]} and does not hand it over with its history: it is a shallow "
                "clone itself, or was rewritten this very moment",
                "shallow-history",
            )

    def _moved_on(self, git: Git, oid: str, theirs: str) -> bool:
        """Whether the ref has moved from ``oid`` to a descendant between the question and the fetch."""
        try:
            git.run("merge-base", "--is-ancestor", oid, ours(theirs))
        except SourceError:
            return False
        return True

    def _put_in_use(self, path: Path) -> None:
        old = Path(os.path.realpath(self.folder / "current"))
        link = self.folder / f"making-link-{path.name}"
        link.symlink_to(path.name)
        os.replace(link, self.folder / "current")
        with contextlib.suppress(OSError):
            os.utime(old)  # from now on it is retired

    def _sweep(self) -> None:
        """Removes what a process that died was making or fetching, and copies that nobody reads any more."""
        used = os.path.realpath(self.folder / "current")
        for path in self.folder.iterdir():
            retired = path.name.startswith("repo-") and str(path) != used and _age(path) > RETIRED_S
            if path.name.startswith("making-link-"):
                path.unlink(missing_ok=True)
            elif path.name.startswith("making-") or retired:
                shutil.rmtree(path, ignore_errors=True)
        for begun in Path(used, "objects", "pack").glob("tmp_*"):  # a fetch that was killed had come so far
            begun.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, deadline: Deadline) -> Iterator[None]:
        lock = FileLock(self.folder / "lock")
        with _usable(self.folder):
            try:
                lock.acquire(timeout=deadline.require(f"the mirror of {self.name}"))
            except Timeout:
                message = (
                    f"another process was busy with the mirror of {self.name} for {deadline.seconds:.3g} s"
                )
                raise SourceError(message, "timeout", True) from None
        try:
            yield
        finally:
            lock.release()


_ID_LENGTH = {"sha1": 40, "sha256": 64}


def folder_name(address: str) -> str:
    """A folder of its own for each address, with a name that people know again."""
    words = re.sub(r"[^\w.-]+", "-", shown(address).removesuffix(".git")).strip("-.")[-60:]
    return f"{words.lstrip('-.')}-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _age(path: Path) -> float:
    """Seconds since ``path`` was touched; 0 where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Says of a folder that cannot be read or written what to do about it."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"the folder {folder} cannot be used for a mirror: {error.strerror or error}; "
            "point DRIFT_CACHE_DIR to one that this process may write",
            "history-unavailable",
        ) from None


def _tidy(git: Git, remote: Remote, path: Path) -> None:
    """Makes reading faster: one pack out of many, and a commit-graph with changed paths.

    What fails here, or takes too long, leaves a mirror that is merely slower. A lock that a killed git
    left is nobody's, as whoever tidies holds the lock of the whole folder.
    """
    graphs = path / "objects" / "info" / "commit-graphs"
    with contextlib.suppress(OSError):
        (graphs / "commit-graph-chain.lock").unlink(missing_ok=True)
    with contextlib.suppress(SourceError, OSError):
        if len(list((path / "objects" / "pack").glob("*.pack"))) > MANY_PACKS:
            remote.at(git).run("repack", "-a", "-d", "--quiet")
        git.run("commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress")
