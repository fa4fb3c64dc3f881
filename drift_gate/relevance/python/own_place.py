"""What a ``.py`` file says of folders without a literal: where it lies, its packages, all that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: The variable that tells a module where it lies.
OWN_PLACE = "__file__"
#: What a text says that may name anything: it cannot be read, or goes through folders from an open start.
ANYTHING = "\0"

#: Readers of what lies in packages. They take a package as a text, as an object, or as the module's own.
_RESOURCES = re.compile(
    rb"importlib\.resources|importlib_resources|importlib import resources|pkg_resources|\bget_data\b"
)
_OWN = re.compile(rb"__(?:file|package|spec|path|loader)__")
_NAMES = re.compile(rb"[\w.\x80-\xff]+")
_LONGEST = 255
#: A call that goes through a folder and all below it.
_RECURSIVE = re.compile(rb"(?<!ast\.)(?<!def )\bf?walk\(|\brglob\(|[\"'/]\*\*[\"'/]")
#: The folder that the program is started in.
_STARTED_IN = re.compile(rb"[\"']\./?[\"']|\b(?:getcwd|cwd|Path)\(\)")
#: A pattern without a name, held against the folder that the program is started in.
_ALL = re.compile(rb"(?:\bglob\.i?|(?<![.\w])i?)glob\(\s*[\"'][*?./]*\*[*?./]*[\"']")


def places_of(source: bytes) -> Iterator[str]:
    """``OWN_PLACE`` where the file asks where it lies, ``ANYTHING`` where it may go through all there is.

    Where it reads resources of packages also each name in it, followed by a comma: any may be a package.
    """
    resources = _RESOURCES.search(source)
    own = resources or _OWN.search(source)
    if own:
        yield OWN_PLACE
    if resources:
        for name in _NAMES.findall(source):
            if len(name) <= _LONGEST:
                yield name.decode("utf-8", "surrogateescape") + ","
    if _ALL.search(source) or (_RECURSIVE.search(source) and (own or _STARTED_IN.search(source))):
        yield ANYTHING
