"""The imports of a ``.py`` file as one would read them without a thought for time, and files to try it on."""

from __future__ import annotations

import ast
import os
import random
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from drift_gate.relevance.python import import_calls, imports, scopes
from drift_gate.relevance.python.import_calls import _APPLICATION, _LONGEST, _PROGRAM, Calls
from drift_gate.relevance.python.import_facts import Import, ImportFacts
from drift_gate.relevance.python.import_loaders import named
from drift_gate.relevance.python.import_paths import computed_folder

#: Larger ones are tables, and all alike.
LARGEST = 400_000
#: What a mutation puts somewhere: what ends or begins something, and what imports.
_PIECES = (
    *(b'"', b"'", b"\\", b"#", b"\n", b"(", b")", b"{", b" ", b"\t", b"\xff", b"\0", b'"""', b"f'{", b"rb'"),
    *(b"import os\n", b"lazy import x\n", b"from . import y\n", b"import pickle as p\n", b"p.load(f)"),
    *(b"exec(", b"getattr(a, 'exec')\n", b'"a.b:c"', b"import_module(name)", b"os.system('python -m a.b')"),
    *(b"sys.path.insert(0, here)\n", b"__all__ = f()\n", b"include=['a']", b"run('./go.sh all')"),
    *(b"if TYPE_CHECKING:\n", b"except ImportError:\n"),
)


class PlainCalls(Calls):
    """Every question is asked of every node, and the tree is walked as the standard library walks it."""

    def read(self) -> None:
        """As ``Calls.read``."""
        nodes: list[ast.AST] = [self._tree]
        while nodes:
            node = nodes.pop()
            self._ask(node)
            nodes.extend(reversed(list(ast.iter_child_nodes(node))))

    def _ask(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, (ast.Attribute, ast.Name)):
            self._reference(node)
        elif isinstance(node, ast.Constant):
            self._literal(node)
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            self._assignment(node)
        self._loads(node)
        self._anywhere |= computed_folder(node, self._spelling)
        if self._starts:
            self._command(node)

    def _literal(self, constant: ast.Constant) -> None:
        value = constant.value
        if not isinstance(value, str) or len(value) > _LONGEST:
            return
        self._texts_of_all[value] = None
        texts = (value, *(value.split() if ".sh" in value else ()))
        self._named.update(dict.fromkeys(filter(None, map(named, texts))))
        program = (value.split() or [""])[0]
        if self._starts and _PROGRAM.fullmatch(program):
            self._named[program] = None
        if application := _APPLICATION.fullmatch(value):
            self._imports[Import(application[1], optional=True)] = None


def plain_facts(source: bytes) -> ImportFacts:
    """As ``facts_of``, read without a thought for time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scopes, "inside", lambda node: list(ast.iter_child_nodes(node)))
        patched.setattr(imports, "Calls", PlainCalls)
        patched.setattr(import_calls, "Calls", PlainCalls)
        return imports.facts_of(source)


@cache
def installed() -> tuple[Path, ...]:
    """The ``.py`` files of the standard library and of what is installed beside it and here."""
    folders = dict.fromkeys(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    found = {
        os.path.join(folder, name)
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if name.endswith(".py")
    }
    return tuple(
        Path(path) for path in sorted(found) if os.path.isfile(path) and os.path.getsize(path) <= LARGEST
    )


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """So many files with a few of their bytes taken out, put in, doubled or replaced; the same each time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, nothing secret
    small = [path for path in installed() if path.stat().st_size <= LARGEST // 20]
    for _ in range(count):
        content = bytearray(chance.choice(small).read_bytes())
        for _ in range(chance.choice((1, 1, 2, 4))):
            _change(content, chance)
        yield bytes(content)


def _change(content: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(content) + 1), chance.randrange(1, 80)
    kind = chance.choice(("out", "in", "in", "twice", "end", "other"))
    if kind == "out":
        del content[at : at + length]
    elif kind == "in":
        content[at:at] = chance.choice(_PIECES)
    elif kind == "twice":
        content[at:at] = content[length : 2 * length]
    elif kind == "end":
        del content[at:]
    else:
        content[at : at + 1] = bytes([chance.randrange(256)])
