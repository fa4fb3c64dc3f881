"""``deployment-drift dashboard``: the journal as pages.

Exit codes: 0 written; 2 usage or configuration; 3 the journal could not be read, or nobody has looked yet.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from drift_gate.dashboard.routes import Dashboard


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Show what the journal knows as pages: the fleet, each service, the batches, the decisions, the "
        "figures. --out writes them into a folder; index.html opens from there, or from a bucket. Exit code: "
        "0; 2 usage or configuration; 3 the journal could not be read, or nobody has looked yet."
    )
    command.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="where to write them")


def run(arguments: argparse.Namespace) -> int:
    """Write the pages. Raises ``DriftConfigError`` and ``JournalError``."""
    made = _dashboard(arguments)
    from drift_gate.dashboard import site

    whole = site.write(made, arguments.out)
    print(arguments.out / "index.html")
    if whole:
        return OK
    print("the pages say that nothing is known: has anybody looked yet?", file=sys.stderr)
    return UNKNOWN


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
