"""A cache on disk that somebody or something has damaged."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from drift_gate.runtime.disk_cache import FILE_NAME


def flipped(folder: Path, chance: random.Random) -> None:
    """Bits of some bytes are other ones, wherever."""
    content = bytearray((folder / FILE_NAME).read_bytes())
    for _ in range(chance.choice((1, 10, 1000)) if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (folder / FILE_NAME).write_bytes(content)


def truncated(folder: Path, chance: random.Random) -> None:
    """The end is gone."""
    content = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(content[: chance.randrange(len(content) + 1)])


def zeroed(folder: Path, chance: random.Random) -> None:
    """A page was never written, as after a loss of power."""
    content = bytearray((folder / FILE_NAME).read_bytes())
    start = 4096 * chance.randrange(max(len(content) // 4096, 1))
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    (folder / FILE_NAME).write_bytes(content)


def swapped(folder: Path, chance: random.Random) -> None:
    """Each entry has the value and the checksum of another one."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        rows = database.execute("SELECT number, sum, value FROM entry ORDER BY number").fetchall()
        others = rows[1:] + rows[:1]
        moved = [(sum_, value, number) for (number, _, _), (_, sum_, value) in zip(rows, others, strict=True)]
        database.executemany("UPDATE entry SET sum = ?, value = ? WHERE number = ?", moved)


def torn(folder: Path, chance: random.Random) -> None:
    """Each value lacks its end, and a key of a third of them is NULL's neighbour: a text."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("UPDATE entry SET value = substr(value, 1, length(value) / 2)")
        database.execute("UPDATE entry SET value = 'text', sum = 5 WHERE number % 3 = 0")


def no_database(folder: Path, chance: random.Random) -> None:
    """Something else lies there."""
    (folder / FILE_NAME).write_bytes(chance.randbytes(10_000))


def another_table(folder: Path, chance: random.Random) -> None:
    """It is a database, of somebody else's making."""
    (folder / FILE_NAME).unlink()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("CREATE TABLE entry (key TEXT, other TEXT)")


def a_folder(folder: Path, chance: random.Random) -> None:
    """It is no file at all."""
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()


def gone(folder: Path, chance: random.Random) -> None:
    """Somebody has removed it, folder and all."""
    shutil.rmtree(folder)


def no_text(folder: Path, _: random.Random) -> None:
    """The schema is no text, nor is what SQLite says of it."""
    content = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(content.replace(b"CREATE TABLE ", b"CREATE \xa0ABLE "))


Damage = Callable[[Path, random.Random], None]
DAMAGES: tuple[Damage, ...] = (
    flipped,
    truncated,
    zeroed,
    swapped,
    torn,
    no_database,
    another_table,
    a_folder,
    gone,
    no_text,
)
#: Those that do something else each time.
BY_CHANCE: tuple[Damage, ...] = (flipped, truncated, zeroed)
