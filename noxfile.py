"""The tests on each Python that is on this machine: ``make test-all``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
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
    """What ``make test`` runs, without coverage: that is measured once, there."""
    session.install("--require-hashes", "-r", "requirements/test.txt")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".", "--editable", "predictions")
    processes = (os.cpu_count() or 1) * 2  # as in the Makefile: much of it is waiting
    split = [f"--numprocesses={processes}", "--dist=worksteal"]
    session.run("pytest", "-m", "not heavy", *split, *session.posargs)


def _interpreters() -> Iterator[tuple[list[int], str]]:
    """Each Python of this machine that the package allows, with its whole version."""
    folders = [*_interpreters_of_pyenv(), *os.environ["PATH"].split(os.pathsep), "/usr/bin"]
    asked = "import sys; print(*sys.version_info[:3])"
    for path in sorted({f"{folder}/python{version}" for folder in folders for version in PYTHONS}):
        if os.access(path, os.X_OK):
            told = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False).stdout
            if told:  # a shim of pyenv's for a version that is switched off says nothing
                yield [int(number) for number in told.split()], path


@nox.session(python=min(_interpreters())[1])
def pure(session: nox.Session) -> None:
    """The rules that judge a repository's own texts, on the oldest Python that is here.

    A patch release may change what a pattern matches: Debian 12's 3.11.2 does not match a possessive group
    that 3.11.7 does.
    """
    session.install("--require-hashes", "-r", "requirements/test.txt")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".", "--editable", "predictions")
    session.run("python", "-VV")
    session.run("pytest", "-m", "not heavy", "--numprocesses=auto", "tests/relevance", *session.posargs)
