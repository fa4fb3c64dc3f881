"""``deployment-drift explain``: says what a reason code or a cause means and what to do.

Exit codes: 0 explained; 2 no such code. Light: it is read where nothing else works.
"""

from __future__ import annotations

import argparse

from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = "Say what a reason code or a cause of an unknown means and what to do."
    command.add_argument("code", metavar="CODE", help="such as too-many-commits-behind or shallow-history")


def run(arguments: argparse.Namespace) -> int:
    """Print the meaning."""
    from drift_gate.commands.console import draw
    from drift_gate.presentation import render

    draw(render.explained(arguments.code, meaning_of(arguments.code)))
    return OK


def meaning_of(code: str) -> list[tuple[str, str]]:
    """What ``code`` means, as labels and texts. Raises ``DriftConfigError`` with the near misses."""
    if code in REASONS:
        reason = REASONS[code]
        return [("decides", reason.decision), ("when", reason.when), ("to do", reason.todo)]
    for cause, (when, todo) in CAUSE_MEANINGS.items():
        if cause == code:
            return [("cause of", "unknown-drift"), ("when", when), ("to do", todo)]
    from drift_gate.runtime.values import near_misses

    known = [*REASONS, *CAUSE_MEANINGS]
    hint = near_misses(code, known)
    raise DriftConfigError(f"no reason code and no cause {code!r}{hint} (known: {', '.join(known)})")
