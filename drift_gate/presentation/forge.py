"""Where a forge shows a commit, or the difference of two, by the address of the repository. Pure.

The paths are those of the forges' own pages:
https://docs.github.com/en/pull-requests/committing-changes-to-your-project/viewing-and-comparing-commits/comparing-commits,
https://docs.gitlab.com/user/project/repository/compare_revisions/.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

#: ``https://host/path``, ``ssh://user@host:port/path`` and ``user@host:path``; what else git takes has none.
_ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@\s]*@)?([\w.-]+)(?::\d+)?/|[\w.-]+@([\w.-]+):/?)"
    r"([\w.~+-]+(?:/[\w.~+-]+)+)/?"
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
#: Hosts that answer for ssh where another one has the pages.
_PAGES = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}


class Forge(NamedTuple):
    """The pages of one repository: their ``kind``, and the address that they begin with."""

    kind: Literal["github", "gitlab", "bitbucket"]
    base: str

    @classmethod
    def of(cls, address: str) -> Forge | None:
        """The forge that ``address`` names; None: it is a path, or no forge whose pages are known.

        A host of one's own is known by its name: ``github.example.com``, ``gitlab.example.com``.
        """
        found = _ADDRESS.fullmatch(address.strip())
        if found is None:
            return None
        host = (found[1] or found[2]).lower()
        host = _PAGES.get(host, host)
        base = f"https://{host}/{found[3].removesuffix('.git')}"
        if host == "bitbucket.org":
            return cls("bitbucket", base)
        match host.partition(".")[0]:
            case "github" if base.count("/") == 4:
                return cls("github", base)
            case "gitlab":
                return cls("gitlab", base)
            case _:
                return None

    def commit(self, sha: str) -> str | None:
        """The page of the commit ``sha``; None: that is no id of a commit."""
        if not _COMMIT.fullmatch(sha):
            return None
        return f"{self.base}/{_COMMIT_PATHS[self.kind]}/{sha}"

    def compare(self, old: str, new: str) -> str | None:
        """The page of what ``new`` has and ``old`` has not; None: one of them is no id of a commit."""
        if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new)):
            return None
        return self.base + _COMPARE_PATHS[self.kind].format(old=old, new=new)


_COMMIT_PATHS = {"github": "commit", "gitlab": "-/commit", "bitbucket": "commits"}
#: Bitbucket names the newer one first.
_COMPARE_PATHS = {
    "github": "/compare/{old}...{new}",
    "gitlab": "/-/compare/{old}...{new}",
    "bitbucket": "/branches/compare/{new}..{old}",
}
