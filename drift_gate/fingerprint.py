"""What a running program's own files hold: each hashed as git hashes it, all of them summed up in a digest.

This file is for the worker and stands alone (the standard library, Python 3.9 and later): an image may copy
it and nothing else of the gate. Nothing here stops a program from starting, and no content leaves it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import sys
import threading
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
#: Seconds after which no further file is read (500 take 0.02 s) at the start, which must not wait for a slow
#: disk, and when somebody asks for the files of now; these are read once in ``FRESH_S``.
TIME_LIMIT_S, FRESH_LIMIT_S, FRESH_S = 5.0, 1.0, 10.0
CHUNK = 1024 * 1024
_TOO_MUCH = "name in `covers` what the program consists of"


class _Unread(Exception):
    """A file that is there and has no id; the text says why."""


@dataclass(frozen=True)
class Fingerprint:
    """What a program says of itself.

    ``files`` maps each path, as the repository writes it, to the id that git gives the content. ``covers``
    are the files, and the folders (ending in ``/``; ``""`` is everything), that were looked through: a path
    in there that ``files`` does not list is not there, unless ``ignored`` (patterns) or ``unread`` (a path,
    or a folder ending in ``/``, and why) names it. ``error`` says why there is no
    fingerprint; then all these are empty and ``digest`` is None. ``commit`` and ``dirty`` are the build's
    own claim; ``service`` and ``revision`` are Cloud Run's names for the program, None elsewhere;
    ``started_at`` is in UTC. ``taken_at`` is when the files were looked at, ``changed`` which of them have
    become different, have come or gone since the start.
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
    taken_at: datetime | None = None
    changed: tuple[str, ...] = ()
    program: _Program | None = field(default=None, repr=False, compare=False)

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values, with those of the files that the program has ``loaded`` by now."""
        told = {name: _plain(value) for name, value in vars(self).items() if name != "program"}
        loaded = self.program.loaded(self.files) if self.program else []
        return {"schema_version": SCHEMA_VERSION, **told, "loaded": loaded}


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
    clock: Callable[[], float] = time.monotonic,
) -> Fingerprint:
    """The fingerprint of the files under the folder ``root``.

    ``covers`` are the files and folders below ``root`` to look through; one that is not there counts as
    looked through. ``prefix`` is where ``root`` lies in the repository (``""``: at its root), so that the
    paths are the repository's own. ``commit`` is what the build was stamped with, None for nothing; an end
    ``-dirty`` sets ``dirty``. ``algorithm`` is the repository's object format, ``sha1`` or ``sha256``.
    ``environ`` is ``os.environ``, for Cloud Run's names of service and revision; None: they stay unknown.
    ``now`` (None: the clock) is when. ``within`` bounds the look in seconds, from file to file; ``clock``
    counts the seconds until the next one.

    Left out are ``LITTER``, ``SECRETS`` and what ``ignore`` names in addition: a pattern without ``/`` fits
    the name of a file or folder, one with ``/`` a path of the repository, ``*`` any characters, upper and
    lower case alike. Secrets are left out by their names (``.env``, ``*.pem``, ``*.key``, a service account's
    JSON), since the hash of a short one can be guessed; one under another name belongs into ``ignore``. What
    is mounted below ``root`` (Cloud Run mounts secrets as files) is not read.

    A link is hashed as git does, by what it points to, and not followed. A file that cannot be read, changes
    meanwhile or is larger than 64 MiB is ``unread``. Never raises: what goes wrong is the ``error``.
    """
    moment, names = _utc(now), environ or {}
    stamped, changed = _claim(commit)
    claim = Fingerprint(
        moment,
        taken_at=moment,
        algorithm=algorithm,
        commit=stamped,
        dirty=changed or bool(dirty),
        service=names.get("K_SERVICE") or None,
        revision=names.get("K_REVISION") or None,
    )
    try:
        ignored = (*LITTER, *SECRETS, *_texts("ignore", ignore))
        places = [_inside(cover) for cover in _texts("covers", covers)]
        place = os.path.realpath(os.fspath(root)), _inside(prefix)
        program = _Program(place, lambda most: _Look(*place, ignored, algorithm, most).seen(places), clock)
        return replace(claim, ignored=ignored, program=program, **program.see(within))
    except Exception as error:  # whatever it is, the program has to start
        return replace(claim, error=f"no fingerprint was taken: {str(error) or type(error).__name__}")


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


def answer(fingerprint: Fingerprint, *, fresh: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body with which any framework answers ``GET /version``.

    ``fresh``, which ``?fresh=1`` asks for, looks at the files once more, at most once in ``FRESH_S``. A byte
    of a path that is no UTF-8 is a lone surrogate, escaped in JSON.
    """
    newest = fingerprint.program.again(fingerprint) if fresh and fingerprint.program else fingerprint
    body = json.dumps(newest.document()).encode("ascii")
    return 200, {"Content-Type": "application/json", "Cache-Control": "no-store"}, body


def router(fingerprint: Fingerprint, path: str = "/version") -> APIRouter:
    """A FastAPI router that answers at ``path``: ``app.include_router(router(fingerprint))``."""
    from fastapi import APIRouter, Request, Response

    def version(request: Request) -> Response:  # not async: reading files would hold up the others
        status, headers, body = answer(fingerprint, fresh=request.query_params.get("fresh") == "1")
        return Response(body, status, headers)

    routes = APIRouter()
    routes.add_route(path, version, methods=["GET"], include_in_schema=False)
    return routes


def blueprint(fingerprint: Fingerprint, path: str = "/version") -> Blueprint:
    """A Flask blueprint that answers at ``path``: ``app.register_blueprint(blueprint(fingerprint))``."""
    from flask import Blueprint, Response, request

    def version() -> Response:
        status, headers, body = answer(fingerprint, fresh=request.args.get("fresh") == "1")
        return Response(body, status, headers)

    routes = Blueprint("fingerprint", __name__)
    routes.add_url_rule(path, "version", version, methods=["GET"])
    return routes


class _Program:
    """The program that runs: its files, once more where that is due, and what it has loaded of them."""

    def __init__(
        self, place: tuple[str, str], see: Callable[[float], dict[str, Any]], clock: Callable[[], float]
    ) -> None:
        self.see, self._place = see, place
        self._clock, self._due, self._lock = clock, clock() + FRESH_S, threading.Lock()
        self._newest: Fingerprint | None = None

    def again(self, first: Fingerprint) -> Fingerprint:
        """``first``, taken at the start, with the files of now, where they can be read."""
        with self._lock:
            if self._clock() >= self._due:
                self._due = self._clock() + FRESH_S
                with contextlib.suppress(Exception):  # an answer that is older is one, and says so
                    now, seen = _utc(), self.see(FRESH_LIMIT_S)
                    changed = sorted({path for path, _ in first.files.items() ^ seen["files"].items()})
                    self._newest = replace(first, taken_at=now, changed=tuple(changed), **seen)
            return self._newest or first

    def loaded(self, files: Iterable[str]) -> list[str]:
        """Those of ``files`` that modules of this process came from."""
        (root, prefix), found = self._place, set()
        for module in list(sys.modules.values()):
            with contextlib.suppress(Exception):  # anything may stand there
                # Asked for in the usual way, a module that loads late would load.
                file = object.__getattribute__(module, "__dict__")["__file__"]
                inner = _utf8(os.path.relpath(os.path.realpath(file), root))
                found.add("/".join(filter(None, (prefix, inner))))
        return sorted(found & set(files))


class _Look:
    """One look at the files under ``root``: what it found so far."""

    def __init__(self, root: str, prefix: str, ignored: Iterable[str], algorithm: str, within: float) -> None:
        if algorithm not in ("sha1", "sha256"):
            raise ValueError(f"git has no object format {algorithm!r}")
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise NotADirectoryError(f"{root} is no folder")
        self.covers, self.files, self.unread = set[str](), dict[str, str](), dict[str, str]()
        self._root, self._prefix, self._algorithm = root, prefix, algorithm
        self._left_out, self._mounted = matcher(ignored), _mounts(root)
        self._within, self._ends = within, time.monotonic() + within

    def seen(self, covers: Iterable[str]) -> dict[str, Any]:
        """What a fingerprint says of ``covers``. Raises ``ValueError`` where nobody would read that much."""
        for inner in covers:
            self._cover(inner)
        # Once more the paths: all may be loaded.
        if len(json.dumps([self.files, self.unread, [*self.files]])) > FILES_TEXT_AT_MOST:
            raise ValueError(f"the list of files takes more than {FILES_TEXT_AT_MOST:,} bytes: {_TOO_MUCH}")
        files, covered = dict(sorted(self.files.items())), tuple(sorted(self.covers))
        return {"files": files, "covers": covered, "unread": self.unread, "digest": digest(files)}

    def _cover(self, inner: str) -> None:
        """Looks through the file or folder ``inner``, a path below the root."""
        full = os.path.join(self._root, inner) if inner else self._root
        path = "/".join(filter(None, (self._prefix, _utf8(inner))))
        try:
            folder = stat.S_ISDIR(os.lstat(full).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            self.covers |= {path, path + "/"}  # neither a file nor a folder of that name
            return
        self.covers.add(f"{path}/" if folder and path else path)
        if any(self._left_out(path[:end]) for end in ends_of(path)):
            return
        if folder:
            self._folder(full, path)
        else:
            self._entry(full, path)

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


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
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


def ends_of(path: str) -> list[int]:
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


def _utc(moment: datetime | None = None) -> datetime:
    return (moment or datetime.now()).astimezone(timezone.utc)  # noqa: UP017 - UTC came with Python 3.11


def _plain(value: Any) -> Any:
    """``value`` as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
