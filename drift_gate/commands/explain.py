"""``deployment-drift explain``: says what a reason code or a cause means and what to do.

Exit codes: 0 explained; 2 no such code. Only the table of codes is loaded: this is read where nothing works.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS
from drift_gate.presentation import code_help

#: Columns where no terminal says how many: a log folds by itself.
_WIDTH = 200


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say what a reason code or a cause of an unknown means and what to do. Without CODE, list them all."
    )
    command.add_argument(
        "code", nargs="?", metavar="CODE", help="such as too-many-commits-behind or shallow-history"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the meaning of one, or all of them. Raises ``DriftConfigError`` with the near misses."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    code = arguments.code
    if code is not None and not code_help.meaning(code):
        raise DriftConfigError(_unknown(code))
    for line in code_help.listed(width) if code is None else code_help.explained(code, width):
        print(line)
    return OK


def _unknown(code: str) -> str:
    from drift_gate.runtime.spelling import near_misses

    known = [*REASONS, *CAUSE_MEANINGS]
    return f"no reason code and no cause {code!r}{near_misses(code, known)} (known: {', '.join(known)})"
