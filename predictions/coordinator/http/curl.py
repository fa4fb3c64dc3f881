"""The lines of curl that ask for a start again, for whoever reads a refusal. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from datetime import date
from typing import Any

from predictions.coordinator.http.access import Access, Mode
from predictions.coordinator.http.bodies import StartRequest

#: What names the caller; none is asked for where the server is open. ``KEY`` is for the reader to fill in.
_NAMING: Mapping[Mode, str] = {"api-key": ' -H "X-Api-Key: $KEY"', "open": ""}
_BEARER = ' -H "Authorization: Bearer $(gcloud auth print-identity-token)"'
#: Nothing in such a host needs quoting.
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def again(asked: StartRequest, day: date, headers: Mapping[str, str], access: Access, key: str | None) -> str:
    """The line that asks for the batch of ``day`` as ``asked`` does; ``key`` is its idempotency key."""
    return _line(_body(asked, day), headers, access, key)


def bypass(
    asked: StartRequest, day: date, headers: Mapping[str, str], access: Access, key: str | None
) -> str | None:
    """The line that asks for the same past the gate; None: nobody may do that over HTTP."""
    if not access.bypass_possible:
        return None
    return _line({**_body(asked, day), "skip_drift_check": True, "reason": "WHY"}, headers, access, key)


def _body(asked: StartRequest, day: date) -> dict[str, Any]:
    return asked.model_dump(mode="json", exclude_defaults=True) | {"game_date": day.isoformat()}


def _line(body: Mapping[str, Any], headers: Mapping[str, str], access: Access, key: str | None) -> str:
    named = _NAMING.get(access.mode, _BEARER)
    keyed = f" -H {shlex.quote(f'Idempotency-Key: {key}')}" if key is not None else ""
    sent = shlex.quote(json.dumps(body))
    typed = ' -H "Content-Type: application/json"'
    return f"curl --fail-with-body -sS{named}{typed}{keyed} {_url(headers)} -d {sent}"


def _url(headers: Mapping[str, str]) -> str:
    """Where the caller has reached us; in capitals where that cannot be pasted."""
    host = headers.get("host", "")
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}/start" if _HOST.fullmatch(host) else '"$URL/start"'
