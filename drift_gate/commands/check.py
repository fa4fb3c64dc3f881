"""``deployment-drift check``: judges the declared services and says why.

Exit codes: those of ``Outcome.exit_code``; with ``--fail-on warn`` 1 for whatever is no plain ``allow``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import add_services, add_wait, settings_of
from drift_gate.commands.exit_codes import OK, REFUSED, UNEXPECTED
from drift_gate.errors import DriftConfigError
from drift_gate.presentation.formats import Format
from drift_gate.presentation.plain_text import plain

if TYPE_CHECKING:
    from drift_gate.policy.verdict import Outcome
    from drift_gate.settings.file import Settings

_FORMATS = [each.value for each in Format]


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Judge the declared services. Exit code: 0 allow, warn or not enforced; 1 an enforced "
        "denial from known drift; 3 a denial because it could not be determined, or an unexpected "
        "error; 2 usage or configuration; 130 interrupted. Bypasses are ignored."
    )
    add_services(command)
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")
    command.add_argument(
        "--output",
        action="append",
        default=[],
        type=_output,
        metavar="FORMAT=FILE",
        help="also write FILE in one of these formats, whole or not at all; may be given several times",
    )
    command.add_argument(
        "--quiet", action="store_true", help="print nothing on stdout, and on stderr what is worth a warning"
    )
    command.add_argument(
        "--verbose", action="store_true", help="list each undeployed commit with its relevant paths"
    )
    command.add_argument(
        "--target", metavar="REF", help="hold what is live against REF this time, as with DRIFT_TARGET_REF"
    )
    command.add_argument(
        "--fail-on",
        choices=["deny", "warn"],
        default="deny",
        help="from which decision on the exit code is 1; warn also counts what is denied and not enforced "
        "(default: %(default)s)",
    )
    add_wait(command)
    command.add_argument(
        "--inventory",
        action="store_true",
        help="also name the live services of each project and region that nothing declares",
    )


def _output(text: str) -> tuple[Format, Path]:
    name, _, file = text.partition("=")
    if name not in _FORMATS or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is no FORMAT=FILE, with one of {', '.join(_FORMATS)}")
    return Format(name), Path(file)


def run(arguments: argparse.Namespace) -> int:
    """Check, write, print, and say by the exit code what came of it: first of all the verdict."""
    _require_distinct([file for _, file in arguments.output])
    from drift_gate.runtime.child_process import pool

    pool().start()  # before anything else is loaded: it loads beside
    from drift_gate.wiring import rollouts

    if arguments.quiet:
        logging.getLogger("drift_gate").setLevel(logging.WARNING)
    settings = settings_of(arguments)
    outcome = rollouts.check(
        arguments.services, wait=arguments.wait, settings=settings, inventory=arguments.inventory
    )
    # The files first: whoever reads stdout may go away.
    unwritten = list(_unwritten(outcome, settings, arguments))
    for sentence in unwritten:
        print(f"deployment-drift: {plain(sentence)}", file=sys.stderr)
    if not arguments.quiet:
        _show(outcome, settings, arguments)
    clean = arguments.fail_on == "deny" or all(each.decision == "allow" for each in outcome.services)
    return outcome.exit_code or (UNEXPECTED if unwritten else OK if clean else REFUSED)


def _show(outcome: Outcome, settings: Settings, arguments: argparse.Namespace) -> None:
    """Print the verdicts on stdout."""
    form = Format(arguments.format)
    if form is Format.table:
        from drift_gate.commands.console import draw
        from drift_gate.presentation import render

        drawing = render.table(outcome, settings, verbose=arguments.verbose)
        draw(drawing, no_color=arguments.no_color)
    else:
        from drift_gate.presentation.documents import written

        sys.stdout.write(written(outcome, form, settings, verbose=arguments.verbose))


def _require_distinct(files: Sequence[Path]) -> None:
    """Raises ``DriftConfigError`` where two of ``files`` are one: the last would replace the others."""
    known: set[Path] = set()
    for file in files:
        if (real := file.resolve()) in known:
            raise DriftConfigError(f"--output names {file} twice: give each format a file of its own")
        known.add(real)


def _unwritten(outcome: Outcome, settings: Settings, arguments: argparse.Namespace) -> Iterator[str]:
    """Write each file that ``--output`` names; a sentence for each that could not be, and is as it was."""
    from drift_gate.presentation.documents import written

    for form, file in arguments.output:
        text = written(outcome, form, settings, verbose=arguments.verbose)
        try:
            _replace(file, text)
        except OSError as error:
            yield f"--output {form.value}={file}: {error.strerror or error}"


def _replace(file: Path, text: str) -> None:
    """``text`` as the content of ``file``, all of it or none. Raises ``OSError``."""
    if file.exists() and not file.is_file():
        raise OSError("is no regular file")
    file = file.resolve()  # a link stays one
    # In a folder of its own, which nobody else writes to and nobody else's name leads out of.
    with TemporaryDirectory(prefix=f".{file.name[:99]}.", dir=file.parent, ignore_cleanup_errors=True) as own:
        beside = Path(own) / "new"
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
