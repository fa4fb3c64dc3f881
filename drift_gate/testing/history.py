"""Real git repositories with a history to order, for tests: written by `git fast-import`, dates pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

#: Identity of every author and committer, whatever the machine's git says.
NAME, EMAIL = "Ada Tester", "ada@example.com"
#: When the first commit of a builder is made, and how long after it each next one.
START, STEP = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class File:
    """Content with a mode: ``100755`` a program, ``120000`` a symbolic link (content: where it points),
    ``160000`` a submodule (content: the commit's id)."""

    content: str | bytes
    mode: str = "100644"


class _Stored(File):
    """A file whose content is in the repository already: the content is its id."""


#: A pack stays as it is written: to unpack it is one more process. Nothing here has to outlive the machine.
_QUICK = ("core.compression=0", "core.fsync=none", "fastimport.unpackLimit=0")
_IMPORT = [*(word for setting in _QUICK for word in ("-c", setting)), "fast-import"]

#: What a path holds after a commit; None deletes it.
Content = str | bytes | File | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A commit to be made.

    ``files`` are the changes to the first parent's tree; a path may be text (bytes that are not UTF-8
    as ``surrogateescape``). ``parents`` are commit ids, or numbers of earlier drafts of the same call;
    None is the tip of ``branch``, an empty sequence makes a root. ``branch`` then points to the commit.
    ``when`` is the committer time, ``authored`` the author's (None: the same).
    """

    files: Mapping[str, Content]
    branch: str = "main"
    parents: Sequence[str | int] | None = None
    subject: str | bytes = "a change"
    when: datetime | None = None
    authored: datetime | None = None
    author: str = NAME
    renames: Mapping[str, str] | None = None


class HistoryBuilder:
    """A repository at ``path``, new and empty unless there is one already.

    >>> h = HistoryBuilder(tmp_path / "repo")                    # doctest: +SKIP
    >>> first = h.commit({"a.py": "1"}, subject="start")         # doctest: +SKIP
    >>> h.branch("fix", first)                                   # doctest: +SKIP
    >>> fix = h.commit({"b.py": "2"}, branch="fix")              # doctest: +SKIP
    >>> merge = h.merge("fix", into="main")                      # doctest: +SKIP

    Every call returns when the commit is in the repository. The work tree stays as it is, see
    ``check_out``. Nothing depends on the machine's git settings.
    """

    def __init__(self, path: str | Path, *, bare: bool = False, object_format: str = "sha1") -> None:
        self.path = Path(path)
        self._last = START - STEP
        if not self.path.exists() or not any(self.path.iterdir()):
            kind = ["--bare"] if bare else []
            args = ["-b", "main", f"--object-format={object_format}", *kind, str(self.path)]
            _run(["init", "-q", "--template=", *args], self.path.parent)

    def git(self, *args: str, stdin: bytes = b"") -> str:
        """What ``git ARGS`` writes here, without the last line break."""
        return os.fsdecode(_run(args, self.path, stdin)).removesuffix("\n")

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        branch: str = "main",
        parents: Sequence[str] | None = None,
        subject: str | bytes = "a change",
        when: datetime | None = None,
        authored: datetime | None = None,
        author: str = NAME,
    ) -> str:
        """Makes one commit, see ``Draft``; returns its id."""
        draft = Draft(
            files=files,
            branch=branch,
            parents=parents,
            subject=subject,
            when=when,
            authored=authored,
            author=author,
        )
        return self.commits([draft])[0]

    def commits(self, drafts: Iterable[Draft]) -> list[str]:
        """Makes many commits in one go (100,000 take seconds); returns their ids."""
        stream = _Stream(self)
        for draft in drafts:
            stream.add(draft)
        answer = _run([*_IMPORT, "--quiet", "--force", "--date-format=raw"], self.path, stream.text())
        return answer.decode().split()

    def merge(
        self,
        *others: str,
        into: str = "main",
        files: Mapping[str, Content] | None = None,
        take: Literal["both", "ours", "theirs"] = "both",
        subject: str = "a merge",
        when: datetime | None = None,
    ) -> str:
        """Merges ``others`` (branches or ids) into the branch ``into``; returns the merge's id.

        ``take`` is whose changes it brings, file by file: ``both`` sides' (where both changed a file,
        ours), only ``ours`` (the other side is dropped), or ``theirs`` (their tree as it is).
        ``files`` come on top: what neither side has makes it an evil merge.
        """
        tips = [self.tip(into), *(self.tip(other) for other in others)]
        changes: dict[str, Content] = {}
        for other in tips[1:]:
            if take == "theirs":
                changes |= self._changes(tips[0], other)
            elif take == "both":
                base = self.git("merge-base", tips[0], other)
                ours = self._changes(base, tips[0])
                theirs = self._changes(base, other)
                changes |= {path: content for path, content in theirs.items() if path not in ours}
        return self._one(changes | dict(files or {}), into, tips, subject, when)

    def revert(self, commit: str, *, branch: str = "main", when: datetime | None = None) -> str:
        """Undoes on ``branch`` what ``commit`` changed against its first parent; returns the new id."""
        changes = self._changes(commit, f"{commit}^1")
        return self._one(changes, branch, None, f"Revert {commit[:12]}", when)

    def rename(self, old: str, new: str, *, branch: str = "main", when: datetime | None = None) -> str:
        """Moves a file or a folder on ``branch``; returns the commit's id."""
        draft = Draft(files={}, renames={old: new}, branch=branch, subject=f"Move {old}", when=when)
        return self.commits([draft])[0]

    def branch(self, name: str, at: str) -> None:
        """Creates the branch at a commit or moves it there, also backwards or sideways (a force-push)."""
        self.git("update-ref", f"refs/heads/{name}", self.tip(at))

    def tag(self, name: str, at: str, *, message: str | None = None) -> str:
        """Creates a tag, annotated where there is a ``message``; returns the id that the tag names."""
        note = ["-a", "-m", message] if message is not None else []
        self.git("tag", *note, name, at)
        return self.git("rev-parse", f"refs/tags/{name}")

    def tip(self, name: str) -> str:
        """The commit that a branch, a tag or an id names."""
        return self.git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")

    def check_out(self, name: str) -> None:
        """Fills the work tree; HEAD is the branch, or detached where ``name`` is a commit."""
        self.git("checkout", "-q", "-f", name)

    def clone(self, path: str | Path, *, bare: bool = False, depth: int | None = None) -> HistoryBuilder:
        """A clone with this repository as ``origin``; ``depth`` makes it shallow."""
        kind = ["--bare"] if bare else []
        cut = [f"--depth={depth}"] if depth is not None else []
        source = self.path.absolute().as_uri()
        _run(["clone", "-q", *kind, *cut, source, str(Path(path).absolute())], self.path)
        return HistoryBuilder(path)

    def next_moment(self, when: datetime | None) -> datetime:
        """``when``, or a step after the last commit that this builder made."""
        self._last = when or self._last + STEP
        return self._last

    def _one(
        self,
        files: Mapping[str, Content],
        branch: str,
        parents: Sequence[str] | None,
        subject: str,
        when: datetime | None,
    ) -> str:
        return self.commit(files, branch=branch, parents=parents, subject=subject, when=when)

    def _changes(self, old: str, new: str) -> dict[str, Content]:
        """What turns the tree of ``old`` into that of ``new``."""
        raw = self.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new)
        parts = raw.split("\0")
        entries = (entry.split(" ") for entry in parts[0:-1:2])
        return {
            path: None if mode == "000000" else _Stored(blob, mode)
            for (_, mode, _, blob, _), path in zip(entries, parts[1::2], strict=True)
        }


class _Stream:
    """The input of `git fast-import` for a list of drafts."""

    def __init__(self, builder: HistoryBuilder) -> None:
        self._builder = builder
        self._parts: list[bytes] = []
        self._count = 0
        self._tips: dict[str, str] = {}
        listed = builder.git("for-each-ref", "--format=%(refname)%00%(objectname)", "refs/heads")
        pairs = (line.partition("\0") for line in listed.split("\n") if line)
        self._stored = {ref: tip for ref, _, tip in pairs}

    def text(self) -> bytes:
        """Everything, and the question for the ids."""
        asked = b"".join(b"get-mark :%d\n" % number for number in range(1, self._count + 1))
        return b"".join(self._parts) + asked + b"done\n"

    def add(self, draft: Draft) -> None:
        """One commit, under the number of drafts so far as its mark."""
        ref = f"refs/heads/{draft.branch}"
        parents = self._parents(draft, ref)
        self._count += 1
        self._tips[ref] = f":{self._count}"
        when = self._builder.next_moment(draft.when)
        if not parents:
            self._line(f"reset {ref}")
        self._line(f"commit {ref}")
        self._line(f"mark :{self._count}")
        self._line(f"author {draft.author} <{EMAIL}> {_stamp(draft.authored or when)}")
        self._line(f"committer {NAME} <{EMAIL}> {_stamp(when)}")
        self._data(draft.subject)
        for word, parent in zip(["from", *["merge"] * len(parents)], parents, strict=False):
            self._line(f"{word} {parent}")
        for old, new in (draft.renames or {}).items():
            self._parts.append(b"R %s %s\n" % (_quoted(old), _quoted(new)))
        for path, content in draft.files.items():
            self._file(path, content)

    def _parents(self, draft: Draft, ref: str) -> list[str]:
        if draft.parents is None:
            tip = self._tips.get(ref) or self._stored.get(ref)
            return [tip] if tip else []
        return [f":{parent + 1}" if isinstance(parent, int) else parent for parent in draft.parents]

    def _file(self, path: str, content: Content) -> None:
        if content is None:
            self._parts.append(b"D %s\n" % _quoted(path))
            return
        file = content if isinstance(content, File) else File(content)
        by_id = file.mode == "160000" or isinstance(file, _Stored)
        where = _bytes(file.content) if by_id else b"inline"
        self._parts.append(b"M %s %s %s\n" % (file.mode.encode(), where, _quoted(path)))
        if not by_id:
            self._data(file.content)

    def _line(self, text: str) -> None:
        self._parts.append(text.encode("utf-8", "surrogateescape") + b"\n")

    def _data(self, content: str | bytes) -> None:
        data = _bytes(content)
        self._parts.append(b"data %d\n%s\n" % (len(data), data))


def _stamp(moment: datetime) -> str:
    return f"{int(moment.timestamp())} +0000"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _quoted(path: str) -> bytes:
    """As fast-import reads any path: between quotes, what is not plain as octal."""
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in _bytes(path)
    )
    return f'"{"".join(plain)}"'.encode()


def _run(args: Sequence[str], cwd: Path, stdin: bytes = b"") -> bytes:
    """git with nothing of the machine's settings; raises ``RuntimeError`` with git's words."""
    program = shutil.which("git")
    if program is None:
        raise RuntimeError("HistoryBuilder needs git on the PATH")
    done = subprocess.run([program, *args], cwd=cwd, env=_environment(), input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(args)}: {done.stderr.decode('utf-8', 'backslashreplace').strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    stamp = _stamp(START)
    return {
        "PATH": os.pathsep.join(os.get_exec_path()),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_COMMITTER_DATE": stamp,
    }
