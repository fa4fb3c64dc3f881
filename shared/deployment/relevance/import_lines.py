"""What a file without a syntax tree seems to import, read from its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.deployment.relevance.import_facts import ANY, Import, ImportFacts
from shared.deployment.relevance.literals import texts_of
from shared.deployment.relevance.spelling import UNKNOWN

#: A text that may be a module's name, with an attribute behind a colon.
MODULE_NAME = re.compile(r"\.*[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[\w.]+)?")
#: A line that looks like an import, also behind a semicolon or a colon.
_IMPORT_LINE = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]*(?P<dots>\.*)[ \t]*(?P<module>[\w.]*)[ \t]+import[ \t]*"
    r"(?:\((?P<several>[^()]*)\)|(?P<names>[^#\n;()]+))|import[ \t]+(?P<plain>[^#\n;]+))",
    re.MULTILINE,
)


def guessed(source: bytes) -> ImportFacts:
    """What a file without a syntax tree seems to import: Python 2, or a Python newer than this one."""
    text = source.decode("utf-8", "replace").replace("\\\n", " ")
    imports: dict[Import, None] = {}
    for match in _IMPORT_LINE.finditer(text):
        if match["plain"]:
            imports.update((Import(name, optional=True), None) for name in _listed(match["plain"]))
        else:
            names = tuple(_listed(match["several"] or match["names"] or ""))
            imports[Import(match["module"], len(match["dots"]), names, True)] = None
    calls = b"import_module" in source or b"__import__" in source
    literals = dict.fromkeys(filter(MODULE_NAME.fullmatch, texts_of(source))) if calls else {}
    return ImportFacts(
        imports=tuple(imports),
        computed=(UNKNOWN,) if calls else (),
        literals=tuple(literals),
        bound=frozenset({ANY}),
        syntax_error=True,
    )


def _listed(names: str) -> Iterator[str]:
    """``a, b as c`` one by one, without what they are called here and without comments."""
    for name in re.sub(r"#[^\n]*", "", names).split(","):
        if words := name.split():
            yield words[0]
