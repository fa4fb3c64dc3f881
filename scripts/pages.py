"""Writes the tables of docs/access.md and docs/http.md, and the list of docs/decisions/README.md.

    python scripts/pages.py

A test holds that the committed files are what this writes, and that the server answers each cell so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from predictions.coordinator import variables  # noqa: E402 (needs the path above)
from predictions.coordinator.exceptions import (  # noqa: E402
    DriftUnknownError,
    ReadinessUnknownError,
    UnauthenticatedError,
)
from predictions.coordinator.http import access  # noqa: E402 (needs the path above)
from predictions.coordinator.http.access import Access, Caller, Permission  # noqa: E402
from predictions.coordinator.http.problems import KINDS  # noqa: E402

ACCESS, HTTP = ROOT / "docs" / "access.md", ROOT / "docs" / "http.md"
DECISIONS = ROOT / "docs" / "decisions" / "README.md"

AUDIENCE = "https://coordinator.example.com"
KEY, BYPASS_KEY = "the-key-of-the-scheduler", "the-key-for-emergencies"
NIGHTLY, ON_CALL, PUSH, STRANGER = (
    f"{name}@example.com" for name in ("nightly", "on-call", "push", "stranger")
)
_LISTS = {
    variables.CALLERS: NIGHTLY,
    variables.BYPASS_CALLERS: ON_CALL,
    variables.PUSH_CALLERS: PUSH,
}
#: The settings of each kind of server that the table shows.
SERVERS: Mapping[str, Mapping[str, str]] = {
    "`platform`": {variables.MODE: "platform"},
    "`platform`, lists set": {variables.MODE: "platform", **_LISTS},
    "`id-token`": {variables.MODE: "id-token", variables.AUDIENCE: AUDIENCE, **_LISTS},
    "`api-key`": {
        variables.MODE: "api-key",
        variables.API_KEY: KEY,
        variables.BYPASS_KEY: BYPASS_KEY,
        variables.AUDIENCE: AUDIENCE,
        variables.PUSH_CALLERS: PUSH,
    },
    "none, on a loopback address": {},
}
#: What each column needs.
COLUMNS: Mapping[str, Permission] = {
    "look": "read",
    "start": "start",
    "start past a check": "bypass",
    "cancel": "start",
    "complete": "complete",
}


class Who(NamedTuple):
    """Somebody who calls: what the table says of them, and the caller that they are."""

    words: str
    email: str | None = None
    key: str | None = None

    def caller(self, settings: Access) -> Caller:
        """The caller, or ``UnauthenticatedError``."""
        if self.key is not None:
            return access.by_key(settings, self.key)
        if self.email is not None:
            return access.by_email(settings, self.email)
        return access.unnamed(settings)


_LISTED = (
    Who("in `COORDINATOR_CALLERS`", NIGHTLY),
    Who("in `COORDINATOR_BYPASS_CALLERS`", ON_CALL),
    Who("in `COORDINATOR_PUSH_CALLERS`", PUSH),
    Who("any other address", STRANGER),
    Who("nobody, or a token that does not hold"),
)
#: Who calls each kind of server.
CALLERS: Mapping[str, tuple[Who, ...]] = {
    "`platform`": (Who("whom IAM lets through", STRANGER), Who("… without an address in the token")),
    "`platform`, lists set": _LISTED,
    "`id-token`": _LISTED,
    "`api-key`": (
        Who("`COORDINATOR_API_KEY`", key=KEY),
        Who("`COORDINATOR_BYPASS_KEY`", key=BYPASS_KEY),
        Who("a wrong key", key="no-key-of-this-server"),
        Who("an ID token, in `COORDINATOR_PUSH_CALLERS`", PUSH),
        Who("an ID token of any other address", STRANGER),
        Who("nobody"),
    ),
    "none, on a loopback address": (Who("anybody on this machine"),),
}


def host(server: str) -> str:
    """The address that a server of this kind listens on."""
    return "0.0.0.0" if SERVERS[server] else "127.0.0.1"  # noqa: S104 (read, not bound)


def answers(server: str, who: Who) -> list[str]:
    """``yes`` or the status of the refusal, for each column."""
    try:
        caller = who.caller(access.read(SERVERS[server], host(server)))
    except UnauthenticatedError:
        return ["401"] * len(COLUMNS)
    return ["yes" if permission in caller.may else "403" for permission in COLUMNS.values()]


#: Errors that heal or not by their cause.
_SOMETIMES = (DriftUnknownError, ReadinessUnknownError)


def problems() -> Iterator[str]:
    """The lines of the table of problems."""
    yield "| status | type ends with | what it says | `Retry-After` |"
    yield "|---|---|---|---|"
    told = {(kind.status, kind.name): (error, kind) for error, kind in KINDS.items()}
    for (status, name), (error, kind) in sorted(told.items()):
        retry = "where it may heal" if error in _SOMETIMES else "yes" if kind.heals else ""
        yield f"| {status} | `{name}` | {kind.title} | {retry} |"


def who() -> Iterator[str]:
    """The lines of the table of who may what."""
    yield f"| `COORDINATOR_ACCESS` | who | {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * (2 + len(COLUMNS))
    for server, callers in CALLERS.items():
        for caller in callers:
            yield f"| {server} | {caller.words} | {' | '.join(answers(server, caller))} |"


def decisions() -> Iterator[str]:
    """The decisions in the order of their numbers, by their own headings."""
    for file in sorted(DECISIONS.parent.glob("0*.md")):
        heading, _, _ = file.read_text(encoding="utf-8").partition("\n")
        yield f"{int(file.name[:4])}. [{heading.lstrip('# 0123456789.:')}]({file.name})"


#: The table of each page, by the name between its marks.
PAGES = {ACCESS: ("who", who), HTTP: ("problems", problems), DECISIONS: ("decisions", decisions)}


def page(file: Path) -> str:
    """The text of ``file`` with its table as the code decides it now."""
    name, lines = PAGES[file]
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    before, _, rest = file.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + "".join(f"{line}\n" for line in lines()) + end + after


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(page(each), encoding="utf-8")
