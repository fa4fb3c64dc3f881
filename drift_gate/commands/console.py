"""How the command lines draw on stdout: fitted to a terminal, and wide in a pipe."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from drift_gate.presentation import render


def draw(drawing: RenderableType, file: TextIO | None = None, *, no_color: bool = False) -> None:
    """Print a drawing (``file`` None: on stdout): fitted to a terminal, else wide and without padding.

    No word is cut, such as a commit or a revision: on a narrower terminal its line is longer than that.

    ``no_color`` does what ``NO_COLOR`` in the environment does.
    """
    file = file or sys.stdout
    console = Console(file=file, highlight=False, no_color=no_color or None)
    columns = console.width if file.isatty() else render.PIPED_WIDTH
    console.width = max(columns, render.least_width(console, drawing))
    with console.capture() as captured:
        console.print(drawing, crop=False)  # a line to paste stays one line, however long
    for line in captured.get().splitlines():
        print(line.rstrip(), file=file)


def draw_unfolded(text: Text, *, no_color: bool = False) -> None:
    """Print on stdout without folding: a line that is to be pasted stays one line."""
    Console(highlight=False, no_color=no_color or None).print(text, soft_wrap=True)
