"""A sign of life around each look, for whoever raises the alarm when it stays away."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http

log = logging.getLogger("drift_gate")

#: Seconds that one sign may take, and how often it is tried.
WAIT_S, ATTEMPTS = 5.0, 2


class Heartbeat:
    """Asks an address by GET, in the words of healthchecks.io: ``/start``, nothing more, or ``/fail``.

    ``url`` None: nobody listens. It is a secret, since whoever knows it can keep an alarm silent: nothing of
    it, and nothing that the other side says, is logged. ``ca_file`` and ``proxy`` are those of ``Http``.
    """

    def __init__(
        self, url: SecretStr | None, *, ca_file: Path | None = None, proxy: str | None = None
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._proxy = proxy

    def start(self) -> None:
        """A look begins."""
        self._send("/start")

    def end(self, *, whole: bool) -> None:
        """It is over; not ``whole``: it failed, or did not read all that is declared."""
        self._send("" if whole else "/fail")

    def _send(self, word: str) -> None:
        """Never raises ``SourceError``: the look stands, and a sign that is missing is heard, too."""
        if self._url is None:
            return
        address = urlsplit(self._url.get_secret_value())
        asked = address._replace(path=address.path.rstrip("/") + word).geturl()
        try:
            with Http(Deadline(WAIT_S), ca_file=self._ca_file, proxy=self._proxy) as http:
                http.get(asked, "the heartbeat", attempts=ATTEMPTS)
        except SourceError as error:
            log.warning("the heartbeat was not heard: %s", error.cause)
