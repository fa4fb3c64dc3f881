"""Who runs this process: what the environment tells at once, and a little later what others know better.

Nobody waits for the others: git may hang on a disk, the metadata server on a network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, Lookup
from drift_gate.settings.actor import Better, identity
from drift_gate.sources import metadata
from drift_gate.sources.git.process import Git
from drift_gate.sources.one_line import one_line
from drift_gate.wiring.plans import process

#: Seconds after which git, or the metadata server, is given up: both are on this machine or beside it.
ANSWER_S = 0.5
#: Bytes of an address that git's configuration may hold.
_LIMIT = 4096
_NOW = Deadline(0)


class Actor:
    """Who runs this process. ``name`` is what is known at once."""

    def __init__(self, name: str, ask: Callable[[], str | None] | None = None) -> None:
        self.name = name
        self._better = Lookup(ask, "actor") if ask else None
        if self._better:
            with contextlib.suppress(RuntimeError):  # no room for a thread
                self._better.begin()

    @classmethod
    def of(cls, environ: Mapping[str, str], folder: Path) -> Actor:
        """Who runs it by ``environ``; whoever knows it better is being asked when this returns.

        That is git's ``user.email`` as ``folder`` sees it, or the service account that a job or service on
        Cloud Run has.
        """
        name, better = identity(environ)
        return cls(name, partial(_ASK[better], name, environ, folder) if better else None)

    def known(self, within: Deadline = _NOW) -> str:
        """The better name where it comes ``within`` (by default: if it is there now), else ``name``."""
        if self._better is None:
            return self.name
        try:
            return self._better.result(within) or self.name
        except (TimeoutError, RuntimeError):
            return self.name


def _with_account(name: str, environ: Mapping[str, str], folder: Path) -> str | None:
    """``name`` with its service account; None where the platform does not tell."""
    at, kept = metadata.host(environ), process().accounts
    try:
        if at not in kept:
            kept[at] = metadata.service_account(at, Deadline(ANSWER_S))
        return f"{name} ({kept[at]})"
    except SourceError:
        return None


def _email(name: str, environ: Mapping[str, str], folder: Path) -> str | None:
    """What git's configuration says; None where it says nothing."""
    git = Git(cwd=str(folder), environ=environ, deadline=Deadline(ANSWER_S))
    try:
        said = git.run("config", "--get", "user.email", limit=_LIMIT)
    except SourceError:
        return None
    return one_line(said.decode("utf-8", "replace")) or None


_ASK: Mapping[Better, Callable[[str, Mapping[str, str], Path], str | None]] = {
    "service-account": _with_account,
    "git": _email,
}
