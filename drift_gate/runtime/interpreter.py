"""This Python, for a process of its own that runs elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program() -> str:
    """The interpreter, also where the program that embeds it names itself instead."""
    named = sys.executable or ""
    if os.path.basename(named).startswith(("python", "pypy")):
        return named
    installed = Path(sys.exec_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return str(installed if installed.exists() else installed.with_name("python3"))


def absolute(entry: str) -> str:
    """An entry of ``sys.path`` as it is found from anywhere; what is no folder is some hook's name."""
    return os.path.abspath(entry) if os.path.isdir(entry or ".") else entry
