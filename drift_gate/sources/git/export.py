"""The files of a commit on disk, byte by byte as git holds them, and nothing of anybody's work tree.

They come through a repository of our own that borrows the objects of the other: git's own way to write files,
with every conversion off that a `.gitattributes` may ask for, and no setting, hook or index of the user's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.errors import unavailable
from drift_gate.sources.git.local_repository import lines
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.remote import Remote

#: Stands before every `.gitattributes` of the commit: https://git-scm.com/docs/gitattributes
_AS_IT_IS = "* -text -ident -filter -working-tree-encoding\n"


class Exported(NamedTuple):
    """The files in ``folder``; ``committed_at`` is the committer time of their commit, in UTC."""

    folder: Path
    committed_at: datetime


@contextlib.contextmanager
def exported(
    repository: str, commit: str, *, mirrored: bool, environ: Mapping[str, str], deadline: Deadline
) -> Iterator[Exported]:
    """The files of ``commit`` (a full id) for as long as the block lasts.

    ``repository``: the path of one that has it, or where it is ``mirrored`` the address that it is fetched
    from. What a submodule holds is not there, and a file of Git LFS is its pointer. Raises ``SourceError``.
    """
    with TemporaryDirectory(prefix="drift-gate-export-", ignore_cleanup_errors=True) as own:
        files = Path(own, "files")
        files.mkdir()
        ours = Git(cwd=str(files), environ=environ, deadline=deadline, git_dir=str(Path(own, "git")))
        _borrow(ours, repository, commit, mirrored=mirrored)
        told = ours.run("show", "--no-patch", "--format=%ct", "--end-of-options", commit)
        settings = ("core.symlinks=true", "core.fileMode=true")
        ours.run("read-tree", "--end-of-options", commit)
        ours.run("checkout-index", "--all", "--quiet", settings=settings)
        yield Exported(files, datetime.fromtimestamp(int(told), UTC))


def _borrow(ours: Git, repository: str, commit: str, *, mirrored: bool) -> None:
    """Make our own repository, and let it have the objects of ``commit``."""
    form = "sha256" if len(commit) == 64 else "sha1"
    ours.run("init", "--quiet", f"--object-format={form}")
    ours.run("config", "core.bare", "false")  # the folder that git runs in is the work tree
    folder = Path(str(ours.git_dir))
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "attributes").write_text(_AS_IT_IS, encoding="ascii")
    if mirrored:
        Remote(repository).fetch_whole(ours, commit)
        return
    there = replace(ours, cwd=repository, git_dir=None)
    told = there.run("rev-parse", "--git-path", "objects", failure=unavailable)
    objects = os.path.realpath(os.path.join(repository, lines(told)[0]))
    (folder / "objects" / "info" / "alternates").write_bytes(os.fsencode(f"{objects}\n"))
