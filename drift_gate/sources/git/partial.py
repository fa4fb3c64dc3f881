"""Clones that leave objects with their remote (``git clone --filter=…``): what is there, and what to do.

Git fetches what is missing by itself, and where the remote cannot be asked it ends a whole batch at the first
object that is not there, without a line on it (2.39).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from drift_gate.errors import SourceError
from drift_gate.sources.git.process import Git

_SETTINGS = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
#: Bytes that the list of all objects of one commit may take.
LISTING_LIMIT = 256 << 20
_FILTER = re.compile(r"remote\.(.*)\.partialclonefilter (\S+)", re.IGNORECASE)


def there(git: Git, objects: Collection[str], *, commits: bool = False) -> frozenset[str]:
    """Those of ``objects`` (full ids of files, or of ``commits``) that are there; fetches none."""
    if not objects:
        return frozenset()
    only = () if commits else ("--objects",)
    args = ("--missing=allow-any", "--ignore-missing", "--no-walk=unsorted", *only, "--stdin")
    answer = git.run("rev-list", *args, stdin="".join(f"{oid}\n" for oid in objects).encode())
    return frozenset(line.partition(" ")[0] for line in answer.decode("ascii", "replace").splitlines())


def filter_of(git: Git) -> tuple[str, str] | None:
    """The remote that was left objects and the filter that says which; None for a full clone."""
    answer = git.run("config", "--get-regexp", _SETTINGS, accept=(0, 1)).decode("utf-8", "replace")
    found = _FILTER.search(answer)
    if found:
        return found[1], found[2]
    return ("origin", "some") if answer else None


def lacks_files(git: Git) -> bool:
    """Whether this is a partial clone that lacks a file of its HEAD, or a folder; fetches none."""
    if filter_of(git) is None:
        return False
    args = ("--missing=print", "--objects", "--no-walk", "--ignore-missing", "HEAD", "--")
    return b"\n?" in git.run("rev-list", *args, limit=LISTING_LIMIT)


def cure(remote: str) -> str:
    """The line that brings all objects, to be run in the clone; git has had it since 2.36."""
    return f"git fetch --refetch --no-filter {shlex.quote(remote)}"


def explained(git: Git, name: str, error: SourceError) -> SourceError:
    """``error`` of the repository ``name``, or the one that says that it is a partial clone."""
    if error.cause != "history-unavailable":
        return error
    try:
        partial = filter_of(git)
    except SourceError:
        return error
    if partial is None:
        return error
    remote, what = partial
    return SourceError(
        f"{name} is a partial clone ({what}) without all that is needed here, and its remote {remote} did "
        f"not hand it over; run `{cure(remote)}` in it, or before git 2.36 clone it again without a filter "
        f"({error.message})",
        "history-unavailable",
    )
