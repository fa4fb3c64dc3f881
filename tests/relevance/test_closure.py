"""The import closure as tables: a small tree, where it starts, and what must be reached."""

from __future__ import annotations

import pytest
from support.python_imports import closure_of

from drift_gate.relevance.python.chains import Missing
from drift_gate.relevance.python.closure import close
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of

LOAD = "from importlib import import_module\n"
MANY = ["p/__init__.py", "p/a.py", "p/b.py", "p/q/__init__.py", "p/q/c.py", "n/x.py", "n/m/y.py", "top.py"]


def reached(text: str, at: str = "start.py", package: str = "") -> set[str]:
    """What ``text`` at ``at`` reaches in a tree of otherwise empty files, itself left out.

    ``package`` is the text of ``p/__init__.py``. Nothing stays unknown, and each chain ends at ``at``.
    """
    tree = dict.fromkeys(MANY, "") | {"p/__init__.py": package} | {at: text}
    closure = closure_of(tree, [f"/{at}"])
    assert closure.computed == ()
    assert {chain[-1] for chain in closure.reached.values()} == {at}
    return set(closure.reached) - {at}


# statement in start.py → what it reaches
ABSOLUTE: list[tuple[str, set[str]]] = [
    ("import top", {"top.py"}),
    ("import p", {"p/__init__.py"}),
    ("import p.a", {"p/__init__.py", "p/a.py"}),
    ("import p.q.c", {"p/__init__.py", "p/q/__init__.py", "p/q/c.py"}),
    ("from p import a, Name", {"p/__init__.py", "p/a.py"}),
    ("from p import *", {"p/__init__.py"}),
    ("import n", set()),
    ("import n.x", {"n/x.py"}),
    ("from n.m import y", {"n/m/y.py"}),
    ("import numpy, os.path", set()),
    ("import P, Top", set()),
    ("import top.below", {"top.py"}),
    ("import p.gone.c", {"p/__init__.py"}),
    ("from . import a", set()),
    ("from . import top", set()),
    ("from .top import x", set()),
    (LOAD + "import_module('n.x')", {"n/x.py"}),
    (LOAD + "import_module(f'{__package__}.top')", {"top.py"}),
    (LOAD + "import_module(f'n.{x}.{y}')\nNAMES = ['m.y']", {"n/x.py", "n/m/y.py"}),
    (LOAD + "import_module(f'n.{x}')\nNAMES = ['x', 'gone']", {"n/x.py", "n/m/y.py"}),
    (LOAD + "import_module(f'n.{x}')\nNAMES = ['n.x', 'top']", {"n/x.py", "n/m/y.py"}),
    (LOAD + "import_module(f'n.{x}.y')\nNAMES = ['m']", {"n/m/y.py"}),
    (
        "import pkgutil, p\npkgutil.iter_modules(p.__path__)",
        {"p/__init__.py", "p/a.py", "p/b.py", "p/q/__init__.py"},
    ),
    (
        "import pkgutil, p\npkgutil.walk_packages(p.__path__)",
        {"p/__init__.py", "p/a.py", "p/b.py", "p/q/__init__.py", "p/q/c.py"},
    ),
    (
        LOAD
        + "import pkgutil, numpy, n\npkgutil.iter_modules(numpy.__path__)\n"
        + "for x in pkgutil.iter_modules(n.__path__): import_module(x)",
        {"n/x.py"},
    ),
    (
        LOAD
        + "import pkgutil\nm = import_module('p')\n"
        + "for each in pkgutil.iter_modules(m.__path__): import_module(each)",
        {"p/__init__.py", "p/a.py", "p/b.py", "p/q/__init__.py"},
    ),
    ("import sys\nsys.path.append('n')\nimport x", {"n/x.py"}),
    ("import sys\nsys.path.append('./n/')\nimport x", {"n/x.py"}),
    ("import sys\nsys.path.append('.')\nimport top", {"top.py"}),
    ("import uvicorn\nuvicorn.run('n.x:app')", {"n/x.py"}),
    ("import runpy\nrunpy.run_path('n/x.py')", {"n/x.py"}),
    ("import runpy\nfor x in ['./n/x.py', 'gone.py']: runpy.run_path(x)", {"n/x.py"}),
    ("import runpy\nrunpy.run_path(f'n/{x}.py')", {"n/x.py", "n/m/y.py"}),
    ("import runpy\nrunpy.run_path(f'{x}/y.py')", {"n/m/y.py"}),
    ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'n.m.y'])", {"n/m/y.py"}),
    ("import subprocess, sys\nsubprocess.run([sys.executable, 'n/x.py', x])", {"n/x.py"}),
    (LOAD + "import_module(f'{x}.c')", {"p/__init__.py", "p/q/__init__.py", "p/q/c.py"}),
    (LOAD + "import_module(f'{x}.gone')", set()),
    (LOAD + "import_module(f't{x}')", {"top.py"}),
    (LOAD + "import_module(f'numpy.{x}')", set()),
    (LOAD + "for x in ('n.x:A', 'top'): import_module(x.partition(':')[0])", {"n/x.py", "top.py"}),
]

LAZY = "def __getattr__(name):\n    return TABLE[name]\nTABLE = {'a': 'x', 'k': '.q.c'}"
LISTING = LOAD + "import pkgutil\nfor x in pkgutil.iter_modules(__path__): import_module(f'{__name__}.{x}')"

# file, its text → what it reaches beside itself
RELATIVE: list[tuple[str, str, set[str]]] = [
    ("p/a.py", "from . import b", {"p/__init__.py", "p/b.py"}),
    ("p/a.py", "from .q import c", {"p/__init__.py", "p/q/__init__.py", "p/q/c.py"}),
    ("p/__init__.py", "from . import b", {"p/b.py"}),
    ("p/__init__.py", "from .b import *", {"p/b.py"}),
    ("p/q/c.py", "from .. import a", {"p/__init__.py", "p/q/__init__.py", "p/a.py"}),
    ("p/q/c.py", "from ..... import a", {"p/__init__.py", "p/q/__init__.py"}),
    ("n/m/y.py", "from ..x import z", {"n/x.py"}),
    (
        "p/a.py",
        LOAD + "import_module(f'n.{x}')\nNAMES = ['x', 'b']",
        {"p/__init__.py", "n/x.py", "n/m/y.py"},
    ),
    (
        "p/a.py",
        LOAD + "import_module(f'.q.{x}', __package__)\nNAMES = ['c']",
        {"p/__init__.py", "p/q/__init__.py", "p/q/c.py"},
    ),
    (
        "p/q/c.py",
        LOAD + "import_module(f'..{x}', __package__)\nNAMES = ['a']",
        {"p/__init__.py", "p/q/__init__.py", "p/a.py", "p/b.py"},
    ),
    ("p/__init__.py", LAZY, {"p/a.py", "p/q/__init__.py", "p/q/c.py"}),
    ("p/__init__.py", LOAD + "for x in ('b',): import_module('.' + x, __name__)", {"p/b.py"}),
    ("p/q/__init__.py", LOAD + "import_module('.' + x, __name__)", {"p/__init__.py", "p/q/c.py"}),
    ("p/__init__.py", LISTING, {"p/a.py", "p/b.py", "p/q/__init__.py"}),
]


@pytest.mark.parametrize(("text", "wanted"), ABSOLUTE)
def test_what_a_script_reaches(text: str, wanted: set[str]) -> None:
    """Each form of import, from a script at the root."""
    assert reached(text) == wanted


@pytest.mark.parametrize(("at", "text", "wanted"), RELATIVE)
def test_what_a_module_of_a_package_reaches(at: str, text: str, wanted: set[str]) -> None:
    """Each relative form; the packages above a module are loaded before it."""
    assert reached(text, at) == wanted


def test_a_star_import_brings_what_all_names() -> None:
    """Only a submodule that ``__all__`` names; all of them where ``__all__`` is computed."""
    own = {"p/__init__.py", "p/a.py"}
    assert reached("from p import *", package="__all__ = ['a']") == own
    everything = own | {"p/b.py", "p/q/__init__.py"}
    assert reached("from p import *", package="__all__ = [x for x in y]") == everything
    assert reached("import p", package="__all__ = ['a']") == {"p/__init__.py"}


def test_a_computed_name_without_a_known_part() -> None:
    """Then the file is named, and every module of the image has to count; nothing beside it helps."""
    for text in (
        "import_module(x)",
        "import_module(x)\nNAMES = ['top']",
        "import_module(f'.{x}', __package__)",
        "list(map(import_module, x))",
        "import pkgutil, numpy\npkgutil.iter_modules(numpy.__path__)\nimport_module(x)",
        "import pkgutil, p\npkgutil.iter_modules(p.__path__)\nimport_module(x)",
        "import pkgutil\npkgutil.iter_modules(x.__path__)",
        "import pkgutil\npkgutil.iter_modules(x.__path__)\nNAMES = ['p']",
        "import runpy\nrunpy.run_path(x)",
        "import runpy\nrunpy.run_path(f'{x}.py')\nNAMES = ['n/x.py']",
    ):
        tree = dict.fromkeys(MANY, "") | {"start.py": LOAD + text}
        assert closure_of(tree, ["start"]).computed == ("start.py",), text


def test_literals_come_on_top_of_a_computed_name() -> None:
    """They are followed, so that the report can say why, and nothing is left out because of them."""
    for text, file in [
        ("import_module(x)\nNAMES = ['n.m.y.Class']", "n/m/y.py"),
        ("import_module(x)\nNAMES = ['n.x:Class']", "n/x.py"),
        ("import_module(f'.{x}', __package__)\nNAMES = ['top']", "top.py"),
        ("run_path(x)\nNAMES = ['./n/x.py']", "n/x.py"),
    ]:
        closure = closure_of(dict.fromkeys(MANY, "") | {"start.py": LOAD + text}, ["start"])
        assert file in closure.reached
        assert closure.computed == ("start.py",)


def test_a_list_of_a_foreign_package_names_nothing_here() -> None:
    """What ``pkgutil`` lists of numpy, or of a package without modules, is known to be no file of ours."""
    listing = "for x in pkgutil.iter_modules({}.__path__): import_module(x.name)"
    for package in ("numpy", "empty"):
        text = f"{LOAD}import pkgutil, {package}\n{listing.format(package)}"
        closure = closure_of({"start.py": text, "empty/__init__.py": "", "other.py": ""}, ["start"])
        assert (closure.computed, "other.py" in closure.reached) == ((), False)


def test_what_may_import_anything_is_told_with_its_file() -> None:
    """Only of files that are reached."""
    files = {"start.py": "import a\neval(x)", "a.py": "import pickle\npickle.load(f)", "b.py": "exec(x)"}
    closure = closure_of(files, ["start"])
    assert closure.doubts == (("start.py", "eval"), ("a.py", "pickle.load"))
    assert closure.computed == ()


def test_a_file_with_two_names_is_computed_where_one_of_them_leaves_it_open() -> None:
    """With ``/`` and ``/p`` as roots ``p/a.py`` is ``a`` and ``p.a``: a name found later ends no doubt."""
    files = {"p/a.py": LOAD + "import_module(f'{__package__}.{x}')\nNAMES = ['b']", "p/b.py": ""}
    for roots, computed in ((["/p", "/"], ("p/a.py",)), (["/p"], ("p/a.py",)), (["/"], ())):
        closure = closure_of(files, ["/p/a.py"], roots)
        assert (set(closure.reached), closure.computed) == ({"p/a.py", "p/b.py"}, computed)


TWICE = ["one/a/__init__.py", "one/a/b.py", "two/a/__init__.py", "two/a/b.py"]
SOURCES = ["lib/x/setup.py", "lib/x/a/__init__.py", "lib/x/a/b.py"]

# files of the tree, roots → the file that ``import a.b`` ends at
CHOICES: list[tuple[str, list[str], tuple[str, ...], str | None]] = [
    ("a package goes before a module", ["a/b.py", "a/b/__init__.py"], ("/",), "a/b/__init__.py"),
    ("a module goes before a namespace", ["a/b.py", "a/b/c.py"], ("/",), "a/b.py"),
    ("the first root wins", TWICE, ("/one", "/two"), "one/a/b.py"),
    ("in their order", TWICE, ("/two", "/one"), "two/a/b.py"),
    ("a regular package hides portions", ["one/a/b.py", "two/a/__init__.py"], ("/one", "/two"), None),
    ("portions come from all roots", ["one/a/x.py", "two/a/b.py"], ("/one", "/two"), "two/a/b.py"),
    ("a module has no submodules", ["one/a.py", "two/a/b.py"], ("/one", "/two"), None),
    ("an installed project", SOURCES, ("/",), "lib/x/a/b.py"),
    ("an installed project with src", ["lib/pyproject.toml", "lib/src/a/b.py"], ("/",), "lib/src/a/b.py"),
    ("a project at the root", ["setup.py", "a/b.py"], ("/one",), "a/b.py"),
    ("a project at the root with src", ["setup.cfg", "src/a/b.py"], ("/one",), "src/a/b.py"),
    ("names that differ in case", ["A/b.py", "a/B.py"], ("/",), None),
]


@pytest.mark.parametrize(("files", "roots", "wanted"), [r[1:] for r in CHOICES], ids=[r[0] for r in CHOICES])
def test_which_file_a_name_means(files: list[str], roots: tuple[str, ...], wanted: str | None) -> None:
    """Python's own order of search."""
    closure = closure_of(dict.fromkeys(files, "") | {"start.py": "import a.b"}, ["/start.py"], roots)
    astray = {path for paths in closure.strays.values() for path in paths}
    ends = {path for path in closure.reached if path.endswith(("b.py", "b/__init__.py"))} - astray
    assert ends == ({wanted} if wanted else set())


def test_the_chain_leads_back_to_the_entry_point() -> None:
    """The shortest way, the path itself first; circular imports end."""
    files = {
        "w/__init__.py": "",
        "w/main.py": "from w import features, odds",
        "w/features.py": "import shared.odds, w.main",
        "w/odds.py": "import w.features",
        "shared/odds.py": "import w.odds",
    }
    chains = closure_of(files, ["w.main"]).reached
    assert chains["shared/odds.py"] == ("shared/odds.py", "w/features.py", "w/main.py")
    assert chains["w/odds.py"] == ("w/odds.py", "w/main.py")
    assert chains["w/__init__.py"] == ("w/__init__.py", "w/main.py")
    assert chains["w/main.py"] == ("w/main.py",)
    assert "gone.py" not in chains
    assert dict(chains) == chains
    assert len(chains) == 5


# entry, roots → found, reached
ENTRIES: list[tuple[str, bool, set[str]]] = [
    ("w.main", True, {"w/__init__.py", "w/main.py"}),
    ("/w/main.py", True, {"w/__init__.py", "w/main.py"}),
    ("w", True, {"w/__init__.py", "w/__main__.py"}),
    ("w.__main__", True, {"w/__init__.py", "w/__main__.py"}),
    ("ns", True, {"ns/__main__.py"}),
    ("/scripts/run-it.py", True, {"scripts/run-it.py"}),
    ("w.gone", False, set()),
    ("/w/gone.py", False, set()),
    ("scripts", False, set()),
    ("W.main", False, set()),
    ("", False, set()),
    ("/", False, set()),
]


@pytest.mark.parametrize(("entry", "found", "wanted"), ENTRIES)
def test_entry_points(entry: str, found: bool, wanted: set[str]) -> None:
    """A module, a script, ``python -m package``; one that is nowhere is named and reaches nothing."""
    files = ["w/__init__.py", "w/__main__.py", "w/main.py", "ns/__main__.py", "scripts/run-it.py"]
    closure = closure_of(dict.fromkeys(files, ""), [entry])
    assert (set(closure.reached), closure.unfound) == (wanted, () if found else (entry,))


@pytest.mark.parametrize("entry", ["/w/main.py", "/w/__init__.py"])
def test_a_file_of_a_package_has_its_name(entry: str) -> None:
    """Also where it is given as a path: its relative imports lead somewhere, and the chain to it."""
    files = {"w/__init__.py": "", "w/main.py": "", "w/a.py": "", entry[1:]: "from . import a"}
    reached = closure_of(files, [entry]).reached
    assert reached["w/a.py"] == ("w/a.py", entry[1:])
    assert set(reached["w/__init__.py"]) == {"w/__init__.py", entry[1:]}


def test_a_script_outside_of_every_root() -> None:
    """It runs and imports what the roots hold."""
    files = {"bin/start.py": "import a", "lib/a.py": ""}
    assert set(closure_of(files, ["/bin/start.py"], ["/lib"]).reached) == {"bin/start.py", "lib/a.py"}


def test_what_only_a_type_checker_reads_is_listed() -> None:
    """Never counted, unless something else imports it as well."""
    files = {
        "start.py": "import c, q.x\nif TYPE_CHECKING:\n    from p import a, b\n    import c, numpy",
        "q/x.py": "if TYPE_CHECKING:\n    from .y import Name",
        **dict.fromkeys(["p/__init__.py", "p/a.py", "p/b.py", "c.py", "q/y.py"], ""),
    }
    closure = closure_of(files, ["start"])
    assert set(closure.reached) == {"start.py", "c.py", "q/x.py"}
    assert closure.typing_only == ("p/__init__.py", "p/a.py", "p/b.py", "q/y.py")


def test_a_syntax_error_keeps_the_file_and_stops_nothing() -> None:
    """What its lines seem to import is reached too."""
    files = {"start.py": "import bad, good", "bad.py": "import a\nprint 'x'", "a.py": "", "good.py": ""}
    closure = closure_of(files, ["start"])
    assert set(closure.reached) == set(files)
    assert closure.syntax_errors == ("bad.py",)


def test_links_are_reached_with_their_target() -> None:
    """The image's path goes through a link: link and target both count, with the same chain."""
    layout = {"/app/start.py": "start.py", "/app/lib/a.py": "real/a.py"}
    files = {"start.py": "import lib.a", "real/a.py": ""}
    closure = closure_of(files, ["start"], ["/app"], layout=layout, links={"/app/lib/a.py": ["lib"]})
    assert closure.reached["real/a.py"] == ("real/a.py", "start.py")
    assert closure.reached["lib"] == ("lib", "start.py")


#: predictions/worker/ is copied to /app, shared/ beside it; the rest of the repository is not.
REPOSITORY = {
    "predictions/__init__.py": "",
    "predictions/worker/__init__.py": "",
    "predictions/worker/helpers.py": "",
    "predictions/grader/score.py": "",
    "shared/__init__.py": "from shared.odds import known\n",
    "shared/odds.py": "",
    "shared/known.py": "",
    "shared/late.py": "",
    "tools/extra.py": "",
    "types.py": "",
    "email/extra.py": "",
    "docs/conf.py": "",
}
COPIED = {
    "/app/worker.py": "predictions/worker/worker.py",
    "/app/shared/__init__.py": "shared/__init__.py",
    "/app/shared/odds.py": "shared/odds.py",
}

# text of the worker → the modules that the image lacks
LACKING: list[tuple[str, dict[str, str]]] = [
    ("import shared.odds", {}),
    ("import shared.late", {"shared.late": "shared/late.py"}),
    ("from shared import late", {"shared.late": "shared/late.py"}),
    ("def f():\n    from shared.late import x", {"shared.late": "shared/late.py"}),
    ("import helpers", {"helpers": "predictions/worker/helpers.py"}),
    ("import predictions.grader.score", {"predictions.grader.score": "predictions/grader/score.py"}),
    ("from tools import extra", {}),
    ("import tools.extra", {"tools.extra": "tools/extra.py"}),
    ("from shared import known, Name", {}),
    ("import numpy, docs", {}),
    ("import types", {}),
    ("import email.extra", {}),
    ("try:\n    import shared.late\nexcept ImportError:\n    pass", {}),
    ("if TYPE_CHECKING:\n    import shared.late", {}),
    ("if __name__ == '__main__':\n    import shared.late", {}),
]


@pytest.mark.parametrize(("text", "wanted"), LACKING)
def test_a_module_that_was_not_copied(text: str, wanted: dict[str, str]) -> None:
    """Only what the program cannot do without: no attribute, no optional import, nothing installed."""
    files = REPOSITORY | {"predictions/worker/worker.py": text}
    closure = closure_of(files, ["worker"], ["/app"], layout=COPIED)
    assert {missing.module: missing.path for missing in closure.incomplete} == wanted


# text of start.py → the modules that lead nowhere, and what they are taken for
ASTRAY: list[tuple[str, dict[str, tuple[str, ...]]]] = [
    ("import lib.m", {"lib.m": ("build/lib/m.py",)}),
    ("from lib.m import x", {"lib.m": ("build/lib/m.py",)}),
    ("import m", {"m": ("build/lib/m.py", "other/m.py")}),
    ("from lib import m", {"lib": ("build/lib/__init__.py",), "lib.m": ("build/lib/m.py",)}),
    ("from lib import *", {"lib": ("build/lib/__init__.py",)}),
    ("import json.m, numpy.m", {}),
    ("try:\n    import m\nexcept ImportError:\n    pass", {}),
    ("try:\n    import lib.m\nexcept ImportError:\n    pass", {"lib.m": ("build/lib/m.py",)}),
    ("import lib.gone", {}),
]


@pytest.mark.parametrize(("text", "wanted"), ASTRAY)
def test_an_import_that_leads_nowhere(text: str, wanted: dict[str, tuple[str, ...]]) -> None:
    """It reaches what the image holds under a path that ends like it: a build may have moved that."""
    files = {"start.py": text, "build/lib/__init__.py": "", "build/lib/m.py": "", "other/m.py": ""}
    closure = closure_of(files, ["/app/start.py"], ["/app"], layout={f"/app/{path}": path for path in files})
    assert dict(closure.strays) == wanted
    assert set(closure.reached) == {"start.py", *(path for paths in wanted.values() for path in paths)}
    assert (closure.incomplete, closure.unresolved) == ((), ())


def test_what_a_stray_imports_is_followed() -> None:
    """Under the name that it was imported by: its relative imports lead somewhere."""
    files = {"start.py": "import lib.m", "x/lib/m.py": "from . import n\nfrom .o import p"}
    files |= {"x/lib/n.py": "", "x/lib/o.py": ""}
    layout = {f"/app/{path}": path for path in files}
    reached = closure_of(files, ["/app/start.py"], ["/app"], layout=layout).reached
    assert reached["x/lib/n.py"] == ("x/lib/n.py", "x/lib/m.py", "start.py")
    assert "x/lib/o.py" in reached


def test_a_package_without_its_file_is_a_namespace() -> None:
    """``predictions/__init__.py`` was not copied: Python imports what is below all the same."""
    layout = {"/app/predictions/worker/worker.py": "predictions/worker/worker.py"}
    layout["/app/predictions/worker/helpers.py"] = "predictions/worker/helpers.py"
    text = "import predictions.worker.helpers\nfrom predictions.worker import helpers\nimport predictions"
    files = REPOSITORY | {"predictions/worker/worker.py": text}
    closure = closure_of(files, ["predictions.worker.worker"], ["/app"], layout=layout)
    assert set(closure.reached) == set(layout.values())
    assert closure.incomplete == ()


@pytest.mark.parametrize("root", ["/app", "/"])
def test_a_missing_module_carries_its_chain(root: str) -> None:
    """Who imports it, back to the entry point."""
    files = {"start.py": "import a", "a.py": "import b", "b.py": ""}
    layout = {f"{root.rstrip('/')}/{name}": name for name in ("start.py", "a.py")}
    closure = closure_of(files, ["start"], [root], layout=layout)
    assert closure.incomplete == (Missing("b", "b.py", ("a.py", "start.py")),)


def test_a_folder_that_stands_for_nothing_misses_nothing() -> None:
    """The image's root holds nothing of the repository; what is sought there is somebody else's."""
    files = {"worker/start.py": "import b, numpy", "b.py": ""}
    closure = closure_of(files, ["start"], ["/app", "/"], layout={"/app/start.py": "worker/start.py"})
    assert closure.incomplete == ()


def test_only_reached_files_are_read() -> None:
    """Facts are asked for what is imported, not for the whole image."""
    asked: list[str] = []

    def facts(path: str) -> ImportFacts:
        asked.append(path)
        return facts_of(b"import a" if path == "start.py" else b"")

    close(["start"], ["/"], {f"/{name}.py": f"{name}.py" for name in ("start", "a", "b")}, facts)
    assert set(asked) == {"start.py", "a.py"}


@pytest.mark.heavy
def test_a_chain_of_twenty_thousand_files() -> None:
    """Neither depth nor number is a problem: no recursion, no list of chains."""
    count = 20_000
    layout = {f"/app/m{number}.py": f"m{number}.py" for number in range(count)}
    following = {f"m{number}.py": facts_of(f"import m{number + 1}".encode()) for number in range(count)}
    closure = close(["m0"], ["/app"], layout, following.__getitem__, list(following))
    assert len(closure.reached) == count
    assert len(closure.reached[f"m{count - 1}.py"]) == count


def test_a_name_of_thousands_of_parts() -> None:
    """It leads nowhere, and no RecursionError escapes."""
    name = ".".join(["a"] * 5000)
    files = {"start.py": f"import {name}\nif TYPE_CHECKING:\n    import {name}", "a/__init__.py": ""}
    assert set(closure_of(files, ["start"]).reached) == {"start.py", "a/__init__.py"}
