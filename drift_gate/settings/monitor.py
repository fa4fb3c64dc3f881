"""The keys of ``[monitor]``. Pure."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from drift_gate.facts import Fact
from drift_gate.settings.keys import Name

#: How such an address begins, for an editor.
_ADDRESS = r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])[^@]+$"


def _listening(url: SecretStr | None) -> SecretStr | None:
    """An address that may be asked; whoever knows it can keep an alarm silent, so that it is not repeated."""
    if url is None:
        return None
    try:
        address = urlsplit(url.get_secret_value())
    except ValueError:
        address = urlsplit("")
    here = address.scheme == "http" and address.hostname in ("localhost", "127.0.0.1", "::1")
    if not address.hostname or "@" in address.netloc or not (address.scheme == "https" or here):
        raise ValueError("must be an https:// address; it is a secret, and not repeated here")
    return url


class MonitorKeys(Fact):
    """``[monitor]``: monitors of one ``name`` look at the same services.

    ``heartbeat_url`` is asked for before and after each look; None: nobody listens.
    """

    name: Name = "monitor"
    heartbeat_url: Annotated[
        SecretStr | None,
        AfterValidator(_listening),
        Field(title="an https:// address", json_schema_extra={"pattern": _ADDRESS}),
    ] = None
