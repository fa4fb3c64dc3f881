"""How the command lines draw on stdout: fitted to a terminal, and wide in a pipe."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from drift_gate.presentation import render


def draw(drawing: RenderableType, file: TextIO | None = None) -> None:
    """Print a drawing (``file`` None: on stdout): fitted to a terminal, else wide and without padding."""
    file = file or sys.stdout
    if file is None:  # closed by whoever started this: the exit code tells
        return
    console = Console(file=file, highlight=False, width=None if file.isatty() else render.PIPED_WIDTH)
    with console.capture() as captured:
        console.print(drawing, crop=False)  # a line to paste stays one line, however long
    for line in captured.get().splitlines():
        print(line.rstrip(), file=file)


def draw_unfolded(text: Text) -> None:
    """Print on stdout without folding: a line that is to be pasted stays one line."""
    Console(highlight=False).print(text, soft_wrap=True)
