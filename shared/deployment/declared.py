"""What a service declares about its live revisions beside the code: the variables they must have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from shared.deployment.facts import Finding, Live


def held_against(live: Live, required_env: Collection[str]) -> Live:
    """``live`` with a finding for each live revision that lacks a variable of ``required_env``.

    A revision that could not be read has no finding: that it is unknown says more.
    """
    return replace(live, findings=(*live.findings, *_missing(live, required_env)))


def _missing(live: Live, required: Collection[str]) -> Iterator[Finding]:
    for each in live.revisions:
        missing = [name for name in dict.fromkeys(required) if name not in each.env_names]
        if missing and each.unknown is None:
            where = f"{each.revision}: " if each.revision else ""
            yield Finding(
                code="required-env-missing",
                message=f"{where}the live revision has no value for {', '.join(missing)}",
                data={"missing": missing, "revision": each.revision},
            )
