"""The import closure against what Python itself runs: it may hold more, it never holds less."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.python_imports import PythonImports, closure_of, write

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def python() -> Iterator[PythonImports]:
    interpreter = PythonImports()
    yield interpreter
    interpreter.close()


@dataclass(frozen=True)
class Program:
    """A tree of ``.py`` files under one or two roots, and what is started."""

    files: dict[str, str]
    roots: tuple[str, ...]
    entry: str


# Every form an import can take. ``{m}`` is a dotted module, ``{n}`` and ``{k}`` are single names.
FORMS = (
    "import {m}",
    "import {m} as other, {n}",
    "from {m} import {n}",
    "from {m} import X, {n} as other",
    "from {m} import *",
    "from . import {n}",
    "from .{n} import {k}",
    "from .. import {n}",
    "from ..{n} import *",
    "from . import *",
    "import {m}; {m}.{n}",
    "def later():\n    from {m} import {n}\nlater()",
    "class Holder:\n    import {m}",
    "if 1:\n    import {m}\nelse:\n    import {n}",
    "for _ in [1]:\n    from {m} import {n}",
    "with open(__file__):\n    import {m}",
    "match 1:\n    case 1:\n        import {m}",
    "async def later():\n    import {m}\ntry:\n    later().send(None)\nexcept StopIteration:\n    pass",
    "try:\n    import {m}.missing\nexcept ImportError:\n    import {n}",
    "try:\n    raise KeyError\nexcept KeyError:\n    import {m}\nfinally:\n    import {n}",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {m}\nelse:\n    import {n}",
    "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import {m}",
    "import importlib\nimportlib.import_module('{m}')",
    "from importlib import import_module as load\nload('.{n}', package=__package__)",
    "from importlib import import_module\nimport_module('..{n}', __package__)",
    "from importlib import import_module\nimport_module('.{n}', '{m}')",
    "from importlib import import_module\nimport_module(name='{m}')",
    "from importlib import import_module\nlist(map(import_module, ['{m}', '{n}']))",
    "import importlib\nname = '{n}'\nimportlib.import_module(f'{m}.{{name}}')",
    "import importlib\nname = '{n}'\nimportlib.import_module('{m}.' + name + '.{k}')",
    "import importlib\nname = '{n}'\nimportlib.import_module('{m}.%s' % name)",
    "import importlib\nname = '{n}'\nimportlib.import_module('{{}}.{k}'.format(name))",
    "import importlib\nname = '{n}'\nimportlib.import_module(f'{{__name__}}.{{name}}')",
    "import importlib\nname = '{n}'\nimportlib.import_module(f'.{{name}}', __package__)",
    "import importlib\nfor each in {{'x': '{m}', 'y': '{n}'}}.values():\n    importlib.import_module(each)",
    "import importlib\npath = '{m}.{n}.X'\nimportlib.import_module(path.rpartition('.')[0])",
    "__import__('{m}')",
    "__import__('{m}', globals(), locals(), ['{n}'], 0)",
    "__import__('{n}', globals(), locals(), ['{k}'], 1)",
    "import importlib as i, pkgutil\n"
    "for each in pkgutil.iter_modules(__path__):\n    i.import_module(f'{{__name__}}.{{each.name}}')",
    "import importlib as i, pkgutil, {m} as found\n"
    "for each in pkgutil.iter_modules(found.__path__, '{m}.'):\n    i.import_module(each.name)",
    "import pkgutil, {m}\nlist(pkgutil.walk_packages({m}.__path__, '{m}.'))",
    "import runpy\nrunpy.run_module('{m}')",
    "import pkgutil\npkgutil.resolve_name('{m}:X')",
    "import pkgutil\npkgutil.resolve_name('{m}.X')",
    "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '{n}'))\nimport {k}",
    "import sys, os\nsys.path.append(os.path.dirname(os.path.dirname(__file__)))\nimport {k}",
    "__all__ = ['{n}', '{k}', 'X']",
    "__all__ = sorted(['{n}'])",
    "def __getattr__(name):\n    from importlib import import_module\n    if name in ('{n}', '{k}'):\n"
    "        return import_module('.' + name, __name__)\n    raise AttributeError(name)",
)

single = st.sampled_from(NAMES)
dotted = st.lists(single, min_size=1, max_size=2).map(".".join)
statement = st.builds(
    lambda form, m, n, k: form.format(m=m, n=n, k=k), st.sampled_from(FORMS), dotted, single, single
)


def guarded(text: str) -> str:
    """The statement, its failure passed over, so that what stands below it runs as well."""
    inner = "\n".join(f"    {line}" for line in text.splitlines())
    return f"try:\n{inner}\nexcept Exception:\n    pass"


body = st.lists(st.one_of(statement, statement.map(guarded), statement.map(guarded)), max_size=4).map(
    lambda parts: "\n".join(["X = 1", *parts, ""])
)
path = st.builds(
    lambda folders, name: "/".join([*folders, f"{name}.py"]),
    st.lists(single, max_size=1),
    st.sampled_from((*NAMES, "__init__", "__init__", "__main__")),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    roots = draw(st.sampled_from((("one",), ("one", "two"), ("one/a", "one"))))
    files = {}
    for root in {root.partition("/")[0] for root in roots}:
        files.update(
            {
                f"{root}/{file}": text
                for file, text in draw(st.dictionaries(path, body, min_size=4, max_size=14)).items()
            }
        )
    start = draw(st.lists(statement.map(guarded), min_size=1, max_size=4))
    files[f"{roots[-1]}/start.py"] = "\n".join([*start, ""])
    return Program(files, roots, draw(st.sampled_from(("start", f"{roots[-1]}/start.py"))))


@given(program=programs())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_python_runs_is_in_the_closure(python: PythonImports, program: Program) -> None:
    """Whatever the tree and the imports, also circular and failing ones: no file that ran is missing."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        write(folder, program.files)
        ran = python.ran(folder, program.roots, program.entry)
    entry = f"/{program.entry}" if program.entry.endswith(".py") else program.entry
    closure = closure_of(program.files, [entry], [f"/{root}" for root in program.roots])
    assert f"{program.roots[-1]}/start.py" in ran
    assert not closure.syntax_errors
    if not closure.computed:  # otherwise every file of the image is relevant
        assert ran <= set(closure.reached)
