"""Which modules and files a name can mean that is put together while the program runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drift_gate.relevance.python.spelling import MODULE, PACKAGE, UNKNOWN


def known_ends(pattern: str, module: str, package: str) -> tuple[str, str]:
    """What is known of a module's name at its beginning and at its end; twice nothing: it can be any.

    ``module`` and ``package`` are the names of the importing file.
    """
    prefix = _absolute(pattern.partition(UNKNOWN)[0], module, package).lstrip(".")
    return prefix, pattern.rpartition(UNKNOWN)[2]


def candidates(literal: str, pattern: str, module: str, package: str) -> Iterator[str]:
    """The module names that ``literal`` can mean where ``pattern`` is imported; ``""`` asks for any name."""
    prefix, _, rest = pattern.partition(UNKNOWN)
    name = literal.lstrip(".")
    prefix = _absolute(prefix, module, package)
    full = (name, name.rpartition(".")[0]) if name.startswith(prefix) else ()
    relative = (f"{package}.{name}",) if not prefix and package else ()
    for candidate in (*full, f"{prefix}{name}{rest.replace(UNKNOWN, '')}", f"{prefix}{name}", *relative):
        if candidate.strip(".") and ".." not in candidate:
            yield candidate.strip(".")


def _absolute(prefix: str, module: str, package: str) -> str:
    """The beginning of a name, as it reads in that module."""
    if prefix.startswith("."):
        parts = package.split(".") if package else []
        name = prefix.lstrip(".")
        dots = len(prefix) - len(name)
        above = parts[: len(parts) - dots + 1] if dots <= len(parts) else []
        prefix = ".".join((".".join(above), name))
    return prefix.replace(MODULE, module).replace(PACKAGE, package)


def fits(path: str, pattern: str) -> bool:
    """Whether an image path ends as ``pattern`` says, or lies in a folder that does and is its main file.

    Each unknown part stands for anything, slashes included.
    """
    wanted = pattern if pattern.startswith(UNKNOWN) else f"{UNKNOWN}/{pattern.lstrip('./')}"
    return _is_like(path, wanted) or _is_like(path, f"{wanted.rstrip('/')}/__main__.py")


def _is_like(path: str, pattern: str) -> bool:
    first, *others = pattern.split(UNKNOWN)
    if not path.startswith(first):
        return False
    at = len(first)
    for part in others[:-1]:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return path.endswith(others[-1]) and len(path) - len(others[-1]) >= at


def says_something(pattern: str) -> bool:
    """Whether a path's pattern tells some files from others: its ending alone does not."""
    return re.search(r"\w", pattern.removesuffix(".py")) is not None
