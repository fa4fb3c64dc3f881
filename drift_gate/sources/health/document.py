"""What a worker's answer about itself may be, checked before anything of it is kept. Pure.

The answer is a fingerprint (``fingerprint.py``), by itself or under the key ``fingerprint`` of another
answer, or plain health with the commit in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drift_gate.facts import Content, Evidence
from drift_gate.fingerprint import FILES_AT_MOST, SCHEMA_VERSION, digest
from drift_gate.sources.one_line import one_line

#: Keys under which health answers name their commit, the first that holds one counts.
COMMIT_KEYS = ("commit", "commit_sha", "git_sha", "version")
#: A path of git's may be longer on few systems only; a pattern or a folder is written by hand.
PATH_LIMIT, LISTED_AT_MOST = 4096, 1000

_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}([-_.+]dirty)?")
_NAME = re.compile(r"[a-z0-9-]{1,100}")
_IDS = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What one instance says: of which revision it is (None: it does not say), its files, its commit.

    ``content`` is None where it offers no fingerprint; ``problem`` then says why, where it does.
    """

    revision: str | None
    content: Content | None = None
    commit: Evidence | None = None
    problem: str | None = None


def read(answer: Any) -> Reply:
    """``answer``, which is JSON from a stranger. Raises ``ValueError`` in words for a person.

    A fingerprint that is wrong in one place is wrong as a whole: what it does not list would pass for
    absent.
    """
    said = _mapping(answer, "the answer")
    inner = said.get("fingerprint", said)
    if isinstance(inner, dict) and "schema_version" in inner and "digest" in inner:
        return _fingerprint(inner)
    return Reply(revision=_revision(said), commit=_claimed(said))


def _fingerprint(said: Mapping[str, Any]) -> Reply:
    if said["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"the fingerprint is of schema {one_line(str(said['schema_version']), 20)}, "
            f"and this gate reads {SCHEMA_VERSION}"
        )
    if said.get("error") is not None:
        return Reply(_revision(said), None, _claimed(said), one_line(str(said["error"])))
    return Reply(_revision(said), _content(said), _claimed({**said, "dirty": False}))  # the content tells


def _content(said: Mapping[str, Any]) -> Content:
    files = _files(said.get("files"))
    summed = said["digest"]
    if not isinstance(summed, str) or not _DIGEST.fullmatch(summed) or summed != digest(files):
        raise ValueError("the digest is not that of the files")
    commit = said.get("commit")
    return Content(
        files=files,
        covers=tuple(_place(each) for each in _listed(said.get("covers"), "covers")),
        digest=summed,
        commit=commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None,
        dirty=_flag(said.get("dirty", False)),
        started_at=_moment(said.get("started_at")),
        ignored=tuple(_pattern(each) for each in _listed(said.get("ignored", []), "ignored")),
        changed=_paths(said.get("changed", []), "changed"),
        loaded=_paths(said.get("loaded", []), "loaded"),
        unread=frozenset(_place(each) for each in _few(_mapping(said.get("unread", {}), "unread"))),
    )


def _files(value: Any) -> dict[str, str]:
    files = _mapping(value, "files")
    lengths = {len(blob) for blob in files.values() if isinstance(blob, str) and _IDS.fullmatch(blob)}
    if len(lengths) > 1 or not all(isinstance(blob, str) and _IDS.fullmatch(blob) for blob in files.values()):
        raise ValueError("an id in `files` is none of git's, or they are of two kinds")
    return {_path(path): blob for path, blob in _few(files).items()}


def _paths(value: Any, name: str) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > 2 * FILES_AT_MOST:
        raise ValueError(f"`{name}` is no list, or a very long one")
    return frozenset(_path(_text(each, name)) for each in value)


def _few(values: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(values) > FILES_AT_MOST:
        raise ValueError(f"it lists more than {FILES_AT_MOST:,} files")
    return values


def _path(path: str) -> str:
    """A path as git writes it: no start at the root, no way up, no name that steers a terminal."""
    steps = path.split("/")
    if _CONTROL.search(path) or len(path) > PATH_LIMIT or {"", ".", ".."} & set(steps):
        raise ValueError(f"{one_line(path, 60)!r} is no path of a repository")
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError("a path is no text") from error
    return path


def _place(place: Any) -> str:
    """A path, or a folder ending in ``/``; ``""`` is everything."""
    text = _text(place, "covers")
    return text if text == "" else _path(text.removesuffix("/")) + "/" * text.endswith("/")


def _pattern(pattern: Any) -> str:
    text = _text(pattern, "ignored")
    if not text or len(text) > 200:
        raise ValueError("a pattern in `ignored` is empty or too long")
    return text


def _listed(value: Any, name: str) -> Iterable[Any]:
    if not isinstance(value, list) or len(value) > LISTED_AT_MOST:
        raise ValueError(f"`{name}` is no list, or a very long one")
    return value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no JSON object")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or _CONTROL.search(value) or len(value) > PATH_LIMIT:
        raise ValueError(f"`{name}` holds what is no plain text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("`dirty` is neither true nor false")
    return value


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(_text(value, "started_at"))
    if moment.tzinfo is None:
        raise ValueError("`started_at` has no time zone")
    return moment


def _revision(said: Mapping[str, Any]) -> str | None:
    """The name of a revision of Cloud Run's; anything else names none."""
    name = said.get("revision")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _claimed(said: Mapping[str, Any]) -> Evidence | None:
    """The commit that the answer names; what is no commit id (``unknown``, ``1.2.3``) names nothing."""
    for key in COMMIT_KEYS:
        value = said.get(key)
        if isinstance(value, str) and _COMMIT.fullmatch(value):
            dirty = "-dirty" if said.get("dirty") is True and "dirty" not in value else ""
            return Evidence(carrier="health", key=key, value=value + dirty)
    return None
