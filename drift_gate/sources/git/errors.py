"""What git says where a command failed: fit for a message, and the cause that it means. Pure."""

from __future__ import annotations

import re

from drift_gate.errors import Cause, SourceError

#: Characters of git's own words in a message.
MESSAGE_LIMIT = 300


def message_of(stderr: str) -> str:
    """What git said, fit for a message: up to its first fatal line, one line, bounded.

    The line before the fatal one stays, since ssh names its reason there. Control characters and
    whatever a URL carries for the login or as a query are taken out.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("warning:", "hint:"))]
    fatal = next((n for n, line in enumerate(lines) if line.startswith(("fatal:", "error:"))), len(lines) - 1)
    text = " ".join(lines[max(0, fatal - 1) : fatal + 1])
    text = re.sub(r"(?<!\w)(\w+://)[^/\s'\"]*@", r"\1", text)
    # Where there is no query the address is taken as it stands, so that nothing begins within it anew.
    text = re.sub(r"(?<!\w)(\w+://[^\s?'\"]*)(?:\?[^\s'\"]*)?", r"\1", text)
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + "…"


def unavailable(command: str, stderr: str) -> SourceError:
    """The error for a command over the local repository that failed."""
    return SourceError(f"`{command}` failed: {message_of(stderr)}", "history-unavailable")


#: How a remote's refusal reads (`LC_ALL=C`), most specific first. Hosts answer "not found" for what the
#: caller may not see, and git ends most refusals with a general "Could not read from remote repository".
_REFUSALS: tuple[tuple[Cause, bool, str], ...] = (
    ("target-not-found", False, r"couldn't find remote ref"),
    (
        "invalid-response",
        False,
        r"is this a git repository|invalid server response|redirects followed|byte in header"
        r"|bad line length",
    ),
    ("rate-limited", True, r"error: 429|too many requests|rate limit"),
    ("timeout", True, r"error: 408"),
    (
        "credentials",
        False,
        r"authentication failed|could not read (username|password)|permission denied \(|error: 40[13]"
        r"|host key verification failed|invalid (username|credentials)|terminal prompts disabled"
        r"|access denied",
    ),
    ("not-found", False, r"repository .*not found|does not appear to be a git repository|error: 404"),
    ("unavailable", False, r"certificate"),
    (
        "unavailable",
        True,
        r"could not resolve|failed to connect|couldn't connect|unable to connect"
        r"|connection (refused|reset|timed out|closed)|network is unreachable|no route to host"
        r"|temporary failure|operation timed out|error: 5\d\d"
        r"|hung up|(early|unexpected) eof|ssl_error_syscall|handshake|unexpected disconnect"
        r"|transfer closed|recv error|still expected",
    ),
)


def refused(command: str, stderr: str) -> SourceError:
    """The error for a command that asked a remote, by what git says of it."""
    for cause, retryable, pattern in _REFUSALS:
        if re.search(pattern, stderr, re.IGNORECASE):
            return SourceError(f"`{command}` failed: {message_of(stderr)}", cause, retryable)
    return unavailable(command, stderr)
