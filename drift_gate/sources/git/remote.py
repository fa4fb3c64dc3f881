"""A git remote: what it says of its refs, and how a repository without file contents fetches from it.

Everything about the remote is told to git on the command line of that one process: before 2.31 git reads no
settings from the environment. A mirror's own configuration names no remote, so that no command that reads it,
of whatever version of git, can go and fetch a missing file by itself: for such a repository a file is there,
or it is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import retrying
from drift_gate.runtime.values import is_address
from drift_gate.sources.git.errors import message_of, refused, unavailable
from drift_gate.sources.git.process import Git

#: How the remote is called, for the length of one process.
NAME = "drift-gate"

#: ``scheme://…``, or ``user@host:path`` as ssh has it.
_PASSWORD = re.compile(r"\w+://[^/@]*:[^/@]*@")

#: Answers a question for a password with the token and nothing else: where to ask is git's own rule, by
#: protocol and host, also after a redirect. The token itself stays in the environment. The empty first
#: helper drops the user's, which would be told to store the token.
_HELPER_KEY = "credential.https://github.com.helper"
_HELPER = '!f() { test "$1" != get || printf "username=x-access-token\\npassword=%s\\n" "$GITHUB_TOKEN"; }; f'

#: Git fetches a missing object by a second `git fetch`, which would do the same without end where a
#: remote's history is cut (2.39: 300 processes a second). The second one reads this program from the
#: settings and ends; ours is named on the command line.
_NO_PROGRAM = "false"
_PROGRAM = "--upload-pack=git-upload-pack"

_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-prune",
    "--no-recurse-submodules",
    "--refmap=",
    "--filter=blob:none",
    _PROGRAM,
)
#: How many ids of one question the remote may lack: each costs a round trip.
MOST_LACKED = 8


def shown(address: str) -> str:
    """``address`` for messages and logs: without user, password and query."""
    bare = re.sub(r"^(\w[\w+.-]*://)[^/]*@", r"\1", address)
    return re.sub(r"[?#].*", "", bare)


def ask(git: Git, remote: str, name: str, *options: str) -> str | None:
    """The object id that ``remote`` has under the full ref ``name`` now; None where it has no such ref.

    ``options`` are more of ``git ls-remote``.

    Raises ``SourceError`` with the cause of the remote's refusal, or ``invalid-response``.
    """
    answer = git.run("ls-remote", *options, "--end-of-options", remote, name, failure=refused)
    # A pattern fits the end of a ref's name too, so other refs may stand in the answer.
    lines = (line.split("\t", 1) for line in os.fsdecode(answer).split("\n"))
    oid = next((line[0] for line in lines if line[1:] == [name]), None)
    if oid is not None and not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", oid):
        raise SourceError(f"{remote} answered {oid[:80]!r}, no commit id", "invalid-response")
    return oid


@dataclass(frozen=True, slots=True)
class Remote:
    """The remote at ``address``.

    Raises ``SourceError`` (``credentials``) for an address with a password: git shows addresses to
    every user of the machine, as arguments of its helpers.
    """

    address: str

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise SourceError(f"{self.address!r} is no address of a git remote", "history-unavailable")
        if _PASSWORD.match(self.address):
            raise SourceError(
                f"the address of {shown(self.address)} holds a password, which every process list shows; "
                "use a credential helper of git, or GITHUB_TOKEN",
                "credentials",
            )

    def at(self, git: Git) -> Git:
        """``git``, told about this remote; for asking and fetching only."""
        settings = [
            f"remote.{NAME}.url={self.address}",
            f"remote.{NAME}.promisor=true",
            f"remote.{NAME}.partialCloneFilter=blob:none",
            f"remote.{NAME}.uploadpack={_NO_PROGRAM}",
            "protocol.version=2",
        ]
        if git.environ.get("GITHUB_TOKEN"):
            settings += [f"{_HELPER_KEY}=", f"{_HELPER_KEY}={_HELPER}"]
        return replace(git, settings=tuple(settings))

    def ask(self, git: Git, name: str) -> str | None:
        """As the function ``ask``."""
        return ask(self.at(git), NAME, name, _PROGRAM)

    def branches(self, git: Git) -> list[str]:
        """The names of all branches."""
        answer = self.at(git).run("ls-remote", _PROGRAM, "--heads", NAME, failure=refused)
        names = (line.partition("\t")[2] for line in os.fsdecode(answer).split("\n"))
        return [name.removeprefix("refs/heads/") for name in names if name]

    def fetch_ref(self, git: Git, theirs: str, ours: str) -> None:
        """Fetches all commits of the remote's ref ``theirs``, without file contents, as the ref ``ours``."""
        self.at(git).run(*_FETCH, "--end-of-options", NAME, f"+{theirs}:{ours}", failure=fetch_failed)

    def fetch_objects(self, git: Git, ids: Collection[str], into: str | None = None) -> frozenset[str]:
        """Fetches the objects ``ids`` in one go; those that the remote lacks come back.

        ``into`` is where refs to them are kept; None keeps none. One id that the remote lacks fails
        the whole request, which names it: it is dropped and the rest asked for again, up to
        ``MOST_LACKED`` times. Then ``SourceError`` (``not-found``).
        """
        wanted, lacked = set(ids), set[str]()
        there = self.at(git)
        while wanted:
            try:
                retrying(lambda: _fetch_objects(there, sorted(wanted), into), git.deadline)
                break
            except _Lacks as error:
                if error.message not in wanted or len(lacked) == MOST_LACKED:
                    raise SourceError(
                        f"{shown(self.address)} lacks {error.message[:12]} and others that its own history "
                        "names",
                        "not-found",
                    ) from None
                wanted.discard(error.message)
                lacked.add(error.message)
        return frozenset(lacked)

    def fetch_whole(self, git: Git, commit: str) -> None:
        """Fetches ``commit`` (a full id) alone, with all of its files."""
        args = (*_FETCH[:-2], "--depth=1", "--no-filter", _PROGRAM)
        self.at(git).run(*args, "--end-of-options", NAME, commit, failure=fetch_failed)


class _Lacks(SourceError):
    """The remote has no object of the id that is the message."""


def _fetch_objects(git: Git, ids: Sequence[str], into: str | None) -> None:
    lines = (f"{oid}:{into}{oid}\n" if into else f"{oid}\n" for oid in ids)
    # Files build on nothing that we have; commits do.
    settings = () if into else ("fetch.negotiationAlgorithm=noop",)
    stdin = "".join(lines).encode()
    git.run(
        *_FETCH, "--stdin", "--end-of-options", NAME, stdin=stdin, settings=settings, failure=_objects_failed
    )


def _objects_failed(command: str, stderr: str) -> SourceError:
    lacking = re.search(r"not our ref ([0-9a-f]{40,64})", stderr)
    return _Lacks(lacking[1], "history-unavailable") if lacking else fetch_failed(command, stderr)


def fetch_failed(command: str, stderr: str) -> SourceError:
    """A fetch fails at the remote or at the local repository; only the first may heal by itself."""
    local = (
        "read-only file system",
        "insufficient permission",
        "no space left",
        "cannot lock ref",
        "unable to create",
        "file too large",
    )
    words = stderr.lower()
    full = next((each for each in ("no space left", "file too large") if each in words), None)
    if full:
        message = f"`{command}` failed: no room on the disk ({message_of(stderr)})"
        return SourceError(message, "history-unavailable")
    return (unavailable if any(each in words for each in local) else refused)(command, stderr)
