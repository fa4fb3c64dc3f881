"""What a running program's own files hold: each hashed as git hashes it, all of them summed up in a digest.

This file is for the worker and stands alone (the standard library, Python 3.9 and later): an image may copy
it and nothing else of the gate. Nothing here stops a program from starting, and no content leaves it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import translate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import APIRouter
    from flask import Blueprint

SCHEMA_VERSION = 1
#: What builds and tools leave beside the code; no repository holds it.
LITTER = (
    *(".git", "__pycache__", "*.pyc", "*.pyo", "*.egg-info", ".venv", "node_modules", ".DS_Store"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache"),
)
#: Names that files with secrets go by. A password of a few characters can be guessed from its hash.
SECRETS = (
    *(".env", ".env.*", "*.env", "*.tfvars", ".netrc", ".pgpass", ".npmrc", ".pypirc", ".htpasswd"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "id_rsa*", "id_dsa*", "id_ecdsa*"),
    *("id_ed25519*", "secret.*", "secrets.json", "secrets.toml", "secrets.ini", "secrets.y*ml", "*key.json"),
    *("*credentials*.json", "*service-account*.json", "*service_account*.json", "*client_secret*.json"),
    *(".git-credentials", ".dockercfg"),
)
#: Above this a file is no source file, and a start should not wait for it (sha1 takes about 0.1 s for it).
LARGEST_FILE = 64 * 1024 * 1024
#: The gate reads no more files than this, and 2 MB of an answer; the list of files is all but a little of it.
FILES_AT_MOST, FILES_TEXT_AT_MOST = 20_000, 1_900_000
#: Seconds after which no further file is read: 500 take 0.02 s, and a slow disk must not hold up a start.
TIME_LIMIT_S = 5.0
CHUNK = 1024 * 1024


class _Unread(Exception):
    """A file that is there and has no id; the text says why."""


@dataclass(frozen=True)
class Fingerprint:
    """What a program says of itself.

    ``files`` maps each path, as the repository writes it, to the id that git gives the content. ``covers``
    are the files, and the folders (ending in ``/``; ``""`` is everything), that were looked through: a path
    in there that ``files`` does not list is not there, unless ``ignored`` (patterns) or ``unread`` (a path,
    or a folder ending in ``/``, and why) names it: ``in_view`` decides that. ``error`` says why there is no
    fingerprint; then all these are empty and ``digest`` is None. ``commit`` and ``dirty`` are the build's
    own claim; ``service`` and ``revision`` are Cloud Run's names for the program, None elsewhere;
    ``started_at`` is in UTC.
    """

    started_at: datetime
    files: Mapping[str, str] = field(default_factory=dict)
    covers: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    algorithm: str = "sha1"
    digest: str | None = None
    commit: str | None = None
    dirty: bool = False
    service: str | None = None
    revision: str | None = None
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "service": self.service,
            "revision": self.revision,
            "commit": self.commit,
            "dirty": self.dirty,
            "started_at": self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "algorithm": self.algorithm,
            "digest": self.digest,
            "covers": list(self.covers),
            "ignored": list(self.ignored),
            "unread": dict(self.unread),
            "files": dict(self.files),
            "error": self.error,
        }


def take(
    root: str | os.PathLike[str],
    *,
    covers: Iterable[str] = (".",),
    prefix: str = "",
    commit: str | None = None,
    dirty: bool | None = None,
    ignore: Iterable[str] = (),
    algorithm: str = "sha1",
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
    within: float = TIME_LIMIT_S,
) -> Fingerprint:
    """The fingerprint of the files under the folder ``root``.

    ``covers`` are the files and folders below ``root`` to look through; one that is not there counts as
    looked through. ``prefix`` is where ``root`` lies in the repository (``""``: at its root), so that the
    paths are the repository's own. ``commit`` is what the build was stamped with, None for nothing; an end
    ``-dirty`` sets ``dirty``. ``algorithm`` is the repository's object format, ``sha1`` or ``sha256``.
    ``environ`` is ``os.environ``, for Cloud Run's names of service and revision; None: they stay unknown.
    ``now`` (None: the clock) is when. ``within`` bounds the look in seconds, from file to file.

    Left out are ``LITTER``, ``SECRETS`` and what ``ignore`` names in addition: a pattern without ``/`` fits
    the name of a file or folder, one with ``/`` a path of the repository, ``*`` any characters, upper and
    lower case alike. Secrets are left out by their names (``.env``, ``*.pem``, ``*.key``, a service account's
    JSON), since the hash of a short one can be guessed; one under another name belongs into ``ignore``. What
    is mounted below ``root`` (Cloud Run mounts secrets as files) is not read.

    A link is hashed as git does, by what it points to, and not followed. A file that cannot be read, changes
    meanwhile or is larger than 64 MiB is ``unread``. Never raises: what goes wrong is the ``error``.
    """
    moment = (now or datetime.now()).astimezone(timezone.utc)  # noqa: UP017 - UTC came with Python 3.11
    names = environ or {}
    stamped, changed = _claim(commit)
    claim = Fingerprint(
        moment,
        algorithm=algorithm,
        commit=stamped,
        dirty=changed or bool(dirty),
        service=names.get("K_SERVICE") or None,
        revision=names.get("K_REVISION") or None,
    )
    try:
        ignored = (*LITTER, *SECRETS, *_texts("ignore", ignore))
        look = _Look(os.path.realpath(os.fspath(root)), _inside(prefix), ignored, algorithm, within)
        for cover in _texts("covers", covers):
            look.cover(_inside(cover))
        files = look.sorted_files()
        whole = digest(files)
    except Exception as error:  # whatever it is, the program has to start
        return replace(claim, error=f"no fingerprint was taken: {str(error) or type(error).__name__}")
    covered = tuple(sorted(look.covers))
    return replace(claim, files=files, covers=covered, ignored=ignored, unread=look.unread, digest=whole)


def digest(files: Mapping[str, str]) -> str:
    """All of ``files`` in one value: ``sha256:`` and the SHA-256 of ``ID SPACE PATH NUL`` for each path.

    Paths are UTF-8 and in the order of their bytes, which is git's own. So git gives the same for a tree of
    which nothing is left out, and whose names need no quotes: ``git -c core.quotePath=false ls-tree -r -z
    --format='%(objectname) %(path)' COMMIT | sha256sum``.
    """
    lines = sorted((path.encode("utf-8", "surrogateescape"), blob) for path, blob in files.items())
    whole = hashlib.sha256()
    for path, blob in lines:
        whole.update(blob.encode("ascii") + b" " + path + b"\0")
    return f"sha256:{whole.hexdigest()}"


def in_view(covers: Iterable[str], ignored: Iterable[str], unread: Iterable[str]) -> Callable[[str], bool]:
    """Whether a fingerprint with these fields speaks of a path: not listing it then says it is not there."""
    looked, blind, left_out = set(covers), set(unread), _matcher(ignored)

    def speaks(path: str) -> bool:
        ends = _ends(path)
        around = {"", path, *(path[: end + 1] for end in ends)}
        return bool(around & looked) and not around & blind and not any(left_out(path[:end]) for end in ends)

    return speaks


def answer(fingerprint: Fingerprint) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body with which any framework answers ``GET /version``.

    A byte of a path that is no UTF-8 is a lone surrogate, escaped in JSON.
    """
    body = json.dumps(fingerprint.document()).encode("ascii")
    return 200, {"Content-Type": "application/json", "Cache-Control": "no-store"}, body


def router(fingerprint: Fingerprint, path: str = "/version") -> APIRouter:
    """A FastAPI router that answers at ``path``: ``app.include_router(router(fingerprint))``."""
    from fastapi import APIRouter, Request, Response

    status, headers, body = answer(fingerprint)

    async def version(_: Request) -> Response:
        return Response(body, status, headers)

    routes = APIRouter()
    routes.add_route(path, version, methods=["GET"], include_in_schema=False)
    return routes


def blueprint(fingerprint: Fingerprint, path: str = "/version") -> Blueprint:
    """A Flask blueprint that answers at ``path``: ``app.register_blueprint(blueprint(fingerprint))``."""
    from flask import Blueprint, Response

    status, headers, body = answer(fingerprint)
    routes = Blueprint("fingerprint", __name__)
    routes.add_url_rule(path, "version", lambda: Response(body, status, headers), methods=["GET"])
    return routes


class _Look:
    """One look at the files under ``root``: what it found so far."""

    def __init__(self, root: str, prefix: str, ignored: Iterable[str], algorithm: str, within: float) -> None:
        if algorithm not in ("sha1", "sha256"):
            raise ValueError(f"git has no object format {algorithm!r}")
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise NotADirectoryError(f"{root} is no folder")
        self.covers: set[str] = set()
        self.files: dict[str, str] = {}
        self.unread: dict[str, str] = {}
        self._root, self._prefix, self._algorithm = root, prefix, algorithm
        self._left_out, self._mounted = _matcher(ignored), _mounts(root)
        self._within, self._ends = within, time.monotonic() + within

    def cover(self, inner: str) -> None:
        """Looks through the file or folder ``inner``, a path below the root."""
        full = os.path.join(self._root, inner) if inner else self._root
        path = "/".join(filter(None, (self._prefix, _utf8(inner))))
        try:
            folder = stat.S_ISDIR(os.lstat(full).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            self.covers |= {path, path + "/"}  # neither a file nor a folder of that name
            return
        self.covers.add(f"{path}/" if folder and path else path)
        if any(self._left_out(path[:end]) for end in _ends(path)):
            return
        if folder:
            self._folder(full, path)
        else:
            self._entry(full, path)

    def sorted_files(self) -> dict[str, str]:
        """The files by path. Raises ``ValueError`` where nobody would read that many."""
        if len(json.dumps([self.files, self.unread])) > FILES_TEXT_AT_MOST:
            raise ValueError(f"the list of files takes more than {FILES_TEXT_AT_MOST:,} bytes: {_TOO_MUCH}")
        return dict(sorted(self.files.items()))

    def _folder(self, full: str, path: str) -> None:
        waiting = [(full, path)]  # no recursion: a tree may be deeper than Python's stack
        while waiting:
            full, path = waiting.pop()
            try:
                with os.scandir(full) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self.unread[path + "/"] = _why(error)
                continue
            for entry in entries:
                inner = f"{path}/{_utf8(entry.name)}" if path else _utf8(entry.name)
                if self._left_out(inner):
                    continue
                if entry.path in self._mounted:
                    self.unread[inner], self.unread[inner + "/"] = "mounted", "mounted"
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, inner))
                else:
                    self._entry(entry.path, inner)

    def _entry(self, full: str, path: str) -> None:
        if time.monotonic() > self._ends:
            raise TimeoutError(f"the files were not read within {self._within:g} s")
        if len(self.files) + len(self.unread) >= FILES_AT_MOST:
            raise ValueError(f"there are more than {FILES_AT_MOST:,} files: {_TOO_MUCH}")
        try:
            mode = os.lstat(full).st_mode
            if stat.S_ISLNK(mode):
                self.files[path] = _blob(os.readlink(os.fsencode(full)), self._algorithm)
            elif stat.S_ISREG(mode):  # git holds no pipes and no devices
                self.files[path] = _blob_of(full, self._algorithm)
        except (OSError, _Unread) as error:
            self.unread[path] = _why(error)


_TOO_MUCH = "name in `covers` what the program consists of"


def _blob(content: bytes, algorithm: str) -> str:
    """The id that git gives ``content``."""
    whole = hashlib.new(algorithm, b"blob %d\0" % len(content), usedforsecurity=False)
    whole.update(content)
    return whole.hexdigest()


def _blob_of(full: str, algorithm: str) -> str:
    """The id that git gives a file's content; its length comes first, so that it must not change."""
    # Neither a link nor a pipe that took the file's place since it was looked at.
    handle = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:
        size = os.fstat(handle).st_size
        if size > LARGEST_FILE:
            raise _Unread(f"larger than {LARGEST_FILE:,} bytes")
        whole, read = hashlib.new(algorithm, b"blob %d\0" % size, usedforsecurity=False), 0
        while read <= size and (chunk := file.read(CHUNK)):
            whole.update(chunk)
            read += len(chunk)
    if read != size:
        raise _Unread("changed while it was read")
    return whole.hexdigest()


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path is left out by its last name or as a whole; its folders are not looked at."""
    names: list[str] = []
    paths: list[str] = []
    for pattern in patterns:
        bare = pattern.strip("/")
        (paths if "/" in bare else names).append(translate(bare))
    by_name, by_path = (re.compile("|".join(each) or "(?!)", re.IGNORECASE) for each in (names, paths))
    return lambda path: bool(by_name.match(path.rpartition("/")[2]) or by_path.match(path))


def _mounts(root: str) -> frozenset[str]:
    """What is mounted below ``root``; nothing where the system does not say (Linux does)."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            points = [line.split(b" ")[4] for line in table]
    except (OSError, IndexError):
        return frozenset()
    plain = (re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), point) for point in points)
    below = root.rstrip("/") + "/"
    return frozenset(point for point in map(os.fsdecode, plain) if point.startswith(below))


def _inside(path: str) -> str:
    """``path`` in its shortest form, ``""`` for the folder itself. Raises ``ValueError`` if it leads out."""
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if path.startswith("/") or ".." in steps:
        raise ValueError(f"{path!r} is no path below the root")
    return "/".join(steps)


def _ends(path: str) -> list[int]:
    """Where each folder's name in ``path`` ends, and the path itself."""
    return [*(slash.start() for slash in re.finditer("/", path)), len(path)]


def _texts(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise ValueError(f"`{name}` is a list of texts, not the text {values!r}")
    return [str(value) for value in values]


def _claim(commit: str | None) -> tuple[str | None, bool]:
    """The commit without its mark of a changed work tree, and whether it had one."""
    text = str(commit or "").strip()[:200]
    bare = re.sub("[-_.+]dirty$", "", text)
    return bare or None, bare != text


def _utf8(name: str) -> str:
    """``name`` as git writes it, whatever this process takes names for: UTF-8, other bytes as surrogates."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
