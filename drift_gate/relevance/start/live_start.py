"""How a live revision starts an image: what the deploy says replaces what the Dockerfile says."""

from __future__ import annotations

import re
from dataclasses import replace

from drift_gate.facts import LiveStart
from drift_gate.relevance.dockerfile.image import Image, Start
from drift_gate.relevance.dockerfile.stage import joined

#: A word that the platform may fill in when it starts the container.
_FILLED_IN = re.compile(r"\$\([A-Za-z_]\w*\)")


def started(image: Image, own: LiveStart | None) -> Image:
    """``image`` as a revision with ``own`` settings starts it; None: as the Dockerfile says.

    A command replaces ENTRYPOINT and lets CMD fall away, arguments alone replace CMD.
    """
    if own is None:
        return image
    made = image.start or Start((), (), image.workdir, {})
    entrypoint = own.command or made.entrypoint
    command = own.args if own.command or own.args else made.command
    environment = {**made.environment, "PYTHONPATH": own.python_path} if own.python_path else made.environment
    workdir = joined(made.workdir, own.workdir) if own.workdir else made.workdir
    start = Start(entrypoint, command, workdir, environment) if entrypoint or command else None
    return replace(image, start=start, unresolved=image.unresolved or _doubt(own))


def _doubt(own: LiveStart) -> str | None:
    """Why nobody can say how it starts; None where all words are plain."""
    if any(_FILLED_IN.search(word) for word in (*own.command, *own.args)):
        return "the live revision's command has a word that is filled in when it starts"
    if own.python_path and "$" in own.python_path:
        return "the live revision's PYTHONPATH is not known"
    return None
