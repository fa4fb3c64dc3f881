"""The rules of the house: who may import whom, and what the front door may load."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.house import COORDINATOR, GATE, House

pytestmark = pytest.mark.texts
ROOT = Path(__file__).parent.parent
#: Who may import what from outside, by the beginning of its path; everybody else may not.
BOUNDED: dict[str, tuple[str, ...]] = {
    "google": (
        "sources/cloud_run/",
        "delivery/release/",
        "sources/health/tokens.py",
        "testing/cloud_run",
        "journal/bigquery_table.py",
        "journal/firestore_calls.py",
        "delivery/release/cloud_run.py",
    ),
    "grpc": ("sources/cloud_run/", "testing/cloud_run"),
    "fastapi": ("fingerprint.py",),
    "flask": ("fingerprint.py",),
    "git": ("sources/git/local_repository.py",),
    "opentelemetry": ("journal/telemetry.py",),
    "tenacity": ("runtime/deadline.py",),
    "httpx": ("sources/http/",),
    "httpcore": ("sources/http/",),
}
FILES = GATE.files
HOUSES = pytest.mark.parametrize("house", [GATE, COORDINATOR], ids=lambda house: house.name)
#: Lines of a file and of a function that a reader takes in.
LONGEST_FILE, LONGEST_FUNCTION = 400, 40


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path) -> tuple[tuple[str, bool], ...]:
    """Every module that the file imports, and whether only for the type checker."""
    return tuple(_imports(parsed(file)))


def _imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, id(node) in typing_only) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in typing_only
            yield from ((f"{node.module}.{name.name}", id(node) in typing_only) for name in node.names)


@HOUSES
def test_every_room_has_its_floor(house: House) -> None:
    """What lies at the top of the package is a room of the table, and the table names nothing else."""
    seen = {
        path.stem
        for path in house.folder.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert seen - {"__init__"} == {name for floor in house.floors for name in floor}


@HOUSES
def test_the_house_is_seen_at_one_look(house: House) -> None:
    """Whoever needs a further floor, or a twenty-third room, looks first for what is in the wrong one."""
    assert len(house.floors) <= 11
    assert sum(map(len, house.floors)) <= 22


@HOUSES
def test_a_room_imports_only_from_itself_and_the_floors_below(house: House) -> None:
    """Facts flow one way, for the type checker too; the gate never imports ``predictions``."""
    upwards = []
    for file in house.files:
        relative = file.relative_to(house.folder)
        own = relative.parts[0].removesuffix(".py")
        for module, _ in imports(file):
            other = house.room(module)
            above = other and own not in ("__init__", other) and house.floor(other) >= house.floor(own)
            if above or (house is GATE and module.startswith("predictions")):
                upwards.append(f"{relative} imports {module}")
    assert upwards == []


@HOUSES
def test_no_modules_import_each_other_in_a_circle(house: House) -> None:
    """Within a room, too, and for the type checker as well."""
    names = {
        ".".join((house.name, *file.relative_to(house.folder).with_suffix("").parts)): file
        for file in house.files
    }
    graph = {name: {each for each, _ in imports(file)} & names.keys() for name, file in names.items()}
    list(TopologicalSorter({name: needs - {name} for name, needs in graph.items()}).static_order())


def test_a_file_of_the_coordinator_and_its_functions_are_taken_in_at_once() -> None:
    for file in COORDINATOR.files:
        assert file.read_text(encoding="utf-8").count("\n") <= LONGEST_FILE, file
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{file}: {node.name}"


@HOUSES
def test_the_map_of_the_house_is_the_table_of_its_floors(house: House) -> None:
    """CONTRIBUTING.md cannot rot: ``make readme`` writes the map."""
    assert house.table() in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_a_foreign_library_has_one_place() -> None:
    """Google, git, httpx and tenacity are imported where they are spoken to and nowhere else."""
    for file in FILES:
        relative = str(file.relative_to(GATE.folder))
        for module, _ in imports(file):
            library = module.split(".")[0]
            assert relative.startswith(BOUNDED.get(library, "")), f"{relative} imports {module}"


def test_the_environment_is_read_in_one_place_and_changed_in_none() -> None:
    """``os.environ`` and its relatives appear in the settings alone."""
    assert {file.parent.name for file in filter(reads_environ, FILES)} == {"settings"}


def reads_environ(file: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in {"environ", "environb", "getenv", "putenv", "unsetenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(parsed(file))
    )


def of_re(called: ast.expr) -> bool:
    """Whether it is ``re.compile`` or another function of ``re``."""
    return (
        isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re"
    )


def patterns(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What stands in calls of ``re``, with its line: the constant parts of the first argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and of_re(node.func):
            for part in ast.walk(node.args[0]):
                if isinstance(part, ast.Constant) and isinstance(part.value, (str, bytes)):
                    text = part.value if isinstance(part.value, str) else part.value.decode()
                    yield node.lineno, text


def possessive(pattern: str) -> bool:
    """Whether a quantifier takes all and gives nothing back; in a class and behind a backslash none does."""
    return bool(
        re.search(r"[*+?}]\+", re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL))
    )


def test_no_two_test_modules_share_a_name() -> None:
    """pytest imports a test module by its name alone: the second of a name ends the run."""
    names = sorted(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, next_ in pairwise(names) if name == next_] == []


@pytest.mark.parametrize("folder", ["drift_gate", "predictions", "scripts", "tests"])
def test_no_pattern_takes_a_group_possessively(folder: str) -> None:
    """Python 3.11.2, Debian 12's own, fails to match ``(?:a|b(?!b))*+bb`` on ``aabb``."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        if "import re\n" not in file.read_text(encoding="utf-8"):
            continue
        for line, pattern in patterns(parsed(file)):
            assert not possessive(pattern), f"{file}:{line}"


@pytest.mark.parametrize(
    ("pattern", "is_one"),
    [(r"(?:a|b)*+c", True), (r"[^x]++", True), (r"a{2,3}+", True), (r"a?+", True)]
    + [(each, False) for each in (r"[*+]+", r"\*+", r"(a*)+", r"[]+*]+", r"(?>a+)+")],
)
def test_what_a_possessive_quantifier_looks_like(pattern: str, is_one: bool) -> None:
    re.compile(pattern)
    assert possessive(pattern) == is_one


def test_the_namespaces_stay_open() -> None:
    """A user's repository has its own ``shared/``: ours must not own the package."""
    for folder in ("shared", "shared/utils", "predictions"):
        assert not (ROOT / folder / "__init__.py").exists()


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    # What measures the coverage of child processes loads modules of its own.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_front_door_loads_no_adapter() -> None:
    """Importing it costs pydantic and our models: no grpc, no google, no git, no httpx, no rich."""
    statement = "from shared.utils.deployment_checker import check_worker_drift, DeploymentDriftError"
    assert not loaded_by(statement) & {
        "grpc",
        "google",
        "git",
        "rich",
        "tenacity",
        "sqlite3",
        "httpx",
        "opentelemetry",
    }


#: The files of the coordinator that speak HTTP to a caller; nothing else loads what that takes.
SERVING = {"app.py", "connections.py", "dashboard.py", "middleware.py", "openapi.py", "server.py"}
WORKER_SERVING = Path("predictions", "worker", "serve.py")


def test_a_web_framework_is_imported_where_the_coordinator_serves() -> None:
    for file in (ROOT / "predictions").rglob("*.py"):
        if (file.parent.name == "http" and file.name in SERVING) or file == ROOT / WORKER_SERVING:
            continue
        libraries = {module.split(".")[0] for module, _ in imports(file)}
        assert not libraries & {"fastapi", "starlette", "uvicorn"}, file


@pytest.mark.parametrize(
    "argv", [["--help"], ["--version"], ["explain"], ["explain", "ahead"], ["explain", "ahea"]]
)
def test_help_and_explanations_load_nothing_but_argparse(argv: list[str]) -> None:
    """They come at once, and from a broken installation, too; so does what a slip of the hand may mean."""
    loaded = loaded_by(
        "import contextlib, io\n"
        "from drift_gate.commands.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main({argv!r})"
    )
    own = loaded - sys.stdlib_module_names - loaded_by("pass")
    assert own == {"drift_gate"}


@pytest.mark.parametrize("program", ["drift_gate.commands.main", "predictions.coordinator.commands.main"])
def test_a_program_of_ours_looks_for_no_garbage_at_its_end(program: str) -> None:
    """What it loaded is let lie: Python's last looks at all of it take longer than the check."""
    code = (
        "import atexit, contextlib, gc, os\n"
        "atexit.register(lambda: os.write(1, str(gc.get_freeze_count()).encode()))\n"
        f"from {program} import main\n"
        "with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1000


def test_the_command_line_loads_no_server_and_no_google() -> None:
    """An extra is needed by who uses it, and by nobody else."""
    loaded = loaded_by("import predictions.coordinator.commands.main")
    assert not loaded & {"fastapi", "starlette", "uvicorn", "grpc", "google"}


def test_a_journal_in_firestore_loads_google_when_it_is_asked() -> None:
    """Not before, on the thread of a verdict."""
    loaded = loaded_by(
        "import drift_gate.wiring.journals\n"
        "from drift_gate.journal.firestore import Database, FirestoreJournal\n"
        "FirestoreJournal(Database('example-project'))"
    )
    assert not loaded & {"grpc", "google"}


@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("import predictions.worker.__main__", {"fastapi", "grpc", "google", "pydantic"}),
        ("import predictions.worker.pull", {"fastapi", "uvicorn", "pydantic"}),
        ("import predictions.coordinator.dispatch.local", {"grpc", "google", "httpx"}),
    ],
)
def test_a_worker_and_a_way_to_it_load_what_they_use(statement: str, lacks: set[str]) -> None:
    assert not loaded_by(statement) & lacks


def test_the_worker_knows_nothing_of_the_coordinator() -> None:
    """Its image holds nothing of it, and of the gate the fingerprint alone."""
    for file in (ROOT / "predictions" / "worker").glob("*.py"):
        for module, _ in imports(file):
            assert not module.startswith("predictions.coordinator"), file
            assert not module.startswith("shared.") or module.startswith("drift_gate.fingerprint"), file


def test_the_names_are_one_object_through_every_door() -> None:
    """``except DeploymentDriftError`` works whichever module it was imported from."""
    import drift_gate
    from drift_gate import errors
    from predictions.coordinator import exceptions
    from shared.utils import deployment_checker

    assert exceptions.DeploymentDriftError is errors.DeploymentDriftError
    assert deployment_checker.DeploymentDriftError is errors.DeploymentDriftError
    assert drift_gate.__all__ == deployment_checker.__all__
    for name in drift_gate.__all__:
        assert getattr(drift_gate, name) is getattr(deployment_checker, name)


def test_the_front_door_offers_what_it_promises() -> None:
    """The export list is a contract."""
    from shared.utils import deployment_checker

    assert sorted(deployment_checker.__all__) == [
        "DeploymentDriftError",
        "DriftCheckError",
        "DriftConfigError",
        "DriftGateError",
        "DriftReport",
        "DriftUnknownError",
        "Start",
        "Verdict",
        "check_worker_drift",
        "require_current_worker",
    ]
    assert all(hasattr(deployment_checker, name) for name in deployment_checker.__all__)
