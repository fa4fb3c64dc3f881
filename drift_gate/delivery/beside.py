"""Deploys that a process makes beside what it serves: one of a service at a time, each in a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from drift_gate.errors import DriftGateError

log = logging.getLogger("drift_gate")


@dataclass(slots=True)
class Begun:
    """A deploy of ``commit`` that was asked for here, at ``at``. ``said``: how it ended; None: it goes on."""

    commit: str
    at: datetime
    said: str | None = None


class Beside:
    """The deploys of this process.

    ``deploy``: deploys a commit (a full id) of a service, and says in one sentence what became of it; what it
    raises is what became of it as well. ``clock`` says the time in UTC.
    """

    def __init__(self, deploy: Callable[[str, str], str], clock: Callable[[], datetime]) -> None:
        self._deploy = deploy
        self._clock = clock
        self._guard = threading.Lock()
        self._begun: dict[str, tuple[Begun, threading.Thread]] = {}

    def begin(self, service: str, commit: str) -> bool:
        """Begin to deploy ``commit``; False: a deploy of ``service`` goes on here, and nothing was begun.

        Raises ``RuntimeError`` where there is no room for a thread.
        """
        with self._guard:
            if (last := self.last(service)) and last.said is None:
                return False
            begun = Begun(commit, self._clock())
            # Whoever ends the process at once ends the deploy with it; the journal knows how far it came.
            thread = threading.Thread(
                target=self._run, args=(service, begun), name=f"drift-gate deploy {service}", daemon=True
            )
            thread.start()
            self._begun[service] = begun, thread
            return True

    def last(self, service: str) -> Begun | None:
        """The newest of ``service``; None: none was asked for here."""
        found = self._begun.get(service)
        return found[0] if found else None

    def under_way(self) -> list[str]:
        """The services whose deploys have not ended."""
        return [service for service, (begun, _) in self._begun.items() if begun.said is None]

    def join(self) -> None:
        """Wait until all have ended."""
        for _, thread in list(self._begun.values()):
            thread.join()

    def _run(self, service: str, begun: Begun) -> None:
        try:
            said = self._deploy(service, begun.commit)
        except DriftGateError as error:
            said = f"{type(error).__name__}: {error}"
            log.warning("the deploy of %s ended: %s", service, error)
        except BaseException as error:
            begun.said = f"{type(error).__name__}: {error}"
            raise
        begun.said = said
