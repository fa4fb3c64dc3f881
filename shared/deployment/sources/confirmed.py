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

from shared.deployment.errors import SourceError
from shared.deployment.facts import Finding, Target
from shared.deployment.remembering import Borrowed

#: What remotes answered: by address and ref the object, and when it was said.
KeptAnswers = Borrowed[tuple[str, str], tuple[str, datetime]]


@dataclass(frozen=True, slots=True)
class Records:
    """What remotes confirmed, and when: a file in which ``key`` is one of several."""

    file: Path
    key: str

    def read(self) -> tuple[str, datetime] | None:
        """The commit and the time; None where there is none that can be read."""
        try:
            entry = self._all()[self.key]
            moment = datetime.fromisoformat(entry["confirmed_at"])
            return (str(entry["commit"]), moment) if moment.tzinfo else None
        except (TypeError, KeyError, ValueError):
            return None

    def write(self, commit: str, confirmed_at: datetime) -> None:
        """Keeps it, beside and then in place, so that no reader sees half a file.

        A repository that cannot be written keeps nothing: nothing will then stand in for the remote.
        """
        entries = {**self._all(), self.key: {"commit": commit, "confirmed_at": confirmed_at.isoformat()}}
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(exist_ok=True)
            fd, beside = tempfile.mkstemp(dir=self.file.parent, prefix="confirmed-")
            with open(fd, "w", encoding="utf-8") as out:
                json.dump(entries, out, indent=1)
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
        commit, confirmed_at = self.read() or ("", now)
        age = now - confirmed_at
        if not commit or not timedelta(0) <= age <= limit or not holds(commit):
            raise error
        message = f"{remote} could not be asked ({error.message}); it last answered {_span(age)} ago"
        data: dict[str, str | int | float | bool | list[str] | None] = {
            "confirmed_at": confirmed_at.isoformat(),
            "cause": error.cause,
        }
        finding = Finding(code="target-may-be-stale", message=message, data=data)
        return Target(ref=ref, commit=commit, confirmed_at=confirmed_at, findings=(finding,))

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            entries = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _span(age: timedelta) -> str:
    minutes, seconds = divmod(int(age.total_seconds()), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
