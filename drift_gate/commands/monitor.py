"""``deployment-drift monitor``: looks at all declared services and keeps what it saw in the journal.

Exit codes of ``--once``: those of ``check``, and 3 where the journal cannot be written.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of

if TYPE_CHECKING:
    from drift_gate.journal.looks import Seen


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Look at all declared services and keep what was seen in the journal; print what changed. Exit "
        "codes: those of check, and 3 where the journal cannot be written."
    )
    command.add_argument("--once", action="store_true", required=True, help="look once, and end")


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what changed."""
    from drift_gate.wiring import monitors

    return monitors.look(settings_of(arguments), [_Stdout()]).outcome.exit_code


class _Stdout:
    """A ``Notifier``: prints what was seen."""

    def tell(self, seen: Seen) -> None:
        from drift_gate.presentation.looks import lines

        for line in lines(seen):
            print(line, flush=True)
