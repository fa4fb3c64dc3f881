"""What a ``.py`` file says of folders without a literal: where it lies, its packages, all that there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: The variable that tells a module where it lies.
OWN_PLACE = "__file__"
#: What a text says that may name anything: it cannot be read, or goes through folders from an open start.
ANYTHING = "\0"

#: Readers of what lies in packages. They take a package as a text, as an object, or as the module's own.
_RESOURCES = (
    b"importlib.resources",
    b"importlib_resources",
    b"importlib import resources",
    b"pkg_resources",
    b"get_data",
)
_OWN = (b"__file__", b"__package__", b"__spec__", b"__path__", b"__loader__")
_NAMES = re.compile(rb"[\w.\x80-\xff]+")
_LONGEST = 255
#: A call that goes through a folder and all below it, by no pattern that has a name in it.
_WALK = re.compile(rb"(?<!ast\.)(?<!def )\b(?:f?walk\(|rglob\((?!\s*[rf]?[\"'][*?./]*\w))")
_DEEP = tuple(b"**" + rest + quote for rest in (b"", b"/", b"/*", b"/*.*") for quote in (b'"', b"'"))
#: The folder that the program is started in.
_STARTED_IN = re.compile(rb"[\"']\./?[\"']|\b(?:getcwd|cwd|Path)\(\)")
#: A pattern without a name, held against the folder that the program is started in.
_ALL = re.compile(rb"(?:\bglob\.i?|(?<![.\w])i?)glob\(\s*[\"'][*?./]*\*[*?./]*[\"']")


def places_of(source: bytes) -> Iterator[str]:
    """``OWN_PLACE`` where the file asks where it lies, ``ANYTHING`` where it may go through all there is.

    Where it reads resources of packages also each name in it, followed by a comma: any may be a package.
    """
    resources = _holds(source, _RESOURCES)
    own = resources or _holds(source, _OWN)
    if own:
        yield OWN_PLACE
    if resources:
        for name in _NAMES.findall(source):
            if len(name) <= _LONGEST:
                yield name.decode("utf-8", "surrogateescape") + ","
    globs = b"glob(" in source
    deep = (globs and _holds(source, _DEEP)) or ((globs or b"walk(" in source) and _WALK.search(source))
    if (deep and (own or _STARTED_IN.search(source))) or (globs and _ALL.search(source)):
        yield ANYTHING


def _holds(source: bytes, words: Iterable[bytes]) -> bool:
    return any(word in source for word in words)
