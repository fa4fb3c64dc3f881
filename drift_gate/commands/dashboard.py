"""``deployment-drift dashboard``: the journal as pages.

Exit codes of ``--out``: 0 written; 2 usage or configuration; 3 the journal could not be read, or nobody has
looked yet. With ``--port`` the process goes on until a signal ends it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from drift_gate.dashboard.routes import Dashboard


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Show what the journal knows as pages: the fleet, each service, the batches, the decisions, the "
        "figures. --out writes them into a folder; index.html opens from there, or from a bucket. --port "
        "serves them to this machine until Ctrl-C or SIGTERM ends it. Exit code of --out: 0; 2 usage or "
        "configuration; 3 the journal could not be read, or nobody has looked yet."
    )
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", metavar="FOLDER", type=Path, help="the folder to write them into")
    where.add_argument("--port", metavar="N", type=_port, help="the port to serve them on; 0 is a free one")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Write the pages, or serve them. Raises ``DriftConfigError`` and ``JournalError``."""
    made = _dashboard(arguments)
    if arguments.port is not None:
        _serve(made, arguments.port)
    from drift_gate.dashboard import site

    whole = site.write(made, arguments.out)
    print(arguments.out / "index.html")
    if whole:
        return OK
    print("the pages say that nothing is known: has anybody looked yet?", file=sys.stderr)
    return UNKNOWN


def _serve(made: Dashboard, port: int) -> NoReturn:
    """Until a signal comes. Raises ``KeyboardInterrupt``."""
    from drift_gate.dashboard import server

    with server.listening(made, port) as listening:
        print(f"http://{server.HOST}:{listening.server_port}/", flush=True)
        listening.serve_forever()
    raise AssertionError("only a signal ends it")


def _dashboard(arguments: argparse.Namespace) -> Dashboard:
    try:
        from drift_gate.dashboard.routes import Dashboard
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise DriftConfigError(
            "the dashboard needs jinja2: pip install 'prediction-drift-gate[dashboard]'"
        ) from error
    from drift_gate.journal.sqlite import READ_S
    from drift_gate.wiring import checks, journals
    from drift_gate.wiring.forges import forges

    settings = settings_of(arguments)
    journal = journals.opened(settings, busy_s=READ_S)
    if journal is None:
        raise DriftConfigError(f"{journals.nothing_kept(settings)}; a dashboard shows what is kept")
    return Dashboard(journal, settings, forges(settings), clock=checks.utc_now)
