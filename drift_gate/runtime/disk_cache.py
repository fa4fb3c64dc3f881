"""What was computed once, in a file for the processes that come later: a help, never a source of truth.

Whatever is wrong with the file, nobody hears of it: what it does not give is computed. It is not waited for,
and it is not believed: each entry carries a checksum over its key and its value, and a file that others may
have written is not opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from drift_gate.runtime.sqlite_file import transaction

FILE_NAME = "cache.sqlite"
#: Bytes of the file at most.
MOST = 200_000_000
#: What is dropped at once where the file has grown to its bound: the oldest part of its entries.
_PART = 16
#: Seconds that any access waits for another process: computing anew takes little longer.
_WAIT_S = 0.005
#: Entries that are written together; those of a process that is ended before that are lost.
_TOGETHER = 64
#: Keys of one question; SQLite takes 999 where it is old.
_ASKED = 500
#: Bytes of one value: what takes more is not kept.
LONGEST = 8 << 20
#: Entries that wait to be written at most, where others write all the time.
_WAITING = 4_096
#: Steps of SQLite's machine for one question, in thousands: a damaged file must not lead it in circles.
_THOUSANDS = 2_000
#: Errors that say nothing against the file itself, and those of them that pass by themselves.
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NO_DAMAGE = _BUSY | {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
}

#: What a loss of power leaves behind is found out by the checksums.
_PRAGMAS = ("synchronous=OFF", "journal_mode=TRUNCATE", "trusted_schema=OFF", "cell_size_check=ON")

_TABLE = """\
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, sum BLOB NOT NULL, value BLOB NOT NULL
)"""

T = TypeVar("T")

_Row = tuple[bytes, bytes, bytes]


class DiskCache:
    """Values by kind and key, in ``folder``, for the code of that ``version``.

    ``folder`` is made where it is missing, for this user alone; a function tells it when the
    first key is looked up, and what that raises is raised there. ``version`` tells apart what other code has
    written, which is not found; None: nobody knows, and nothing is kept. ``most`` is the size of the file in
    bytes at which the oldest entries make room. No method raises for what is wrong with the file. Safe across
    threads and across processes.
    """

    def __init__(self, folder: Path | Callable[[], Path], version: bytes | None, *, most: int = MOST) -> None:
        self._folder = folder if callable(folder) else lambda: folder
        self._version = (version or b"")[: hashlib.blake2b.MAX_KEY_SIZE]
        self._most = most
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._usable = version is not None
        self._pending: dict[bytes, _Row] = {}
        self._waits = False
        self._steps = 0

    def __enter__(self) -> DiskCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, kind: str, keys: Collection[str]) -> dict[str, bytes]:
        """The values of those of ``keys`` that are kept whole."""
        with self._lock:
            wanted = {self._key(kind, key): key for key in keys} if self._usable else {}
            known = {key: row[2] for key, row in self._pending.items() if key in wanted}
            unknown = iter(wanted.keys() - known.keys())
            while self._usable and (some := list(islice(unknown, _ASKED))):
                known.update(_whole(self._used(partial(_read, keys=some)) or ()))
            return {wanted[key]: value for key, value in known.items() if key in wanted}

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep ``value``, which stands for ``key`` for ever; it is on disk after ``flush`` at the latest."""
        with self._lock:
            if not self._usable or len(value) > LONGEST or len(self._pending) >= _WAITING:
                return
            name = self._key(kind, key)
            self._pending[name] = (name, _checksum(name, value), value)
            if len(self._pending) >= _TOGETHER and not self._waits:
                self._write()

    def flush(self) -> bool:
        """Write what is not written yet; whether all that was put is in the file."""
        with self._lock:
            self._write()
            return self._usable and not self._pending

    def close(self) -> None:
        """Write what is not written yet, and have the file no more open."""
        with self._lock:
            self._write()
            self._pending.clear()
            self._stop()

    def _key(self, kind: str, key: str) -> bytes:
        text = f"{kind}\0{key}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._version, digest_size=16).digest()

    def _write(self) -> None:
        if not self._pending or not self._usable:
            return
        self._waits = True  # until this has gone well, nobody waits a second time before the end
        if self._used(self._write_all, writes=True):
            self._pending.clear()
            self._waits = False

    def _write_all(self, database: sqlite3.Connection) -> bool:
        with transaction(database):
            database.execute(_TABLE)
            self._make_room(database)
            database.executemany(
                "INSERT OR REPLACE INTO entry (key, sum, value) VALUES (?, ?, ?)", self._pending.values()
            )
        return True

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Drop the oldest entries where the file has nearly reached its bound."""
        [pages], [free], [size] = (
            database.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        held = (pages - free) * size
        coming = 2 * sum(len(value) for _, _, value in self._pending.values())
        if (beyond := held + coming - self._most + self._most // _PART) > 0:
            share = min(beyond / held + 1 / _PART, 1.0)
            database.execute(
                "DELETE FROM entry WHERE number <= "
                "(SELECT min(number) + (max(number) - min(number)) * ? FROM entry)",
                (share,),
            )

    def _used(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = False) -> T | None:
        """``work`` with the open file; None where something is wrong with that, which may end its use."""
        self._steps = 0
        try:
            self._database = self._database or self._open()
            return work(self._database)
        except (OSError, sqlite3.Error, MemoryError, OverflowError, UnicodeDecodeError) as error:
            # SQLite's sentence about a damaged schema quotes it, which is no text then.
            damaged = isinstance(error, UnicodeDecodeError)
            unnamed = sqlite3.SQLITE_CORRUPT if damaged else sqlite3.SQLITE_CANTOPEN
            code = (getattr(error, "sqlite_errorcode", None) or unnamed) & 0xFF
            if not (writes and code in _BUSY):
                self._stop()
                self._usable = False
            if damaged or (isinstance(error, sqlite3.Error) and code not in _NO_DAMAGE):
                self._remove()
            return None

    def _open(self) -> sqlite3.Connection:
        """Raises ``OSError`` where there can be none that is this user's alone."""
        file = _own_file(self._folder())
        database = sqlite3.connect(
            f"file:{quote(os.fsencode(file))}?mode=rw",
            uri=True,
            timeout=_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._set_up(database)
        except BaseException:
            database.close()
            raise
        return database

    def _set_up(self, database: sqlite3.Connection) -> None:
        database.text_factory = bytes
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * LONGEST)
        database.set_progress_handler(self._goes_on_too_long, 1000)
        for pragma in _PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        [[size]] = database.execute("PRAGMA page_size")
        database.execute(f"PRAGMA max_page_count={max(self._most // size, 1)}")

    def _goes_on_too_long(self) -> bool:
        self._steps += 1
        return self._steps > _THOUSANDS

    def _stop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()

    def _remove(self) -> None:
        """Away with a file that is damaged: the next process begins a new one."""
        for ending in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                (self._folder() / f"{FILE_NAME}{ending}").unlink()


def _read(database: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple[object, ...]]:
    if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return []  # nobody has written yet
    marks = ",".join("?" * len(keys))
    return database.execute(f"SELECT key, sum, value FROM entry WHERE key IN ({marks})", keys).fetchall()  # noqa: S608 - question marks alone


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=16).digest()


def _whole(rows: Sequence[tuple[object, ...]]) -> Iterator[tuple[bytes, bytes]]:
    """The entries that are as they were written."""
    for key, told, value in rows:
        if isinstance(key, bytes) and isinstance(value, bytes) and told == _checksum(key, value):
            yield key, value


def _own_file(folder: Path) -> Path:
    """The file, made where it is missing. Raises ``OSError`` where others may write to it."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_own(folder, stat.S_ISDIR)
    file = folder / FILE_NAME
    # Never opened and closed by ourselves where it exists: that would free the locks that SQLite holds.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    _require_own(file, stat.S_ISREG)
    return file


def _require_own(path: Path, is_kind: Callable[[int], bool]) -> None:
    found = path.lstat()
    if not is_kind(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{path} is not this user's alone")
