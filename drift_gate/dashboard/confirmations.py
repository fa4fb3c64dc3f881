"""Whether a confirmation is one that this process asked a person for. Pure but for the secret."""

from __future__ import annotations

import hmac
import json
import secrets


class Seal:
    """Marks what is asked, so that only who has seen the question can confirm it.

    Each has a secret of its own: what another process asked is confirmed there.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def mark(self, service: str, commit: str) -> str:
        """What a confirmation of deploying ``commit`` to ``service`` has to bring along."""
        said = json.dumps([service, commit]).encode()
        return hmac.digest(self._secret, said, "sha256").hex()

    def fits(self, mark: str, service: str, commit: str) -> bool:
        """Whether ``mark`` is that of this service and this commit."""
        return hmac.compare_digest(mark.encode(), self.mark(service, commit).encode())


def foreign(host: str | None, site: str | None, origin: str | None) -> bool:
    """Whether a web page of another origin than ``http://HOST`` sends a request.

    ``site`` and ``origin``: the headers ``Sec-Fetch-Site`` and ``Origin``; None: absent. A browser says where
    a request that changes something comes from in at least one of them; programs send neither.
    """
    return site not in (None, "same-origin", "none") or origin not in (None, f"http://{host}")
