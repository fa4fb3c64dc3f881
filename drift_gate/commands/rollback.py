"""``deployment-drift rollback``: lets an earlier revision serve again, and acknowledges what it lacks.

Exit codes: 0 it serves; 2 usage or configuration; 3 it could not be determined, and may be repeated; 5
somebody else moved the traffic meanwhile.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.deploy import told
from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError
from drift_gate.presentation.plain_text import plain
from drift_gate.runtime import signals


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Let an earlier revision of SERVICE serve again, at once, whoever deploys it now, and print the "
        "[[acknowledged]] table by which it does not block the next batch. Until then no deploy replaces it "
        "by itself. Exit code: 0 it serves; 2 usage or configuration; 3 it could not be determined; 5 "
        "somebody else moved the traffic meanwhile."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument(
        "--to", metavar="REVISION", help="the revision (default: what served before the last deploy)"
    )
    command.add_argument("--reason", required=True, metavar="WHY", help="why it is taken back")
    command.add_argument(
        "--until",
        required=True,
        metavar="TIME",
        help="when it is no longer meant, at most 90 days ahead: a date (its first moment, UTC) or a time",
    )
    command.add_argument(
        "--commit",
        action="store_true",
        help="write the table into drift.toml and commit that file, instead of printing it",
    )


@signals.in_order()
def run(arguments: argparse.Namespace) -> int:
    """Move the traffic, and acknowledge what is missing then."""
    from drift_gate.policy import acknowledgements
    from drift_gate.wiring import deploys

    until = acknowledgements.ending(arguments.until, deploys.utc_now())
    if not arguments.reason.strip():
        raise DriftConfigError("--reason: say why it is taken back")
    settings = settings_of(arguments)
    if arguments.commit:
        deploys.require_committable(settings)
    made, verdict = deploys.rollback(
        arguments.service,
        settings=settings,
        say=told,
        to=arguments.to,
        reason=arguments.reason,
        until=until,
    )
    print(plain(f"{made.service}: {made.revision} serves until {until:%Y-%m-%d %H:%M} UTC"), file=sys.stderr)
    tables = acknowledgements.tables_of_rollback(verdict, until, arguments.reason)
    if arguments.commit:
        print(deploys.commit_acknowledged(settings, made, tables), file=sys.stderr)
    else:
        print("put this into drift.toml, or merge it into the target ref:", file=sys.stderr)
        sys.stdout.write(tables)
    return OK
