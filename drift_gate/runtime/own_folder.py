"""The folder for the gate's own files, ``.drift``: git leaves it alone, so that they make no tree dirty."""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = ".drift"


def make(folder: Path) -> None:
    """Make ``folder`` and what is above it; a ``.drift`` among them that is new tells git to ignore it.

    One that is there already stays as it is. Raises ``OSError`` where a folder cannot be made; that git could
    not be told stops nobody.
    """
    ours = next((each for each in (folder, *folder.parents) if each.name == NAME), None)
    new = ours is not None and not ours.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if ours is not None and new:
        with contextlib.suppress(OSError), (ours / ".gitignore").open("x") as file:
            file.write("*\n")
