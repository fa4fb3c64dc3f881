"""Where a hook stands: in git's configuration where git is new enough, else in a file."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.process import Git

#: The events of git after which HEAD is another commit; ``post-rewrite`` ends a rebase.
EVENTS = ("post-commit", "post-merge", "post-rewrite")
#: The first version of git that takes hooks from its configuration (release notes of git 2.54).
CONFIGURED_SINCE = (2, 54)
#: Seconds for one question to git.
_GIT_S = 10.0
#: By this line a file is known as ours.
_MARK = "# Written by `deployment-drift hooks install`; `deployment-drift hooks remove` takes it away."
_BEFORE = ".before-drift"


class Places:
    """The hooks of the repository around ``folder``, with all of its work trees.

    ``version``: that of git; None asks git. Raises ``DriftConfigError`` where ``folder`` is in no repository.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], *, version: tuple[int, ...] | None = None
    ) -> None:
        self._git = Git(cwd=str(folder), environ=environ, deadline=Deadline(_GIT_S))
        try:
            common = self._said("rev-parse", "--git-common-dir")
            self._version = version or tuple(map(int, re.findall(r"\d+", self._said("version"))[:2]))
        except SourceError as error:
            raise DriftConfigError(f"{folder} is in no git repository that can be read: {error}") from error
        self._common = Path(os.path.realpath(folder / common))

    def install(self, program: Path) -> list[str]:
        """Have git call ``program`` at each event; what was done, in lines. Raises ``DriftConfigError``."""
        if self._version >= CONFIGURED_SINCE:
            self._remove_files()
            for event in EVENTS:
                self._configure(event, program)
            return [f"{event}: in git's configuration, {_name(event)}" for event in EVENTS]
        folder = self._folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [_write(folder / event, program) for event in EVENTS]
        except OSError as error:
            raise DriftConfigError(f"{folder}: the hook cannot be written: {error}") from error

    def remove(self) -> list[str]:
        """Take away what ``install`` made, in either place; what was done. Raises ``DriftConfigError``."""
        done = [f"{event}: removed" for event in EVENTS if self._unconfigure(event)]
        return done + self._remove_files() or ["nothing of deployment-drift is installed"]

    def _configure(self, event: str, program: Path) -> None:
        # One name for each event: git passes on what it tells a hook, and not which hook it is.
        for key, value in (("command", _call(event, program)), ("event", event)):
            self._git.run("config", "--local", "--replace-all", f"{_name(event)}.{key}", value)

    def _unconfigure(self, event: str) -> bool:
        if not self._said("config", "--local", "--get-all", f"{_name(event)}.event"):
            return False
        self._git.run("config", "--local", "--remove-section", _name(event))
        return True

    def _remove_files(self) -> list[str]:
        folder = self._common / "hooks"
        try:
            return [line for event in EVENTS for line in _take_away(folder / event)]
        except OSError as error:
            raise DriftConfigError(f"{folder}: the hook cannot be removed: {error}") from error

    def _folder(self) -> Path:
        """The folder of hooks. Raises ``DriftConfigError`` where it is somebody else's."""
        # Ours is the last word on every command line of git; it is no setting of the user's.
        told = self._said("config", "--show-scope", "--type=path", "--get-all", "core.hooksPath")
        theirs = [line.split("\t", 1)[1] for line in told.split("\n") if line and line[:7] != "command"]
        usual = self._common / "hooks"
        if theirs and os.path.realpath(self._root() / theirs[-1]) != os.path.realpath(usual):
            raise DriftConfigError(
                f"git takes its hooks from {theirs[-1]} (core.hooksPath), which others write or share; "
                f'let its hooks {", ".join(EVENTS)} call: deployment-drift remind HOOK "$@"'
            )
        return usual

    def _root(self) -> Path:
        return Path(self._said("rev-parse", "--show-toplevel") or self._common)

    def _said(self, *args: str) -> str:
        return os.fsdecode(self._git.run(*args, accept=(0, 1))).strip("\n")


def _name(event: str) -> str:
    return f"hook.drift-remind-{event}"


def _call(event: str, program: Path) -> str:
    """A line for a shell that does nothing once the program is gone; more arguments may follow it."""
    where = shlex.quote(str(program))
    return f"test ! -x {where} || {where} remind {event}"


def _write(path: Path, program: Path) -> str:
    before = path.with_name(path.name + _BEFORE)
    if os.path.lexists(path) and not _is_ours(path):
        if os.path.lexists(before):
            raise DriftConfigError(f"{before} is there already, and {path} is not ours: put one of them away")
        path.rename(before)
    new = path.with_name(f"{path.name}.new")
    new.write_text(_script(path.name, program), encoding="utf-8", errors="surrogateescape")
    new.chmod(0o755)
    new.replace(path)
    return f"{path.name}: {path}" + (f", after {before.name}" if os.path.lexists(before) else "")


def _script(event: str, program: Path) -> str:
    return f"""#!/bin/sh
{_MARK}
status=0
if [ -x "$0{_BEFORE}" ]; then
    "$0{_BEFORE}" "$@"
    status=$?
fi
{_call(event, program)} "$@" </dev/null
exit $status
"""


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and _MARK.encode() in path.read_bytes()


def _take_away(path: Path) -> Iterator[str]:
    if not _is_ours(path):
        return
    before = path.with_name(path.name + _BEFORE)
    if os.path.lexists(before):
        before.replace(path)
        yield f"{path.name}: removed, and what was there before is back"
    else:
        path.unlink()
        yield f"{path.name}: removed"
