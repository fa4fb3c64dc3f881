"""``deployment-drift remind``: says what services lack after a commit or a merge. Exit code: 0, always.

Loads next to nothing where what is remembered answers: a person waits for it at each commit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drift_gate.commands.remind import quick, remembered, text
from drift_gate.commands.remind.remembered import Remembered
from drift_gate.commands.stdout import delivered
from drift_gate.errors import DriftConfigError, DriftGateError
from drift_gate.journal.last_live import live_commits
from drift_gate.presentation.plain_text import plain
from drift_gate.settings.location import REMIND, environment, find
from drift_gate.sources.git.quick import Head, QuickGit

if TYPE_CHECKING:
    import argparse

    from drift_gate.commands.remind.anew import Anew

#: Folders that git keeps for as long as a rebase goes on.
_UNDER_WAY = ("rebase-merge", "rebase-apply")


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say which services lack something relevant of HEAD: held against what the journal saw live last, "
        "else against the target as this clone knows it. Nothing is asked of the network. For git's hooks "
        "post-commit, post-merge, post-rewrite and pre-push, see `hooks install`; says nothing where nothing "
        "is missing, while a rebase goes on, without a drift.toml, and with DRIFT_REMIND=off. "
        "Exit code: 0, whatever happens."
    )
    command.add_argument(
        "hook",
        nargs="*",
        metavar="HOOK",
        help="the hook that calls, and what git tells it; none: a person does",
    )


def run(arguments: argparse.Namespace) -> int:
    """Say it."""
    return remind(arguments.hook)


def remind(words: Sequence[str] = ()) -> int:
    """Print what is missing, and return 0. ``words``: the hook that calls, and its own arguments."""
    try:
        environ = environment()
        if environ.get(REMIND, "").lower() != "off":
            with delivered():
                for line in reminder(environ, words):
                    print(line)
    except KeyboardInterrupt:
        return 0
    except DriftGateError as error:
        _say(str(error).partition("\n")[0])
    except Exception as error:  # no commit may end with a traceback of ours
        _say(f"{type(error).__name__}: {error}")
    return 0


def _say(why: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it
        print(plain(f"drift: no reminder: {why}"), file=sys.stderr, flush=True)


def reminder(environ: Mapping[str, str], words: Sequence[str] = ()) -> Iterator[str]:
    """The lines, for the working directory. Raises ``DriftGateError``."""
    try:
        file = find(None, environ)
    except DriftConfigError:
        return
    git = QuickGit(environ)
    head = git.head()
    if head is None or not _is_told(head, words):
        return
    try:
        key = remembered.key_of(file, environ)
    except OSError as error:
        raise DriftConfigError(f"{file}: cannot be read: {error.strerror}") from error
    yield from _Reminder(git, head, environ).lines(key)


def _is_told(head: Head, words: Sequence[str]) -> bool:
    """Whether now is the moment: an amend has had its post-commit, and a rebase is told when it has ended."""
    if words[:1] == ["post-rewrite"]:
        return "amend" not in words[1:2]
    return not any(Path(head.git_dir, name).exists() for name in _UNDER_WAY)


class _Reminder:
    """One reminder at ``head``."""

    def __init__(self, git: QuickGit, head: Head, environ: Mapping[str, str]) -> None:
        self._git = git
        self._head = head
        self._environ = environ
        self._loaded: Anew | None = None

    def lines(self, key: str) -> Iterator[str]:
        """The lines; what had to be found out anew is remembered under ``key``."""
        place = remembered.place(self._head.git_dir)
        kept = remembered.read(place, key)
        known = kept or self._anew().remembered(key)
        missing, learned = self._missing(known)
        if learned != kept:
            remembered.write(place, learned)
        yield from text.lines(missing, self._before(known))

    def _missing(self, known: Remembered) -> tuple[list[text.Missing], Remembered]:
        """What is missing, by service, and what is known then."""
        live = live_commits(Path(known.journal), known.services) if known.journal else {}
        found: dict[str, text.Missing] = {}
        todo: dict[tuple[str, bool], list[str]] = {}
        for name, service in known.services.items():
            base = quick.base_of(self._git, self._head.commit, live.get(name, ()), service.target_ref)
            if base is None or base[0] == self._head.commit:
                continue
            differing = quick.differing(self._git, service.known, base[0], self._head.commit)
            if differing is None:
                todo.setdefault(base, []).append(name)
            elif differing:
                found[name] = self._by_paths(name, base, differing)
        services = dict(known.services)
        for (held, is_live), names in todo.items():
            for name, one in self._anew().found(held, self._head.commit, names).items():
                services[name] = services[name]._replace(known=one.known)
                if one.affected:
                    found[name] = text.Missing(name, is_live, one.commits, one.number, (), one.unknown)
        told = [
            found[name]._replace(deploy=self._line(service.deploy))
            for name, service in services.items()
            if name in found
        ]
        return told, known._replace(services=services)

    def _by_paths(self, name: str, base: tuple[str, bool], differing: frozenset[str]) -> text.Missing:
        counted = [
            (each.sha, each.subject)
            for each in self._git.log(base[0], self._head.commit)
            if not differing.isdisjoint(each.paths)
        ]
        return text.Missing(name, base[1], counted, len(counted), sorted(differing))

    def _line(self, template: str | None) -> str | None:
        return template and template.replace("{commit}", self._head.commit)

    def _before(self, known: Remembered) -> text.Before:
        """What has to happen before a deploy brings HEAD, by the first service's target."""
        refs = [service.target_ref for service in known.services.values()]
        target = self._git.target(refs[0]) if refs else None
        if target is None or self._git.fork(self._head.commit, [target]) == self._head.commit:
            return ""
        own = refs[0].removeprefix("refs/remotes/").partition("/")[2]
        return "once pushed: " if self._head.branch == f"refs/heads/{own}" else "once merged: "

    def _anew(self) -> Anew:
        if self._loaded is None:
            from drift_gate.commands.remind.anew import Anew

            self._loaded = Anew(self._head.root, self._environ)
        return self._loaded
