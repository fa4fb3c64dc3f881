"""The user's own command that tries a candidate before it gets traffic."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        try:
            process = subprocess.Popen(
                list(self.words),
                cwd=self.folder,
                env={**self.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            command = shlex.join(self.words)
            raise DriftConfigError(f"smoke: `{command}` cannot be started: {error.strerror}") from error
        with process:
            try:
                printed, _ = process.communicate(timeout=self.seconds)
            except subprocess.TimeoutExpired:
                return f"it did not end within {self.seconds:g} s"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        lines = [one_line(line) for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
        for line in lines:
            self.say(line)
        if process.returncode == 0:
            return None
        return f"exit status {process.returncode}" + (f": {lines[-1]}" if lines else "")
