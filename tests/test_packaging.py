"""What is shipped: the files of both wheels, and the gate in other people's repositories."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.heavy import light

import drift_gate

ROOT = Path(__file__).parents[1]
#: Where the gate's requirements are installed; as a path and nothing more, so that our own tree is not seen.
INSTALLED = sysconfig.get_path("purelib")


def run(argv: Sequence[str | Path], cwd: Path, **environ: str) -> str:
    """What ``argv`` prints in ``cwd``; it has to succeed."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    done = subprocess.run(
        list(map(str, argv)), cwd=cwd, env=kept | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(source: Path) -> Path:
    """The wheel of ``source``, without network."""
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", source], source)
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheels are made of, and of what must not get into them."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("drift_gate", "shared", "predictions", "cloud_functions", "bin", "tests", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    return built(tree)


@pytest.fixture(scope="module")
def coordinator(tree: Path) -> Path:
    return built(tree / "predictions")


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def tops(held: Sequence[str]) -> set[str]:
    """What a wheel puts at the top level."""
    return {name.partition("/")[0] for name in held if ".dist-info/" not in name}


def modules(*folders: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for top in folders for path in (ROOT / top).rglob("*.py")}


def entry_points(wheel: Path) -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        (file,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(file).decode())
    return {group: dict(points[group]) for group in points.sections()}


class TestTheWheelOfTheGate:
    def test_is_named_as_the_project(self, wheel: Path) -> None:
        assert wheel.name == f"prediction_drift_gate-{drift_gate.__version__}-py3-none-any.whl"

    def test_holds_the_gate_and_its_second_door_and_nothing_else(self, wheel: Path) -> None:
        held = names(wheel)
        assert {name.partition("/")[0] for name in held if ".dist-info/" not in name} == {
            "drift_gate",
            "shared",
        }
        assert {name for name in held if name.endswith(".py")} == modules("drift_gate", "shared")
        assert {name for name in held if name.startswith("shared/")} == {
            "shared/utils/deployment_checker.py",
            "shared/utils/py.typed",
        }
        assert "drift_gate/py.typed" in held

    def test_offers_programs_that_exist(self, wheel: Path) -> None:
        points = entry_points(wheel)
        assert points == {
            "console_scripts": {"deployment-drift": "drift_gate.commands.main:main"},
            "pytest11": {"drift-gate": "drift_gate.testing.plugin"},
        }
        loadable(points)


@pytest.mark.heavy
class TestTheWheelOfTheCoordinator:
    def test_holds_every_module_under_predictions_and_nothing_else(self, coordinator: Path) -> None:
        held = names(coordinator)
        assert {name for name in held if name.endswith(".py")} == modules("predictions")
        assert tops(held) == {"predictions"}
        assert {
            "predictions/coordinator/py.typed",
            "predictions/worker/py.typed",
            "predictions/coordinator/slates/2026-02-05.csv",
        } <= set(held)

    def test_has_the_version_of_the_gate_that_it_requires(self, coordinator: Path) -> None:
        assert coordinator.name == f"prediction_coordinator-{drift_gate.__version__}-py3-none-any.whl"
        with zipfile.ZipFile(coordinator) as archive:
            (file,) = [name for name in archive.namelist() if name.endswith("METADATA")]
            told = archive.read(file).decode()
        assert re.search(r"^Requires-Dist: prediction-drift-gate$", told, re.MULTILINE)

    def test_offers_programs_that_exist(self, coordinator: Path) -> None:
        points = entry_points(coordinator)
        assert list(points["console_scripts"]) == ["prediction-coordinator"]
        loadable(points)


def loadable(points: dict[str, dict[str, str]]) -> None:
    for group in points.values():
        for target in group.values():
            module, _, name = target.partition(":")
            loaded = __import__(module, fromlist=["_"])
            assert not name or callable(getattr(loaded, name))


@pytest.mark.parametrize("package", ["shared", "shared/utils", "predictions"])
def test_a_namespace_package_has_no_init(package: str) -> None:
    """A user's repository has its own ``shared``; an ``__init__`` of ours would hide it, or be hidden."""
    assert not (ROOT / package / "__init__.py").exists()


# The gate in the repositories of others.

#: What an adopter's program sees: where the gate was found, and whether the second door is open.
LOOK = """
import json, sys
import drift_gate
from drift_gate import DeploymentDriftError, check_worker_drift, require_current_worker
offered = {name: getattr(drift_gate, name) for name in drift_gate.__all__}
import shared.utils.helpers
try:
    from shared.utils import deployment_checker as door
except ImportError:
    door = None
same = door and all(getattr(door, name) is offered[name] for name in offered)
import drift_gate.commands.main
print(json.dumps([drift_gate.__file__, shared.utils.helpers.ANSWER, same]))
"""
#: The packages of an adopter that are named ``shared``: which of them are regular ones, and in which folder.
LAYOUTS = {
    "a regular package": (("shared", "shared/utils"), "."),
    "a namespace package": ((), "."),
    "a regular package in a namespace": (("shared/utils",), "."),
    "a src layout": (("shared", "shared/utils"), "src"),
    "a src layout with a namespace package": ((), "src"),
}


def adopter(folder: Path, layout: str) -> Path:
    """A repository with a ``shared/`` of its own; the folder in which Python finds its packages."""
    regular, place = LAYOUTS[layout]
    top = folder / place
    (top / "shared" / "utils").mkdir(parents=True)
    (top / "shared" / "utils" / "helpers.py").write_text("ANSWER = 42\n")
    for package in regular:
        (top / package / "__init__.py").touch()
    return top


def see(python: Path, top: Path, *, door: bool) -> None:
    """What the adopter's program imports, with and without the second door."""
    where, answer, same = json.loads(run([python, "-c", LOOK], top, PYTHONPATH=str(top)))
    assert Path(where).is_relative_to(python.parents[1])
    assert (answer, same) == (42, True if door else None)


def with_requirements(environment: Path) -> Path:
    """The Python of a virtual environment, which finds the requirements that are installed for ours."""
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "requirements.pth").write_text(f"{INSTALLED}\n")
    return environment / "bin" / "python"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment into which pip has installed the wheel, without network."""
    environment = tmp_path_factory.mktemp("pip") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", environment], environment.parent)
    python = with_requirements(environment)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "--quiet",
        "--disable-pip-version-check",
    ]
    run([*pip, "install", "--no-compile", "--no-deps", "--no-index", wheel], environment.parent)
    return python


@pytest.mark.parametrize("layout", light(LAYOUTS, ["a regular package"]))
def test_it_installs_beside(layout: str, installed: Path, tmp_path: Path) -> None:
    """The second door is open where no regular package of the adopter's hides it; the gate always works."""
    see(installed, adopter(tmp_path, layout), door=not LAYOUTS[layout][0])


@pytest.mark.heavy
def test_uv_adds_it_to_a_project(wheel: Path, tmp_path: Path) -> None:
    """``uv add`` resolves, locks and installs; the requirements count as met, since no index is asked."""
    required = configparser.ConfigParser()
    required.read(ROOT / "setup.cfg")
    met = [
        re.split("[<>=]", line)[0] + "; python_version < '3'"
        for line in required["options"]["install_requires"].split()
    ]
    top = adopter(tmp_path, "a namespace package")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "adopter"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"[tool.uv]\noverride-dependencies = {json.dumps(met)}\n"
    )
    cache = f"--cache-dir={tmp_path / 'cache'}"
    uv: list[str | Path] = [
        Path(sys.executable).parent / "uv",
        "--offline",
        "--quiet",
        cache,
        "--no-python-downloads",
    ]
    run([*uv, "add", "--python", sys.executable, wheel], tmp_path)
    wanted: Any = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert wanted["project"]["dependencies"] == ["prediction-drift-gate"]
    see(with_requirements(tmp_path / ".venv"), top, door=True)


@pytest.mark.heavy
def test_one_folder_is_vendored(tmp_path: Path) -> None:
    """A copy of ``drift_gate/`` in a ``src/`` layout checks a service; nothing of ours is installed."""
    top = adopter(tmp_path, "a src layout")
    shutil.copytree(ROOT / "drift_gate", top / "drift_gate", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "drift.toml").write_text(
        '[defaults]\nlive = "ledger"\ntarget_ref = "HEAD"\n[services.worker]\npaths = ["/src/"]\n'
    )
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    run(["git", "init", "--quiet"], tmp_path)
    run(["git", "add", "."], tmp_path)
    run(["git", *identity, "commit", "--quiet", "--message", "Predict"], tmp_path)
    # Without `site` no .pth file is read, so that our own tree is not seen.
    program = "import sys; from drift_gate.commands.main import main; sys.exit(main())"
    command = [sys.executable, "-S", "-c", program]
    path = os.pathsep.join([str(top), INSTALLED])
    head = run(["git", "rev-parse", "HEAD"], tmp_path).strip()
    run([*command, "record", "worker", "--commit", head], tmp_path, PYTHONPATH=path)
    verdicts = json.loads(run([*command, "check", "--format", "json"], tmp_path, PYTHONPATH=path))
    assert [each["decision"] for each in verdicts["services"]] == ["allow"]
