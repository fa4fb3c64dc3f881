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
from drift_gate.runtime import signals

if TYPE_CHECKING:
    from drift_gate.dashboard.deploys import Deploying
    from drift_gate.dashboard.routes import Dashboard
    from drift_gate.delivery.beside import Beside
    from drift_gate.settings.file import Settings


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
    command.add_argument(
        "--deploy",
        action="store_true",
        help="with --port: let whoever asks deploy what a service lacks, once it is confirmed; any program "
        "of this machine may ask",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Write the pages, or serve them. Raises ``DriftConfigError`` and ``JournalError``."""
    if arguments.port is not None:
        _serve(arguments)
    if arguments.deploy:
        raise DriftConfigError("--deploy goes with --port: files deploy nothing")
    from drift_gate.dashboard import site

    whole = site.write(_dashboard(settings_of(arguments)), arguments.out)
    print(arguments.out / "index.html")
    if whole:
        return OK
    print("the pages say that nothing is known: has anybody looked yet?", file=sys.stderr)
    return UNKNOWN


def _serve(arguments: argparse.Namespace) -> NoReturn:
    """Until a signal comes. Raises ``KeyboardInterrupt`` or ``SystemExit``."""
    settings = settings_of(arguments)
    deploying = _deploying(settings) if arguments.deploy else None
    made = _dashboard(settings, deploying)
    from drift_gate.dashboard import server

    with signals.in_order(), server.listening(made, arguments.port) as listening:
        print(f"http://{server.HOST}:{listening.server_port}/", flush=True)
        try:
            listening.serve_forever()
        finally:
            if deploying:
                _let_end(deploying.beside)
    raise AssertionError("only a signal ends it")


def _let_end(beside: Beside) -> None:
    """Wait for the deploys that are under way; who cannot wait ends the process once more."""
    if services := beside.under_way():
        print(
            f"the deploy of {', '.join(services)} is under way; this ends with it (once more: at once)",
            file=sys.stderr,
            flush=True,
        )
    beside.join()


def _deploying(settings: Settings) -> Deploying:
    """What pages deploy with: the same as the command. Raises ``DriftConfigError``."""
    from drift_gate.commands.deploy import told
    from drift_gate.dashboard.deploys import Deploying
    from drift_gate.delivery.beside import Beside
    from drift_gate.journal.sqlite import READ_S
    from drift_gate.wiring import deploys, journals

    def deploy(service: str, commit: str) -> str:
        return deploys.word(*deploys.deploy(service, settings=settings, say=told, commit=commit))

    return Deploying(
        plan=lambda service: deploys.planned(service, settings=settings),
        kept=journals.deploys(settings, busy_s=READ_S),
        beside=Beside(deploy, deploys.utc_now),
    )


def _dashboard(settings: Settings, deploying: Deploying | None = None) -> Dashboard:
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

    journal = journals.opened(settings, busy_s=READ_S)
    if journal is None:
        raise DriftConfigError(f"{journals.nothing_kept(settings)}; a dashboard shows what is kept")
    return Dashboard(journal, settings, forges(settings), clock=checks.utc_now, deploying=deploying)
