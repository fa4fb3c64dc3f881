"""What one file imports, as a table: text on the left, what must be read from it on the right."""

from __future__ import annotations

import pytest

from drift_gate.relevance.python.import_facts import ANY, Import, Scan
from drift_gate.relevance.python.imports import facts_of

MAYBE = True


def plain(module: str, *names: str, level: int = 0, optional: bool = False) -> Import:
    return Import(module, level, names, optional)


# text → the imports that count, in their order
STATEMENTS: list[tuple[str, list[Import]]] = [
    ("import a", [plain("a")]),
    ("import a.b.c", [plain("a.b.c")]),
    ("import a.b as c, d", [plain("a.b"), plain("d")]),
    ("from a import b, c as d", [plain("a", "b", "c")]),
    ("from a import *", [plain("a", "*")]),
    ("from . import a", [plain("", "a", level=1)]),
    ("from ...a.b import c", [plain("a.b", "c", level=3)]),
    ("def f():\n    import a", [plain("a")]),
    ("async def f():\n    async with x:\n        import a", [plain("a")]),
    ("class C:\n    import a", [plain("a")]),
    ("for x in y:\n    import a\nelse:\n    import b", [plain("a"), plain("b")]),
    ("while x:\n    import a", [plain("a")]),
    ("match x:\n    case 1:\n        import a", [plain("a")]),
    ("if x:\n    import a\nelif y:\n    import b\nelse:\n    import c", [plain("a"), plain("b"), plain("c")]),
    ("try:\n    import a\nexcept ValueError:\n    import b", [plain("a"), plain("b")]),
    ("try:\n    import a\nfinally:\n    import b", [plain("a"), plain("b")]),
    ("try:\n    from a import b\nexcept ImportError:\n    pass", [plain("a", "b", optional=MAYBE)]),
    ("if f() == '__main__':\n    import a", [plain("a")]),
    ("if __name__ == 1:\n    import a", [plain("a")]),
    ("\ufeffimport a", [plain("a")]),
    ("import a\r\nimport b\r\n", [plain("a"), plain("b")]),
    ("x = 'import a'", []),
    ("# import a", []),
]

# text: everything in it may fail, and the program goes on
OPTIONAL = [
    "try:\n    import a\nexcept ImportError:\n    pass",
    "try:\n    pass\nexcept ModuleNotFoundError:\n    import a",
    "try:\n    import a\nexcept (OSError, ImportError):\n    pass",
    "try:\n    import a\nexcept Exception:\n    pass",
    "try:\n    import a\nexcept:\n    pass",
    "try:\n    if x:\n        import a\nexcept builtins.ImportError:\n    pass",
    "try:\n    import a\nexcept* ImportError:\n    pass",
    "with contextlib.suppress(ImportError):\n    import a",
    "if __name__ == '__main__':\n    import a",
    "if '__main__' == __name__:\n    import a",
]

# text → what counts, what only a type checker reads
TYPING: list[tuple[str, list[str], list[str]]] = [
    ("if TYPE_CHECKING:\n    import a\nimport b", ["b"], ["a"]),
    ("if typing.TYPE_CHECKING:\n    import a", [], ["a"]),
    ("if t.TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"], ["a"]),
    ("if not TYPE_CHECKING:\n    import a\nelse:\n    import b", ["a"], ["b"]),
    ("if x:\n    import a\nelif TYPE_CHECKING:\n    import b", ["a"], ["b"]),
    ("if TYPE_CHECKING and x:\n    import a", [], ["a"]),
    ("if TYPE_CHECKING or x:\n    import a", ["a"], []),
    (
        "if TYPE_CHECKING:\n    try:\n        import a\n    except ImportError:\n        import b",
        [],
        ["a", "b"],
    ),
    ("def f():\n    if TYPE_CHECKING:\n        import a", [], ["a"]),
]

LOAD = "import importlib\nfrom importlib import import_module, import_module as load\n"

# a call → the imports that it makes
CALLS: list[tuple[str, list[Import]]] = [
    ("importlib.import_module('a.b')", [plain("a.b")]),
    ("import_module('a.b')", [plain("a.b")]),
    ("load('a')", [plain("a")]),
    ("import_module(name='a')", [plain("a")]),
    ("import_module('a.' 'b')", [plain("a.b")]),
    ("import_module('a.' + 'b')", [plain("a.b")]),
    ("import_module('.a', __package__)", [plain("a", level=1)]),
    ("import_module('..a', package=__package__)", [plain("a", level=2)]),
    ("import_module('.a', __name__)", [plain("a", level=1)]),
    ("import_module('.a', 'p.q')", [plain("p.q.a")]),
    ("import_module('..a', 'p.q')", [plain("p.a")]),
    ("import_module('..a', package='p.q')", [plain("p.a")]),
    ("import_module('.a')", [plain("a", level=1)]),
    ("import_module(__name__ + '.a')", [plain("<module>.a")]),
    ("import_module(f'{__package__}.a')", [plain("<package>.a")]),
    ("import_module(__spec__.parent + '.a')", [plain("<package>.a")]),
    ("__import__('a.b')", [plain("a.b")]),
    ("__import__('a', {}, {}, ['b'], 1)", [plain("a", "b", level=1)]),
    ("__import__('a', {}, {}, [x, 'b'], 1)", [plain("a", "b", level=1)]),
    ("__import__('a', fromlist=('b',), level=2)", [plain("a", "b", level=2)]),
    ("pkgutil.resolve_name('a.b:c')", [plain("a.b", optional=MAYBE), plain("a", optional=MAYBE)]),
    ("pkgutil.resolve_name('a.b.c')", [plain("a.b.c", optional=MAYBE), plain("a.b", optional=MAYBE)]),
    ("runpy.run_module('a')", [plain("a"), plain("a.__main__", optional=MAYBE)]),
    ("uvicorn.run('a.b:app')", [plain("a.b", optional=MAYBE)]),
]

# a call → the names that it computes
COMPUTED: list[tuple[str, list[str]]] = [
    ("import_module(x)", ["*"]),
    ("import_module()", ["*"]),
    ("import_module(f'a.b.{x}')", ["a.b.*"]),
    ("import_module(f'a.{x}.c')", ["a.*.c"]),
    ("import_module(f'a.{x}{y}')", ["a.*"]),
    ("import_module('a.' + x)", ["a.*"]),
    ("import_module('a.%s' % x)", ["a.*"]),
    ("import_module('a.{}.b'.format(x))", ["a.*.b"]),
    ("import_module(f'.{x}', __package__)", [".*"]),
    ("import_module(f'.{x}', 'p.q')", ["p.q.*"]),
    ("import_module('.a', x)", ["*a"]),
    ("import_module(__name__ + '.' + x)", ["<module>.*"]),
    ("map(import_module, x)", ["*"]),
    ("map(__import__, x)", ["*"]),
    ("__import__(x)", ["*"]),
    ("for x in NAMES: import_module(x)", ["*"]),
    ("import_string(f'a.{x}.C')", ["a.*"]),
    ("resolve_name(f'{x}.C')", ["*"]),
]

NAMES = "NAMES = {'x': 'a.b', 'y': 'c:D'}\n"

# a program whose names are all known → the imports that it may make
KNOWN: list[tuple[str, list[str]]] = [
    ("import_module('a' if x else 'b')", ["a", "b"]),
    ("for name in ('a', 'b'): import_module(name)", ["a", "b"]),
    ("list(map(import_module, ['a', 'b']))", ["a", "b"]),
    (NAMES + "m, c = NAMES[x].split(':')\nimport_module(m)", ["D", "a", "a.b", "b", "c", "x", "y"]),
    (NAMES + "import_string(NAMES['y'])", ["", "a", "a.b", "c", "x", "y"]),
    ("__import__('a' if x else 'b')", ["a", "b"]),
]

# a program → the files that it loads by their path
LOADED: list[tuple[str, list[str]]] = [
    ("run_path(x)", ["*"]),
    ("run_path('a/b.py')", ["a/b.py"]),
    ("spec_from_file_location('a', x)", ["*"]),
    ("spec_from_file_location('a')", ["*"]),
    ("spec_from_file_location('a', location=HERE / 'b.py')", ["*/b.py"]),
    ("from importlib.util import spec_from_file_location as spec\nspec('a', f'p/{x}.py')", ["p/*.py"]),
    ("SourceFileLoader('a', 'p/b.py')", ["p/b.py"]),
    ("pkgutil.iter_modules([str(Path(__file__).parent / 'x')])", ["*/x/*.py"]),
    ("subprocess.run([sys.executable, 'b.py', x])", ["b.py"]),
    ("subprocess.run([sys.executable, '-u', '-W', 'error', HERE / 'b.py'])", ["*/b.py"]),
    ("subprocess.run([sys.executable] + ['b.py'] + more)", ["b.py"]),
    ("os.system('python3 b.py --now')", ["b.py"]),
    ("python = sys.executable\nos.execv(python, [python, 'b.py'])", ["b.py"]),
    ("asyncio.create_subprocess_exec(sys.executable, 'b.py')", ["b.py"]),
    ("os.system('python a.py && python b.py; nohup python c.py &')", ["a.py", "b.py", "c.py"]),
    ("os.system('python a.py' if x else 'python b.py')", ["a.py", "b.py"]),
    ("import shlex\nsubprocess.run(shlex.split('python b.py --now'))", ["b.py"]),
    ("from shlex import split\nLINE = 'python3 -u b.py'\nsubprocess.Popen(split(LINE))", ["b.py"]),
    # a dotted text that is taken apart may be split at its dots, too
    ("subprocess.run('python b.py'.split())", ["b", "b.py"]),
    ("LINE = 'python b.py'\nsubprocess.run(LINE.split(' '))", ["b", "b.py"]),
    ("line.split('python ')", []),
    ("subprocess.run(['git', x])", []),
]

# a program → what in it may import anything
DOUBTFUL: list[tuple[str, list[str]]] = [
    ("exec(x)", ["exec"]),
    ("eval(x)", ["eval"]),
    ("exec('import a')", []),
    ("exec(f'import {x}')", ["exec"]),
    ("list(map(eval, x))", ["eval"]),
    ("model.eval()", []),
    ("ast.literal_eval(x)", []),
    ("import pickle\npickle.load(f)", ["pickle.load"]),
    ("import pickle as p\np.loads(f)", ["pickle.loads"]),
    ("from pickle import loads\nloads(f)", ["pickle.loads"]),
    ("import pickle\npickle.dumps(x)", []),
    ("from joblib import load\nload(f)", ["joblib.load"]),
    ("import json\njson.load(f)", []),
    ("from rq import Worker\nWorker(['high']).work()", ["rq.Worker"]),
    ("import rq\nrq.SimpleWorker(queues)", ["rq.SimpleWorker"]),
    ("import papermill as pm\npm.execute_notebook('a.ipynb', None)", ["papermill.execute_notebook"]),
    ("keras.models.load_model(path, safe_mode=False)", ["load_model with pickles allowed"]),
    ("keras.models.load_model(path)", []),
    ("os.system('python $SCRIPT')", ["an interpreter with a computed command"]),
    ("import shlex\nsubprocess.run(shlex.split(f'python {x}'))", ["an interpreter with a computed command"]),
    (
        "from importlib.metadata import entry_points\nentry_points(group='x')",
        ["importlib.metadata.entry_points"],
    ),
    ("from importlib import metadata\nmetadata.entry_points()", ["importlib.metadata.entry_points"]),
    ("subprocess.run([sys.executable, x])", ["an interpreter with a computed command"]),
    ("subprocess.run([sys.executable, '-m', x])", ["an interpreter with a computed command"]),
    ("subprocess.run([sys.executable, *x])", ["an interpreter with a computed command"]),
    ("subprocess.run([sys.executable] + x)", ["an interpreter with a computed command"]),
    ("c = [sys.executable]\nc.append(x)\nsubprocess.run(c)", ["an interpreter with a computed command"]),
    ("os.execv(sys.executable, x)", ["an interpreter with a computed command"]),
    ("subprocess.run([sys.executable, '-c', x])", ["an interpreter with a computed command"]),
    ("subprocess.run([sys.executable, '-c', f'import {x}'])", ["python -c"]),
    ("subprocess.run([sys.executable, '-c', 'import a'])", []),
    ("subprocess.run(f'{sys.executable} {x}', shell=True)", ["an interpreter with a computed command"]),
]
START = "import sys, os, subprocess, asyncio\n"

# a call → the packages that it lists
LISTED: list[tuple[str, Scan]] = [
    ("pkgutil.iter_modules(__path__)", Scan("", 1, False)),
    ("pkgutil.walk_packages(path=__path__)", Scan("", 1, True)),
    ("pkgutil.iter_modules(plugins.__path__, 'x.')", Scan("a.plugins", 0, False)),
    ("pkgutil.walk_packages(near.far.__path__)", Scan("near.far", 1, True)),
    ("pkgutil.iter_modules(b.c.__path__)", Scan("b.c", 0, False)),
    ("pkgutil.iter_modules(e.__path__)", Scan("b.d", 0, False)),
    ("pkgutil.iter_modules([os.path.dirname(__file__)])", Scan("", 1, False)),
    ("pkgutil.iter_modules([str(Path(__file__).parent)])", Scan("", 1, False)),
    ("pkgutil.iter_modules([os.path.dirname(os.path.dirname(__file__))])", Scan("*", 0, False)),
    ("pkgutil.iter_modules(unknown.__path__)", Scan("*", 0, False)),
    ("pkgutil.iter_modules()", Scan("*", 0, False)),
]


@pytest.mark.parametrize(("text", "imports"), STATEMENTS)
def test_statements(text: str, imports: list[Import]) -> None:
    """Every import statement counts, wherever it stands."""
    assert list(facts_of(text.encode()).imports) == imports


@pytest.mark.parametrize("text", OPTIONAL)
def test_an_import_that_may_fail_says_so(text: str) -> None:
    """It counts like any other; only a module that is not there is no fault."""
    assert facts_of(text.encode()).imports == (plain("a", optional=MAYBE),)


@pytest.mark.parametrize(("text", "counted", "typing_only"), TYPING)
def test_blocks_for_the_type_checker_are_apart(text: str, counted: list[str], typing_only: list[str]) -> None:
    """They are read, and never counted."""
    facts = facts_of(text.encode())
    assert [each.module for each in facts.imports] == counted
    assert [each.module for each in facts.typing_only] == typing_only


@pytest.mark.parametrize(("call", "imports"), CALLS)
def test_calls_with_a_known_name(call: str, imports: list[Import]) -> None:
    """A name that the text spells out is an import like any other."""
    facts = facts_of((LOAD + call).encode())
    assert [each for each in facts.imports if each.module != "importlib"] == imports
    assert facts.computed == ()


@pytest.mark.parametrize(("call", "computed"), COMPUTED)
def test_calls_with_a_computed_name(call: str, computed: list[str]) -> None:
    """What is known of the name is kept, with ``*`` for the rest."""
    assert list(facts_of((LOAD + call).encode()).computed) == computed


@pytest.mark.parametrize(("call", "scan"), LISTED)
def test_listed_packages(call: str, scan: Scan) -> None:
    """Which package ``pkgutil`` is asked for, where the text tells."""
    text = f"import pkgutil, b.c, b.d as e\nfrom a import plugins\nfrom . import near\n{call}\n"
    assert facts_of(text.encode()).scans == (scan,)


def test_literals_are_kept_only_where_something_needs_them() -> None:
    """Facts stay small: a file with plain imports keeps no string."""
    assert facts_of(b"import a\nX = 'a.b'").literals == ()
    assert facts_of(b"import_module('a')\nX = 'a.b'").literals == ()
    computed = b"import_module(x)\nX = ['a.b', 'c', 'd:e', 'no module', '', '7']"
    assert facts_of(computed).literals == ("a.b", "c", "d:e")
    assert facts_of(b"run_path(x)\nX = ['a/b c', 'x-y.py', '..', '.']").literals == ("a/b c", "x-y.py", "..")
    longest = "a" * 255
    assert facts_of(f"import_module(x)\nX = ['{longest}', '{longest}b']".encode()).literals == (longest,)


def test_what_a_package_offers() -> None:
    """``__all__``, a module ``__getattr__``, an edited ``sys.path`` and the names of the module's level."""
    facts = facts_of(b"__all__ = ['a']\nimport b.c, d as e\nfrom f import g\nh, i = 1, 2\nclass J: k = 1\n")
    assert (facts.literals, facts.all_computed, facts.lazy) == (("a",), False, False)
    assert facts.bound == {"__all__", "b", "e", "g", "h", "i", "J"}
    for listed in (b"__all__: list[str] = ['a']", b"__all__ += ['a']"):
        assert (facts_of(listed).literals, facts_of(listed).all_computed) == (("a",), False)
    assert facts_of(b"__all__ = sorted(['a'])").all_computed
    assert facts_of(b"__all__ = sorted(['a'])\n__all__ += ['b']").all_computed
    assert facts_of(b"def __getattr__(name): ...").lazy
    assert facts_of(b"def __getattr__(name): ...").bound == {"__getattr__", ANY}
    assert facts_of(b"__getattr__, __dir__ = attach(__name__, ['a'])").lazy
    assert not facts_of(b"class C:\n    def __getattr__(self, name): ...").lazy
    assert facts_of(b"import sys\nsys.path.insert(0, '..')").edits_path
    assert facts_of(b"site.addsitedir('lib')").edits_path


BROKEN: list[tuple[str, bytes]] = [
    ("Python 2", b"import a\nfrom b import (c, # why\n  d as e)\nprint 'x'\n"),
    ("a newer Python", b"import a\nfrom b import c, d\ntype(:=)[T] = 1\n"),
    ("continued lines", b"import \\\na\nfrom b import \\\n c, d\nprint 'x'\n"),
    ("half a merge", b"<<<<<<< ours\nimport a\n=======\nfrom b import c \\\n , d\n>>>>>>> theirs\n"),
    ("a null byte", b"import a; from b import c,d\nx = '\0'\n"),
    ("an encoding nobody knows", b"# coding: klingon\nimport a\nfrom b import c, d\n"),
    ("bytes that are not the encoding", b"import a\nfrom b import c, d\nx = '\xff'\n"),
    ("nesting too deep to parse", b"import a\nfrom b import c, d\nx = " + b"(" * 5000 + b")" * 5000),
    ("an expression too deep to walk", b"import a\nfrom b import c, d\nx = " + b"-" * 100_000 + b"1\n"),
    ("more than is parsed", b"import a\nfrom b import c, d\n" + b"x = 1\n" * 400_000),
]


@pytest.mark.parametrize("source", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_cannot_be_parsed_is_guessed(source: bytes) -> None:
    """Lines that look like imports count, and their absence is no fault."""
    facts = facts_of(source)
    assert facts.syntax_error
    assert set(facts.imports) == {plain("a", optional=MAYBE), plain("b", "c", "d", optional=MAYBE)}
    assert (facts.computed, facts.doubts, facts.edits_path) == ((), (), False)
    assert ANY in facts.bound


def test_a_computed_name_in_a_broken_file_is_seen() -> None:
    """A guess must not hide that anything may be imported."""
    for call in (b"import_module(name)", b"__import__(name)"):
        facts = facts_of(b"print 'x'\n" + call + b"\nX = ['a.b', 'no module']\n")
        assert (facts.computed, set(facts.literals)) == (("*",), {"x", "a.b"})


#: What no Python of today parses, and what each form in the same statement or beside it means.
NEWER = "def f():\n    x = @@\n    "
FORMS: list[tuple[str, str, str]] = [
    ("import a.b", "imports", "a.b"),
    ("lazy import a.b", "imports", "a.b"),
    ("lazy from a import b", "imports", "a"),
    ("from.import b", "imports", ""),
    ("from a import (b, # ) not here\n  c)", "imports", "a"),
    ("from a import (\n b,", "imports", "a"),
    ("uvicorn.run('a:app')", "imports", "a"),
    ("import_string('a.b.c')", "imports", "a.b"),
    ("import_module('a.b')", "imports", "a.b"),
    ("import_module(\n  'a.b',\n)", "imports", "a.b"),
    ("import_module(x)", "unknown", ""),
    ("run_path(x)", "unknown", ""),
    ("exec(x)", "unknown", ""),
    ("walk_packages(x)", "unknown", ""),
    ("sys.path.insert(0, 'lib')", "edits_path", ""),
    ("site.addsitedir('lib')", "edits_path", ""),
    ("sys.path.insert(0, 'lib/x')", "literals", "lib/x"),
    ("__all__ = ['a']", "all_computed", ""),
    ("__getattr__ = x", "lazy", ""),
    ("config.scan('a')", "handed", "a"),
    ("x = 'a.b.C'", "named", "a.b.C"),
    ("x = 'a/b.py'", "named", "a/b.py"),
]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize(("form", "kind", "meant"), FORMS)
def test_every_form_is_found_where_nothing_parses(form: str, kind: str, meant: str, end: str) -> None:
    """Inside of a statement that cannot be parsed, and beside one; whatever ends the lines."""
    broken = NEWER + form.replace("\n", "\n    ") + "\n"
    for text in (broken, f"x = @@\n{form}\n" if not form.endswith(",") else broken):
        facts = facts_of(text.replace("\n", end).encode())
        blind = facts.computed or facts.files or facts.doubts or facts.scans
        found = blind if kind == "unknown" else getattr(facts, kind)
        if kind == "imports":
            assert meant in {each.module for each in facts.imports}
            assert all(each.optional for each in facts.imports)
        elif kind in ("all_computed", "lazy"):
            assert text != broken or found
        else:
            assert found is True if isinstance(found, bool) else (found and (not meant or meant in found))


def test_names_in_brackets_are_all_found_behind_a_comment() -> None:
    """A bracket in a comment closes nothing."""
    facts = facts_of(b"def f():\n    from a import (b, # why :)\n      c)\n    x = @@\n")
    assert facts.imports == (plain("a", "b", "c", optional=MAYBE),)


def test_what_parses_is_read_from_its_tree_beside_what_does_not() -> None:
    """Of a broken file only the broken statement is guessed at: ``exec`` in a text is no call."""
    source = (
        b"import a\nclass C:\n    x = @@\n\n@deco\ndef f():\n    import_module('b')\n\nprint('exec(x)')\n"
    )
    facts = facts_of(source)
    assert {each.module for each in facts.imports} == {"a", "b"}
    assert (facts.computed, facts.doubts, facts.syntax_error) == ((), (), True)


def test_a_lazy_import_is_an_import() -> None:
    """PEP 810, Python 3.15: read as the statement without the word, and nothing of the file is a guess."""
    facts = facts_of(b"lazy import a\nlazy from b import c as d\nlazy = 1\n")
    assert set(facts.imports) >= {plain("a"), plain("b", "c")}
    assert not facts.syntax_error


@pytest.mark.parametrize("parts", [100, 1500, 3000])
def test_a_deep_name_is_followed_or_guessed(parts: int) -> None:
    """Followed, parsed and not followed, not even parsed: facts, never a RecursionError."""
    facts = facts_of(("import a\nimport_module(" + " + ".join(["x"] * parts) + ")").encode())
    assert facts.computed == ("*",)
    assert [each.module for each in facts.imports] == ["a"]


def test_a_declared_encoding_is_obeyed() -> None:
    """PEP 263: the names of modules are text, not bytes."""
    assert facts_of("# coding: latin-1\nimport caf\u00e9\n".encode("latin-1")).imports == (
        plain("caf\u00e9"),
    )


def test_warnings_of_foreign_code_are_not_ours(recwarn: pytest.WarningsRecorder) -> None:
    """An invalid escape in the worker's source is no warning of the gate's."""
    assert facts_of(b"import a\nx = '\\d'\nassert (1, 2)\n").imports == (plain("a"),)
    assert not recwarn.list


@pytest.mark.parametrize(("text", "modules"), KNOWN)
def test_calls_with_several_known_names(text: str, modules: list[str]) -> None:
    """Each may be the one that is imported, none has to be there; nothing stays unknown."""
    facts = facts_of((LOAD + text).encode())
    called = [each for each in facts.imports if not each.module.startswith("importlib")]
    assert (sorted(each.module for each in called), facts.computed) == (modules, ())
    assert all(each.optional for each in called)


@pytest.mark.parametrize(("text", "files"), LOADED)
def test_files_that_are_loaded_by_their_path(text: str, files: list[str]) -> None:
    """In this process or in one that is started; a star stands for what is not known of the path."""
    facts = facts_of((START + text).encode())
    assert (list(facts.files), facts.doubts) == (files, ())


@pytest.mark.parametrize(("text", "doubts"), DOUBTFUL)
def test_what_may_import_anything(text: str, doubts: list[str]) -> None:
    """Code out of a text, classes out of data, a process whose program is not known."""
    assert list(facts_of((START + text).encode()).doubts) == doubts


@pytest.mark.parametrize(
    "text",
    [
        "exec('import a.b')",
        "exec(\"import_module('a.b')\")",
        "subprocess.run([sys.executable, '-c', 'import a.b'])",
        "subprocess.run([sys.executable, '-m', 'a.b'])",
        "os.system('python -m a.b')",
    ],
)
def test_the_imports_of_a_known_text_or_command(text: str) -> None:
    """A text that is run is read like a file, a module that is started like one that is imported."""
    assert "a.b" in {each.module for each in facts_of((START + text).encode()).imports}
