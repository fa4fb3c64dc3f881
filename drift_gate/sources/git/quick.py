"""Short questions to the repository at hand, for a process that has no time to load what ``process`` needs.

Nothing is raised: what git did not answer in time is None, and whoever asks goes the long way.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Collection, Mapping
from typing import NamedTuple

from drift_gate.sources.git.fixed import DIFF_OPTIONS, LOG_OPTIONS, OPTIONS, clean_environment

#: Seconds that one question may take.
ANSWER_S = 5.0
#: Commits that are looked through for those that are named.
MOST_COMMITS = 200
_PLAIN = ("100644", "100755")


class Change(NamedTuple):
    """How a path differs between two trees: modes and blobs, the old and the new one; ``status`` is git's."""

    modes: tuple[str, str]
    blobs: tuple[str, str]
    status: str

    @property
    def plain(self) -> bool:
        """Whether the same file holds something else, and nothing more."""
        return self.status == "M" and self.modes[0] == self.modes[1] and self.modes[0] in _PLAIN


class Head(NamedTuple):
    """Where the work tree stands: its folder, its own folder of git, its commit, its branch (else HEAD)."""

    root: str
    git_dir: str
    commit: str
    branch: str


class Named(NamedTuple):
    """A commit with its subject and the paths that it changes."""

    sha: str
    subject: str
    paths: tuple[str, ...]


class QuickGit:
    """Git in the working directory, by the variables ``environ``. Each answer is kept."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = clean_environment(environ)
        self._said: dict[tuple[str, ...], bytes | None] = {}

    def head(self) -> Head | None:
        """Where the work tree stands; None outside of one, and where it has no commit yet."""
        asked = ("--show-toplevel", "--absolute-git-dir", "HEAD", "--symbolic-full-name", "HEAD")
        lines = (self._ask("rev-parse", *asked) or b"").decode("utf-8", "surrogateescape").split("\n")[:-1]
        return Head(*lines) if len(lines) == 4 else None

    def commit(self, name: str) -> str | None:
        """The commit that ``name`` means; None: there is none of that name."""
        said = self._ask("rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}")
        return said.decode("ascii", "replace").strip() if said else None

    def target(self, ref: str) -> str | None:
        """The commit of a target ref as this clone knows it: the remote's branch before one of ours."""
        names = (ref,) if ref.startswith("refs/") else (f"refs/remotes/{ref}", f"refs/heads/{ref}", ref)
        return next((found for name in names if (found := self.commit(name))), None)

    def fork(self, commit: str, others: Collection[str]) -> str | None:
        """The best commit that ``commit`` and all of ``others`` have; None where there is none."""
        said = self._ask("merge-base", "--octopus", commit, *sorted(others))
        return said.decode("ascii", "replace").split("\n")[0] if said else None

    def changes(self, old: str, new: str) -> dict[str, Change] | None:
        """What differs between the trees of two commits, by path."""
        if old == new:
            return {}
        said = self._ask("diff-tree", "-r", "--raw", "--no-abbrev", *DIFF_OPTIONS, old, new)
        if said is None:
            return None
        parts = said.decode("utf-8", "surrogateescape").split("\0")
        found = {}
        for line, path in zip(parts[::2], parts[1::2], strict=False):
            was, now, before, after, status = line[1:].split(" ")
            found[path] = Change((was, now), (before, after), status)
        return found

    def log(self, base: str, head: str) -> list[Named]:
        """The last commits of ``head`` that ``base`` does not have, the newest first."""
        mark = secrets.token_hex(16)
        form = f"--format=tformat:{mark}%H%x00%s%x00"
        said = self._ask("log", *LOG_OPTIONS, form, f"--max-count={MOST_COMMITS}", head, f"^{base}", "--")
        found = []
        for piece in (said or b"").decode("utf-8", "surrogateescape").split(mark)[1:]:
            sha, subject, *paths = piece.split("\0")
            found.append(Named(sha, subject, tuple(path.lstrip("\n") for path in paths if path.strip("\n"))))
        return found

    def content(self, blob: str) -> bytes | None:
        """What ``blob`` holds; None where it is not here."""
        return self._ask("cat-file", "blob", blob)

    def _ask(self, *args: str) -> bytes | None:
        if args not in self._said:
            self._said[args] = self._answer(args)
        return self._said[args]

    def _answer(self, args: tuple[str, ...]) -> bytes | None:
        try:
            done = subprocess.run(
                ["git", *OPTIONS, *args],  # noqa: S607 - the git of the PATH, as everywhere
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=ANSWER_S,
                check=False,
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return done.stdout if done.returncode == 0 else None
