"""Which branch of a repository is the one that should be live, where nobody has said so."""

from __future__ import annotations

import os
from typing import NamedTuple

from drift_gate.errors import SourceError
from drift_gate.sources.git.process import Git

#: What the default branch is called nearly everywhere.
_USUAL = ("main", "master")


class DefaultBranch(NamedTuple):
    """A branch as a target ref names it, its commit as it is known here, and who said that it is this one."""

    ref: str
    commit: str
    because: str


def default_branch(git: Git) -> DefaultBranch:
    """The default branch of the remote ``origin`` (without one, of the first), else the usual one here.

    Nothing is asked of the remote. Raises ``SourceError``: ``target-not-found`` where there is no commit.
    """
    remotes = os.fsdecode(git.run("remote")).split()
    remote = "origin" if "origin" in remotes else next(iter(remotes), None)
    pattern = "--format=%(refname) %(objectname) %(symref)"
    refs = {}
    for line in os.fsdecode(git.run("for-each-ref", pattern, "refs/heads", "refs/remotes")).splitlines():
        name, commit, leads = line.split(" ")
        refs[name] = commit, leads
    if remote is not None:
        tracked = f"refs/remotes/{remote}/"
        commit, leads = refs.get(f"{tracked}HEAD", ("", ""))
        if leads in refs:
            because = f"the default branch of {remote}"
            return DefaultBranch(leads.removeprefix("refs/remotes/"), commit, because)
        for name in _USUAL:
            if f"{tracked}{name}" in refs:
                because = f"a branch of {remote}, by its name the default one"
                return DefaultBranch(f"{remote}/{name}", refs[f"{tracked}{name}"][0], because)
    for name in _USUAL:
        if f"refs/heads/{name}" in refs:
            other = f"{remote} has none of that name" if remote else "it has no remote"
            because = f"a branch of this repository: {other}"
            return DefaultBranch(name, refs[f"refs/heads/{name}"][0], because)
    try:
        commit = os.fsdecode(git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).strip()
    except SourceError as error:
        raise SourceError("the repository has no commit", "target-not-found") from error
    return DefaultBranch("HEAD", commit, "what is checked out here: no branch is called main or master")
