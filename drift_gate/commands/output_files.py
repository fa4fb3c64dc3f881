"""What a command prints written to files too, each whole or not at all: ``--output FORMAT=FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from drift_gate.commands.exit_codes import OK, UNEXPECTED
from drift_gate.errors import DriftConfigError
from drift_gate.presentation.plain_text import plain

#: A format, and the file that is to hold what it prints.
Output = tuple[str, Path]


def add_output(command: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    """Let ``command`` take ``--output`` with one of ``formats``, several times."""

    def output(text: str) -> Output:
        name, _, file = text.partition("=")
        if name not in formats or not file:
            raise argparse.ArgumentTypeError(f"{text!r} is no FORMAT=FILE, with one of {', '.join(formats)}")
        return name, Path(file)

    command.add_argument(
        "--output",
        action="append",
        default=[],
        type=output,
        metavar="FORMAT=FILE",
        help="also write FILE in one of these formats, whole or not at all; may be given several times",
    )


def require_distinct(outputs: Sequence[Output]) -> None:
    """Raises ``DriftConfigError`` where two of ``outputs`` are one file: the last would replace the first."""
    known: set[Path] = set()
    for _, file in outputs:
        if (real := file.resolve()) in known:
            raise DriftConfigError(f"--output names {file} twice: give each format a file of its own")
        known.add(real)


def write(outputs: Sequence[Output], written: Callable[[str], str]) -> int:
    """Write each file, ``written`` being the text of a format; the exit code of that.

    Says on stderr which could not be written and is as it was.
    """
    failed = False
    for form, file in outputs:
        text = written(form)
        try:
            _replace(file, text)
        except OSError as error:
            failed = True
            sentence = f"--output {form}={file}: {error.strerror or error}"
            print(f"deployment-drift: {plain(sentence)}", file=sys.stderr)
    return UNEXPECTED if failed else OK


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
