"""``deployment-drift is-live``: says whether a commit is live.

Exit codes: 0 live everywhere, or nothing of it counts; 1 not; 3 it could not be determined.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import add_services, duration, settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN

if TYPE_CHECKING:
    from drift_gate.questions import Liveness

NOT_LIVE = 1


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say whether COMMIT is live, on which revisions with what share of the traffic, and if "
        "not, what is missing. Exit code: 0 live everywhere, or nothing of it counts for the service; 1 not; "
        "3 it could not be determined."
    )
    command.add_argument(
        "commit",
        metavar="COMMIT",
        help="a commit id (7 to 64 hex digits), or a branch, tag or HEAD of the service's "
        "repository (where that is an address, a tag as refs/tags/NAME)",
    )
    add_services(command)
    command.add_argument(
        "--wait",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="look again until it is live, at most this long (90, 90s, 10m, 2h)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what holds for each revision."""
    from drift_gate.wiring import answers, liveness

    settings = settings_of(arguments)
    wanted = answers.commits(arguments.commit, arguments.services, settings=settings)
    code = OK
    for service, found in liveness.wait(wanted, seconds=arguments.wait, settings=settings).items():
        called = _called(arguments.commit, wanted[service])
        for each in found:
            for line in _lines(service, called, each):
                print(line)
            code = max(code, OK if each.suffices else UNKNOWN if each.live is None else NOT_LIVE)
    return code


def _called(asked: str, commit: str) -> str:
    """How a commit is called in the answer: as it was asked for, a name with what it means."""
    return asked if commit == asked.strip().lower() else f"{asked} ({commit[:12]})"


def _lines(service: str, commit: str, found: Liveness) -> Iterator[str]:
    """Whether a commit is live on one revision, and what is missing where it is not."""
    from drift_gate.presentation import render

    share = found.share
    where = f"{service}  {share.percent} %  {share.revision or ''}".rstrip()
    if found.live is None:
        yield render.plain(f"{where}: it could not be determined whether {commit} is live: {found.why}")
    elif found.means_nothing:
        yield render.plain(f"{where}: nothing of {commit} counts for {service}")
    else:
        yield render.plain(f"{where}: {commit} is {'live' if found.live else 'not live'}")
    if found.count:
        yield f"  {render.counted(found.count, 'relevant commit')} up to it missing"
        yield from (render.plain(f"  {line}") for line in found.missing)
