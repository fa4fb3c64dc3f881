"""``deployment-drift is-live``: says whether a commit is live.

Exit codes: 0 live everywhere; 1 not; 3 it could not be determined.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import add_services, settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN

if TYPE_CHECKING:
    from drift_gate.questions import Liveness

NOT_LIVE = 1


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say whether COMMIT is live, on which revisions with what share of the traffic, and if "
        "not, what is missing. Exit code: 0 live everywhere; 1 not; 3 it could not be determined."
    )
    command.add_argument("commit", metavar="COMMIT", help="7 to 64 hex digits")
    add_services(command)


def run(arguments: argparse.Namespace) -> int:
    """Print what holds for each revision."""
    from drift_gate.wiring import checks

    code = OK
    asked = checks.is_live(arguments.commit, arguments.services, settings=settings_of(arguments))
    for service, found in asked.items():
        for each in found:
            for line in _lines(service, arguments.commit, each):
                print(line)
            code = max(code, {True: OK, False: NOT_LIVE, None: UNKNOWN}[each.live])
    return code


def _lines(service: str, commit: str, found: Liveness) -> Iterator[str]:
    """Whether a commit is live on one revision, and what is missing where it is not."""
    from drift_gate.presentation import render

    share = found.share
    where = f"{service}  {share.percent} %  {share.revision or ''}".rstrip()
    if found.live is None:
        yield render.plain(f"{where}: it could not be determined whether {commit} is live: {found.why}")
        return
    yield render.plain(f"{where}: {commit} is {'live' if found.live else 'not live'}")
    if not found.live:
        yield f"  {render.counted(found.count, 'relevant commit')} up to it missing"
        yield from (render.plain(f"  {line}") for line in found.missing)
