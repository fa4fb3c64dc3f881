"""Files that people name, opened only where they are files: a pipe or a device would never end.

Standard library only; whatever is wrong is an ``OSError`` whose ``strerror`` completes "cannot be read:".
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

#: Bytes of what a person writes by hand: settings.
WRITTEN = 1 << 20
#: Bytes of what programs write over years: a ledger, a slate.
GROWN = 1 << 30

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def opened(path: Path, limit: int) -> BinaryIO:
    """``path``, open for reading bytes; it waits for nobody who might write to a pipe.

    Raises ``OSError``, also where it is no regular file, or has more than ``limit`` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        require(path, limit)  # a socket cannot even be opened
        raise
    try:
        _require(os.fstat(handle), path, limit)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read(path: Path, limit: int = WRITTEN) -> bytes:
    """What is in ``path``. Raises as ``opened``."""
    with opened(path, limit) as file:
        return file.read(limit)


def require(path: Path, limit: int = GROWN) -> None:
    """Raise as ``opened`` does, for a file that a library opens by its name."""
    _require(path.stat(), path, limit)


def _require(found: os.stat_result, path: Path, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, and no regular file", str(path))
    if found.st_size > limit:
        raise OSError(errno.EFBIG, f"it has over {limit >> 20} MB", str(path))
