"""The tests on each Python that is on this machine: ``make test-all``."""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")

nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False


def _interpreters_of_pyenv() -> list[str]:
    """pyenv's own folders: its shims on the PATH answer for the one version that is switched on."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return [str(folder) for version in PYTHONS for folder in sorted(root.glob(f"versions/{version}.*/bin"))]


os.environ["PATH"] = os.pathsep.join([*_interpreters_of_pyenv(), os.environ["PATH"]])


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The whole suite, without coverage: that is measured once, by ``make test``."""
    session.install("--require-hashes", "-r", "requirements/test.txt")
    session.install("--no-deps", "--editable", ".")
    session.run("pytest", "--numprocesses=auto", *session.posargs)
