"""A local file that says what is deployed: one JSON object per line, appended, never rewritten.

For a workload that no API can be asked about: a laptop, a virtual machine, a test. The last line of
a service wins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from drift_gate.errors import SourceError
from drift_gate.facts import Evidence, Live, LiveRevision
from drift_gate.runtime import own_folder
from drift_gate.runtime.regular_files import GROWN, opened, require
from drift_gate.runtime.spelling import near_misses

log = getLogger("drift_gate")

#: How long to wait for another process that appends, in seconds.
_LOCK_S = 5.0
#: A line is some hundred bytes; a longer one is not ours.
_LONGEST_LINE = 65_536
#: How many unreadable lines a warning names; the others are counted.
_NAMED = 5


class Line(BaseModel):
    """One line of the ledger: from ``recorded_at`` on, ``service`` runs ``commit``."""

    model_config = ConfigDict(frozen=True)

    service: str = Field(min_length=1)
    commit: str = Field(min_length=1)
    recorded_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """``facts.LiveSource`` over the ledger at ``path``, for one service."""

    path: Path
    service: str

    def read(self) -> Live:
        """What the last line of the service says.

        A bad line cannot tell whose it is. One after the service's last good line may be a newer
        record, so the answer is unknown (``invalid-response``); one before it is harmless and logged.
        """
        bad: list[int] = []
        last: tuple[int, Line] | None = None
        others: set[str] = set()
        for number, line in self._lines():
            if line is None:
                bad.append(number)
            elif line.service == self.service:
                last = number, line
            else:
                others.add(line.service)
        if last is None:
            raise self._nothing(bad, others)
        number, line = last
        late = [each for each in bad if each > number]
        if late:
            raise SourceError(
                f"{self.path}, line {late[0]}: not readable, and it may be a newer record of "
                f"{self.service}; fix or remove the line, or record the deployment again",
                "invalid-response",
            )
        if bad:
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            named = ", ".join(map(str, bad[:_NAMED])) + more
            log.warning("%s: unreadable lines passed over: %s", self.path, named)
        return self._live(line, number)

    def unchanged(self, live: Live) -> bool:
        """Whether the last line of the service still says that. Raises ``SourceError``."""
        return self.read().revisions == live.revisions

    def _live(self, line: Line, number: int) -> Live:
        claim = Evidence(carrier="ledger", key=f"{self.path.name}:{number}", value=line.commit)
        revision = LiveRevision(
            revision=None, percent=100, evidence=(claim,), created_at=_utc(line.recorded_at)
        )
        return Live(kind="service", project=None, region=None, revisions=(revision,))

    def _lines(self) -> Iterator[tuple[int, Line | None]]:
        """Each line with its number; None for one that is no record."""
        try:
            with opened(self.path, GROWN) as file:
                number, inside = 1, False
                for text in iter(lambda: file.readline(_LONGEST_LINE), b""):
                    if text.strip() and not inside:  # the rest of a line that is too long is no line
                        yield number, _parsed(text)
                    inside = not text.endswith(b"\n")
                    number += not inside
        except FileNotFoundError as error:
            raise self._nothing([], set()) from error
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror}", "unavailable") from error

    def _nothing(self, bad: list[int], others: set[str]) -> SourceError:
        if bad:
            return SourceError(
                f"{self.path} has no readable record of {self.service}; line {bad[-1]} is not readable",
                "invalid-response",
            )
        return SourceError(
            f"{self.path} has no record of {self.service}{near_misses(self.service, others)}; "
            f"add one: deployment-drift record {self.service} --commit SHA",
            "not-found",
        )


def _parsed(text: bytes) -> Line | None:
    try:
        return Line.model_validate_json(text)
    except ValidationError:
        return None


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # a few hours of the first and the last day that Python knows are in no year of UTC
        return None


def record(path: Path, service: str, commit: str, now: datetime) -> None:
    """Append that ``service`` runs ``commit`` from ``now`` (UTC) on.

    Safe beside other writers (a file lock); the line is on disk on return, or ``SourceError`` is
    raised and the ledger says what it said before. A last line that some crash cut off is closed
    first, so that it cannot swallow this one.
    """
    line = {"service": service, "commit": commit, "recorded_at": now.isoformat()}
    try:
        own_folder.make(path.parent)
        if path.exists():
            require(path)
        with FileLock(f"{path}.lock", timeout=_LOCK_S), path.open("a+b") as file:
            _append(file.fileno(), (json.dumps(line) + "\n").encode(), torn=_torn(path))
    except Timeout as error:
        raise SourceError(f"{path}: another process holds its lock", "unavailable", True) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}", "unavailable") from error


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _append(descriptor: int, line: bytes, *, torn: bool) -> None:
    """One write, flushed to disk; a write cut short (a full disk) is taken back."""
    size = os.fstat(descriptor).st_size
    data = b"\n" + line if torn else line
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(28, "the write was cut short")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
