"""What remotes confirmed and when, and how long such an answer may stand in for the remote itself."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import AwareDatetime

from drift_gate.errors import SourceError
from drift_gate.facts import Earlier, Fact, Finding, Target
from drift_gate.runtime.memory import Borrowed

#: What remotes answered: by address and ref the object, and when it was said.
KeptAnswers = Borrowed[tuple[str, str], tuple[str, datetime]]
#: The file as it is read: what stands in it may be anything.
_Entries = dict[str, Any]


#: Earlier states of one target that are kept: of a target that moves with every check some days. Where the
#: oldest is forgotten, a commit may look older than it is, never younger.
MOST_EARLIER = 100
#: Targets of one file that are kept, those that were confirmed last.
MOST_TARGETS = 64
#: An answer that was asked for before the last one may be written after it; a clock that was set back shows
#: in a longer time.
LATE = timedelta(minutes=5)
#: Seconds to wait for another process that writes: what is not kept is no loss of truth.
LOCK_S = 0.5


class _Entry(Fact):
    """What is kept of one target: its commit, when that was last confirmed, and its earlier states.

    ``rewound``: the target came here from a commit that it then left behind. Until it moves on, that it was
    confirmed here tells nothing of when commits came that it may have had before.
    """

    commit: str
    confirmed_at: AwareDatetime
    earlier: tuple[Earlier, ...] = ()
    rewound: bool = False

    def then(self, commit: str, at: datetime, follows: Callable[[str, str], bool]) -> _Entry:
        """After ``commit`` was confirmed ``at`` that time; ``follows``: whether one descends from another."""
        if timedelta(0) < self.confirmed_at - at <= LATE:
            return self
        if commit == self.commit:
            return _Entry(commit=commit, confirmed_at=at, earlier=self._until(at), rewound=self.rewound)
        if not follows(self.commit, commit):
            return _Entry(commit=commit, confirmed_at=at, rewound=True)
        last = Earlier(self.commit, None if self.rewound or self.confirmed_at > at else self.confirmed_at)
        return _Entry(commit=commit, confirmed_at=at, earlier=(*self._until(at), last)[-MOST_EARLIER:])

    def _until(self, now: datetime) -> tuple[Earlier, ...]:
        """The earlier states; a time that is still to come was told by a wrong clock."""
        return tuple(Earlier(commit, None if at is None or at > now else at) for commit, at in self.earlier)


@dataclass(frozen=True, slots=True)
class Records:
    """What remotes confirmed, and when: a file in which ``key`` is one of several."""

    file: Path
    key: str

    def write(
        self, commit: str, confirmed_at: datetime, follows: Callable[[str, str], bool]
    ) -> tuple[Earlier, ...]:
        """Keeps the answer of the remote; returns the target's earlier states.

        Written beside and then in place, so that no reader sees half a file. ``follows``: whether the second
        commit descends from the first. A folder that cannot be written keeps nothing: nothing will then stand
        in for the remote.
        """
        entry = self._next(self._all(), commit, confirmed_at, follows)
        with contextlib.suppress(
            OSError, NotImplementedError
        ):  # filelock: busy for too long, or no locks here
            self.file.parent.mkdir(exist_ok=True)
            with FileLock(f"{self.file}.lock", timeout=LOCK_S, poll_interval=0.01):
                entries = self._all()
                entry = self._next(entries, commit, confirmed_at, follows)
                self._replace({**entries, self.key: entry.model_dump(mode="json")})
        return entry.earlier if entry.commit == commit else ()

    def _next(
        self, entries: _Entries, commit: str, at: datetime, follows: Callable[[str, str], bool]
    ) -> _Entry:
        known = self._entry(entries)
        return known.then(commit, at, follows) if known else _Entry(commit=commit, confirmed_at=at)

    def _entry(self, entries: _Entries) -> _Entry | None:
        try:
            return _Entry.model_validate(entries[self.key])
        except (KeyError, ValueError):
            return None

    def _replace(self, entries: _Entries) -> None:
        kept = sorted(entries, key=lambda key: _confirmed_at(entries[key]))[-MOST_TARGETS:]
        fd, beside = tempfile.mkstemp(dir=self.file.parent, prefix="confirmed-")
        with open(fd, "w", encoding="utf-8") as out:
            json.dump({key: entries[key] for key in kept}, out, indent=1)
        os.replace(beside, self.file)

    def stand_in(
        self,
        *,
        ref: str,
        remote: str,
        error: SourceError,
        now: datetime,
        limit: timedelta,
        holds: Callable[[str], object],
    ) -> Target:
        """The last answer as the target ``ref``, with the finding that says so; else raises ``error``.

        ``error`` is why ``remote`` (a name for people) gave no new one. The last one serves where it is
        no older than ``limit``, not from the future, and where ``holds`` finds its commit.
        """
        entry = self._entry(self._all())
        commit, confirmed_at = (entry.commit, entry.confirmed_at) if entry else ("", now)
        age = now - confirmed_at
        if not commit or not timedelta(0) <= age <= limit or not holds(commit):
            raise error
        message = f"{remote} could not be asked ({error.message}); it last answered {_span(age)} ago"
        data: dict[str, str | int | float | bool | list[str] | None] = {
            "confirmed_at": confirmed_at.isoformat(),
            "cause": error.cause,
        }
        finding = Finding(code="target-may-be-stale", message=message, data=data)
        earlier = entry.earlier if entry else ()
        return Target(ref=ref, commit=commit, confirmed_at=confirmed_at, earlier=earlier, findings=(finding,))

    def _all(self) -> _Entries:
        try:
            entries = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _confirmed_at(entry: object) -> str:
    """When an entry of the file was confirmed, as text that sorts; empty for what is none."""
    return str(entry.get("confirmed_at", "")) if isinstance(entry, dict) else ""


def _span(age: timedelta) -> str:
    minutes, seconds = divmod(int(age.total_seconds()), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
