"""The user's own command that tries a candidate before it gets traffic."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drift_gate.delivery import program
from drift_gate.delivery.contracts import Candidate
from drift_gate.errors import DriftConfigError
from drift_gate.sources.one_line import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """Runs ``words`` (none: nothing is run) in ``folder`` with ``environ``, for ``seconds`` at most.

    It learns of the candidate by ``CANDIDATE_URL`` (empty: it has none), ``CANDIDATE_REVISION``,
    ``CANDIDATE_COMMIT`` and ``CANDIDATE_SERVICE``. ``say`` takes each line that it prints.
    """

    words: Sequence[str]
    service: str
    folder: Path
    environ: Mapping[str, str]
    seconds: float
    say: Callable[[str], object]

    def __call__(self, candidate: Candidate, commit: str) -> str | None:
        """Why it is not content; None: it is. Raises ``DriftConfigError`` where it cannot be started."""
        if not self.words:
            return None
        told = {
            "CANDIDATE_URL": candidate.url or "",
            "CANDIDATE_REVISION": candidate.revision,
            "CANDIDATE_COMMIT": commit,
            "CANDIDATE_SERVICE": self.service,
        }
        last = ""

        def take(line: str, out: bool) -> None:
            nonlocal last
            if shown := one_line(line):
                last = shown
                self.say(shown)

        try:
            status = program.run(
                self.words,
                environ={**self.environ, **told},
                seconds=self.seconds,
                take=take,
                folder=self.folder,
            )
        except TimeoutError:
            return f"it did not end within {self.seconds:g} s" + (f"; its last line: {last}" if last else "")
        except OSError as error:
            command = shlex.join(self.words)
            raise DriftConfigError(f"smoke: `{command}` cannot be started: {error.strerror}") from error
        return None if status == 0 else f"exit status {status}" + (f": {last}" if last else "")
