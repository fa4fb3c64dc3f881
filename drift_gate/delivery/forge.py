"""The pages of a commit and of a comparison at the forge that a repository is kept at. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

#: ``https://[user@]host[:port]/path``, ``ssh://…`` and ``[user@]host:path``.
_URL = re.compile(r"(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?/(?P<path>[\w./~-]+)")
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[\w./~-]+)")
_PATHS = {
    "github": ("commit/{0}", "compare/{0}...{1}"),
    "gitlab": ("-/commit/{0}", "-/compare/{0}...{1}"),
    "bitbucket": ("commits/{0}", "branches/compare/{1}%0D{0}#diff"),
}


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository at a forge: the address of its pages, and whose paths they have."""

    web: str
    kind: Literal["github", "gitlab", "bitbucket"]

    @classmethod
    def of(cls, remote: str) -> Forge | None:
        """The forge of a remote's address; None: not known, and no link is better than a wrong one.

        By its host: ``github.com``, ``gitlab.com``, ``bitbucket.org``, and what has such a word in its name,
        as an enterprise's own has. Neither user nor password of the address come along.
        """
        found = _URL.fullmatch(remote) or _SCP.fullmatch(remote)
        if found is None:
            return None
        host, path = found["host"].lower(), found["path"].strip("/").removesuffix(".git")
        port = (found.groupdict().get("port") or "") if remote.startswith("http") else ""
        for kind in _PATHS:
            if kind in re.split(r"[.-]", host):
                return cls(f"https://{host}{port}/{path}", kind)  # type: ignore[arg-type]  # a key of _PATHS
        return None

    def commit(self, sha: str) -> str:
        """The page of a commit."""
        return f"{self.web}/{_PATHS[self.kind][0].format(sha)}"

    def compare(self, old: str, new: str) -> str:
        """The page of what came from ``old`` to ``new``."""
        return f"{self.web}/{_PATHS[self.kind][1].format(old, new)}"
