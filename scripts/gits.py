"""The tests that ask git, under the gits of other Debians, unpacked beside this one's: ``make gits``.

``python scripts/gits.py FOLDER [GIT …]`` downloads and unpacks each into FOLDER, runs the tests under it and
under each further ``GIT`` (the path of a program), and writes ``docs/gits.md``. Nothing is installed; the
machine's own git is what all other tests run under.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gits.md"
#: Debian 11 and 13; the machine's own stands between them.
SUITES = ("bullseye", "trixie")
#: The tests that ask git: histories, checkouts, mirrors, whole checks over each, hooks, and HistoryBuilder.
TESTS = (
    "tests/sources/git",
    "tests/commands/test_warm.py",
    "tests/commands/test_hooks_command.py",
    "tests/testing",
)
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Row(NamedTuple):
    """One git: where it comes from, how many tests passed and were skipped under it, and which failed."""

    version: str
    origin: str
    passed: int
    skipped: int
    failed: list[str]


def output(*argv: str | Path, **environ: str) -> str:
    """What ``argv`` prints; it has to end well."""
    return subprocess.run(
        list(map(str, argv)), env={**os.environ, **environ}, check=True, capture_output=True, text=True
    ).stdout


def unpacked(suite: str, folder: Path) -> Path:
    """The program ``git`` of the Debian ``suite``, with all libraries that it needs, below ``folder``."""
    root, program = folder / "root", folder / "bin" / "git"
    if not program.exists():
        for name in ("lists/partial", "archives/partial", "bin"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")  # nothing is installed there, so that every library comes along
        (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {_mirror()} {suite} main\n")
        _apt(folder, "update")
        _apt(folder, "install", "--yes", "--no-install-recommends", "--download-only", "git")
        for package in sorted((folder / "archives").glob("*.deb")):
            output("dpkg-deb", "--extract", package, root)
        _wrap(root, folder / "libexec", program)
    return program


def _mirror() -> str:
    """Where this machine has its own Debian from."""
    lines = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages")
    return next(line.split()[0] for line in lines.splitlines() if re.search(r"/debian/? ", line))


def _apt(folder: Path, *words: str) -> None:
    places = {
        "Dir::Etc::SourceList": "sources.list",
        "Dir::State::Lists": "lists",
        "Dir::State::Status": "status",
        "Dir::Cache::Archives": "archives",
    }
    options = [f"-o{key}={folder / name}" for key, name in places.items()]
    output("apt-get", *options, "-oDir::Etc::SourceParts=-", "-oDebug::NoLocking=true", *words)


def _wrap(root: Path, libexec: Path, program: Path) -> None:
    """Starts each program of git's by the loader of its own Debian, whose C library is another one."""
    machine = f"{platform.machine()}-linux-gnu"
    loader = next(each for each in sorted(root.rglob("ld-*.so*")) if each.is_file() and not each.is_symlink())
    libraries = f"{root}/lib/{machine}:{root}/usr/lib/{machine}"
    core = root / "usr" / "lib" / "git-core"
    git = (root / "usr" / "bin" / "git").resolve()
    libexec.mkdir(exist_ok=True)
    for each in sorted(core.iterdir()):
        real = each.resolve()
        place = libexec / each.name
        if each.is_dir() or real.read_bytes()[:4] != b"\x7fELF":
            place.symlink_to(each)
            continue
        built_in = real.samefile(git) or real.name == "git"
        word = each.name.removeprefix("git").removeprefix("-") if built_in else ""
        _script(place, f'exec {loader} --library-path {libraries} {git if built_in else real} {word} "$@"')
    own = {
        "GIT_EXEC_PATH": libexec,
        "GIT_TEMPLATE_DIR": root / "usr" / "share" / "git-core" / "templates",
        "GCONV_PATH": root / "usr" / "lib" / machine / "gconv",  # the C library's tables of encodings
    }
    said = " ".join(f"{name}={place}" for name, place in own.items())
    _script(program, f'{said} exec {libexec}/git "$@"')


def _script(place: Path, line: str) -> None:
    place.write_text(f"#!/bin/sh\n{line}\n")
    place.chmod(0o755)


def tried(git: Path, origin: str, folder: Path) -> Row:
    """The tests under ``git``."""
    version = output(git, "--version").split()[2]
    told = folder / f"{version}.xml"
    environ = {**os.environ, "PATH": f"{git.parent}{os.pathsep}{os.environ['PATH']}"}
    argv = [sys.executable, "-m", "pytest", "-n0", "-q", "-m", "not heavy", f"--junit-xml={told}", *TESTS]
    subprocess.run(argv, cwd=ROOT, env=environ, check=False)
    cases = list(ElementTree.parse(told).iter("testcase"))  # noqa: S314 (pytest has just written it)
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    names = [f"{case.get('classname')}::{case.get('name')}" for case in failed]
    return Row(version, origin, len(cases) - len(failed) - len(skipped), len(skipped), names)


HEAD = """# Which git

The gate asks git for a repository's history. A container brings its own git: the image in which Google runs
a function (Ubuntu 22.04) 2.34.1, Debian 12 the 2.39.5 that all tests run under, Debian 11 and 13 what
stands below. `make gits` downloads the packages of Debian 11 and 13 with all their libraries, unpacks them
beside this system, installs nothing, and runs the tests that ask git under each. `make gits
GITS=/opt/git-2.34.1/bin/git` adds a git that you have built. One without the security fixes of 2022 does
not ask whom a repository belongs to: that test is skipped.

No git that the gate starts runs a hook. Those in files are off by `core.hooksPath` in every version. From
2.54 on a hook may stand in git's configuration, beside that: the repository's own, the user's, the
system's. A hook is called where a ref or an index is written, which the gate does as it fetches
(`reference-transaction`) and exports a commit to build it (`post-index-change`). Before such a command it
asks the configuration for the names of hooks, whatever the version, and switches each off by
`hook.<name>.enabled`. The switch for a whole event, `hook.<event>.enabled`, came with 2.55 and ends where
a hook bears the name of the event, so that whoever writes the configuration could undo it. A name with
`=` in it cannot be told to git by an option: then nothing is fetched, and the message says so. All other
settings of a repository that name a program for a fetch (`core.sshCommand`, a credential helper) are the
user's way to reach the remote, and stay. This was seen under 2.54.0 and 2.55.0, built without https: the
tests that ask a web server could not be run under these.

| git | from | passed | skipped | failed |
|---|---|---|---|---|
"""


def page(rows: Sequence[Row]) -> str:
    """The page, of today."""
    ordered = sorted(rows, key=lambda row: [int(each) for each in re.findall(r"\d+", row.version)])
    lines = [
        f"| {row.version} | {row.origin} | {row.passed:,} | {row.skipped:,} | {len(row.failed):,} |"
        for row in ordered
    ]
    failed = [f"- {row.version}: `{name}`" for row in ordered for name in row.failed]
    more = ["", "What failed:", "", *failed] if failed else []
    tests = ", ".join(f"`{each}`" for each in TESTS)
    return HEAD + "\n".join([*lines, *more, "", f"Of {date.today()}, by {tests}."]) + "\n"


def main() -> int:
    """Exit code 1 where a test failed."""
    folder = Path(sys.argv[1]).resolve()
    gits = {unpacked(suite, folder / suite): f"Debian's {suite}" for suite in SUITES}
    gits |= {Path(each).resolve(): "built from its source" for each in sys.argv[2:]}
    rows = [tried(git, origin, folder) for git, origin in gits.items()]
    PAGE.write_text(page(rows), encoding="utf-8")
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
