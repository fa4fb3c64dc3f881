"""The metadata server of Google's platforms: which service account this process runs as."""

from __future__ import annotations

import re
from collections.abc import Mapping

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline

#: Where Google's own libraries look for it, and the variable that sends them elsewhere.
HOST, ELSEWHERE = "metadata.google.internal", "GCE_METADATA_HOST"
_PATH = "/computeMetadata/v1/instance/service-accounts/default/email"
#: It answers nobody who does not send this, so that no page in a browser can ask; and sends it back.
_FLAVOR = {"Metadata-Flavor": "Google"}
#: An address has 254 characters at most.
_ADDRESS = re.compile(r"(?=.{3,254}\Z)[!-?A-~]+@[!-?A-~]+")


def host(environ: Mapping[str, str]) -> str:
    """Where the metadata server is asked for: a name or an address, perhaps with a port."""
    return environ.get(ELSEWHERE) or HOST


def service_account(at: str, deadline: Deadline) -> str:
    """The address of the service account of this process, as the metadata server ``at`` tells it.

    Raises ``SourceError``, also where the answer is no address or comes from somebody else.
    """
    from drift_gate.sources.http.client import Http

    with Http(deadline, plain_to=at) as http:
        answer = http.get(
            f"http://{at}{_PATH}", "the service account", headers=_FLAVOR, limit=1000, redirects=False
        )
    address = answer.body.decode("ascii", "replace").strip()
    if answer.headers.get("metadata-flavor") != "Google" or not _ADDRESS.fullmatch(address):
        raise SourceError(f"{at} is no metadata server, or knows no service account", "invalid-response")
    return address
