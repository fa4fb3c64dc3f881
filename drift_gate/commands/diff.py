"""``deployment-drift diff``: shows what the live revision lacks, of the files that count.

Exit codes: 0 shown, or nothing is missing; 3 it could not be determined.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK

if TYPE_CHECKING:
    from drift_gate.questions import Difference


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Show the difference from the live commit to the target, of the files that count for SERVICE; of "
        "several live revisions, that of the worst. Exit code: 0 shown, or nothing is missing; 3 it could "
        "not be determined."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument("--stat", action="store_true", help="a line for each file in place of its content")


def run(arguments: argparse.Namespace) -> int:
    """Print the difference."""
    from drift_gate.wiring import answers

    found = answers.difference(arguments.service, summary=arguments.stat, settings=settings_of(arguments))
    for line in _lines(arguments.service, found):
        print(line)
    return OK


def _lines(service: str, found: Difference) -> Iterator[str]:
    """What is compared, git's own lines without what steers a terminal, and what is left out of them."""
    from drift_gate.presentation import render

    live, target, count = found.live, found.target, len(found.paths)
    differ = {0: "nothing that counts differs", 1: "1 file that counts differs"}
    yield render.plain(
        f"{service}: {live.called or 'what is live'} runs {str(live.commit)[:12]}, {target.ref} is "
        f"{target.commit[:12]}: {differ.get(count, f'{count:,} files that count differ')}"
    )
    for line in found.text.decode("utf-8", "backslashreplace").split("\n")[:-1]:
        yield "\t".join(map(render.plain, line.split("\t")))
    left = count - found.shown
    if found.cut or left:
        cut = ["the end of what is shown last"] if found.cut else []
        rest = [render.counted(left, "more file")] if left else []
        yield f"left out: {' and '.join([*cut, *rest])} of {count:,}"
