"""What a text without a syntax tree seems to import, read from its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drift_gate.relevance.python.import_facts import ANY, MODULE_NAME, Import, ImportFacts
from drift_gate.relevance.python.literals import texts_of, without_comments
from drift_gate.relevance.python.spelling import UNKNOWN

#: A line that looks like an import, also behind a semicolon or a colon.
_IMPORT_LINE = re.compile(
    r"(?:^|[;:])[ \t]*(?:from(?P<module>[. \t][.\w \t]*)\bimport\b[ \t]*"
    r"(?:\((?P<several>[^()]*)|(?P<names>[^\n;()]*))|import[ \t](?P<plain>[^\n;]+))",
    re.MULTILINE,
)
#: A loader that gets a name: a literal one is known.
_LOADS = re.compile(
    r"\b(?:import_module|__import__|import_string|resolve_name|run_module|import_object)\b"
    r"(?:\([ \t\n]*[\"'](?P<name>[\w.:]+)[\"'][ \t\n]*[,)])?"
)
#: What loads files, lists modules or runs code that only the running program knows.
_DOUBTS = re.compile(
    r"\b(?:exec|eval|entry_points|run_path|spec_from_file_location|SourceFileLoader|iter_modules|walk_packages"
    r"|find_modules|import_submodules|pickle|dill|joblib|shelve|marshal|timeit|ImportString|mlflow|jsonpickle|stevedore"
    r"|unsafe_load|sys\.executable)\b"
)
#: Loaders and settings whose strings name packages.
_HANDS = re.compile(
    r"autodiscover_tasks|from_object|load_extension|\b(?:include|scan|imports)\b|_APPS\b|_SETTINGS_MODULE\b"
)
#: Longer texts are no module's name and no file's.
_LONGEST = 255


def guessed(text: str) -> ImportFacts:
    """What a text seems to import: of Python 2, of a Python newer than this one, or broken.

    Whatever a syntax tree would tell is looked for, and what may be meant counts.
    """
    code = without_comments(text).replace("\\\n", " ")
    literals = [each for each in texts_of(text.encode("utf-8", "replace")) if len(each) <= _LONGEST]
    modules = tuple(dict.fromkeys(filter(MODULE_NAME.fullmatch, literals)))
    imports = [*_lines(code), *_applications(modules)]
    computed = False
    for match in _LOADS.finditer(code):
        computed |= match["name"] is None
        imports += _member(match["name"] or "")
    return ImportFacts(
        imports=tuple(dict.fromkeys(imports)),
        computed=(UNKNOWN,) if computed else (),
        doubts=tuple(sorted({match[0] for match in _DOUBTS.finditer(code)})),
        named=tuple(dict.fromkeys(each for each in literals if "." in each and " " not in each)),
        handed=modules if _HANDS.search(code) else (),
        literals=tuple(dict.fromkeys(each for each in literals if _may_be_meant(each))) if literals else (),
        lazy="__getattr__" in code,
        all_computed="__all__" in code,
        edits_path="sys.path" in code or "addsitedir" in code,
        anywhere="sys.path" in code and "__file__" not in code,
        bound=frozenset({ANY}),
        syntax_error=True,
    )


def _lines(code: str) -> Iterator[Import]:
    for match in _IMPORT_LINE.finditer(code):
        if match["plain"]:
            yield from (Import(name, optional=True) for name in _listed(match["plain"]))
        else:
            written = "".join(match["module"].split())
            module = written.lstrip(".")
            names = tuple(_listed(match["several"] or match["names"] or ""))
            yield Import(module, len(written) - len(module), names, True)


def _listed(names: str) -> Iterator[str]:
    """``a, b as c`` one by one, without what they are called here."""
    for name in names.split(","):
        if words := name.split():
            yield words[0]


def _applications(modules: tuple[str, ...]) -> Iterator[Import]:
    """``"a.b:app"``, as a server takes it."""
    for module, _, attribute in (each.partition(":") for each in modules):
        if attribute:
            yield Import(module, optional=True)


def _member(name: str) -> Iterator[Import]:
    """A name that a loader gets: a module, or a member of one."""
    target = name.partition(":")[0]
    module = target.lstrip(".")
    for each in (module, module.rpartition(".")[0]) if module else ():
        yield Import(each, len(target) - len(module), optional=True)


def _may_be_meant(literal: str) -> bool:
    return bool(MODULE_NAME.fullmatch(literal)) or "/" in literal or literal.endswith((".py", ".."))
