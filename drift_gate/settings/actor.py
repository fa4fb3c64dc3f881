"""Who runs this process, as its environment tells it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple

#: Where more about who runs a process is kept: with the platform, or in git's configuration.
Better = Literal["service-account", "git"]

#: Who asked for a run, as each platform tells; what stands first is nearest to a person.
_PEOPLE = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILDKITE_BUILD_CREATOR_EMAIL",
    "BUILDKITE_BUILD_CREATOR",
)
_WORKLOADS = ("CLOUD_RUN_JOB", "K_SERVICE")
_AUTHOR = "GIT_AUTHOR_EMAIL"
_ACCOUNTS = ("USER", "LOGNAME")


class Identity(NamedTuple):
    """``name``: who runs the process. ``better``: who knows it more exactly; None: nobody does."""

    name: str
    better: Better | None


def identity(environ: Mapping[str, str]) -> Identity:
    """Who runs this process: what the platform or the environment tells, else the password database.

    Asks nobody over a network and starts nothing: a bypass waits for it. ``unknown`` where none tells.
    """
    if person := _first(_PEOPLE, environ):
        return Identity(person, None)
    if workload := _first(_WORKLOADS, environ):
        return Identity(workload, "service-account")
    if author := environ.get(_AUTHOR):
        return Identity(author, None)
    return Identity(_first(_ACCOUNTS, environ) or _user() or "unknown", "git")


def actor(environ: Mapping[str, str]) -> str:
    """The name alone."""
    return identity(environ).name


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _user() -> str | None:
    """The name of the user that the process runs as; None: it has none, as in many a container."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name or None
    except (ImportError, KeyError, OSError):
        return None
