"""What is shipped: the wheel's files, the entry points, and the goals of the Makefile."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of, without network."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for name in ("drift_gate", "shared", "predictions", "tests", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_is_named_as_the_project(wheel: Path) -> None:
    assert wheel.name == "prediction_drift_gate-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    "file",
    [
        "drift_gate/py.typed",
        "shared/utils/py.typed",
        "predictions/coordinator/py.typed",
        "predictions/worker/py.typed",
        "predictions/coordinator/slates/2026-02-05.csv",
        "drift_gate/testing/plugin.py",
        "drift_gate/sources/ledger.py",
    ],
)
def test_the_wheel_holds(file: str, names: list[str]) -> None:
    assert file in names


def test_every_module_of_the_tree_is_in_the_wheel_and_nothing_else(names: list[str]) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for top in ("drift_gate", "shared", "predictions")
        for path in (ROOT / top).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == modules


@pytest.mark.parametrize("package", ["shared", "shared/utils", "predictions"])
def test_a_namespace_package_has_no_init(package: str, names: list[str]) -> None:
    """A user's repository has its own ``shared``; an ``__init__`` of ours would hide it, or be hidden."""
    assert f"{package}/__init__.py" not in names
    assert not (ROOT / package / "__init__.py").exists()


def test_it_installs_beside_a_foreign_shared_utils(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "ours")
    foreign = tmp_path / "theirs" / "shared" / "utils" / "x.py"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("ANSWER = 42\n")
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from shared.utils.x import ANSWER\n"
        "from shared.utils.deployment_checker import DeploymentDriftError\n"
        "from predictions.coordinator.slate import shipped_slates\n"
        "import drift_gate.errors as errors\n"
        "assert errors.__file__.startswith(sys.argv[2]), errors.__file__\n"
        "assert errors.DeploymentDriftError is DeploymentDriftError\n"
        "print(ANSWER, *shipped_slates())\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "theirs"), str(tmp_path / "ours")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("42 2026-02-05\n", "")


def test_the_entry_points_name_what_exists(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (file,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(file).decode())
    assert dict(points["console_scripts"]) == {
        "deployment-drift": "drift_gate.commands.main:main",
        "prediction-coordinator": "predictions.coordinator.commands.main:main",
    }
    assert dict(points["pytest11"]) == {"drift-gate": "drift_gate.testing.plugin"}
    for target in (*points["console_scripts"].values(), *points["pytest11"].values()):
        module, _, name = target.partition(":")
        loaded = __import__(module, fromlist=["_"])
        assert not name or callable(getattr(loaded, name))


LOCKS = ("build.txt", "run.txt", "worker.txt", "test.txt", "frameworks.txt")


def pins(lock: str) -> set[str]:
    """Each ``name==version`` of a lock."""
    text = (ROOT / "requirements" / lock).read_text()
    return set(re.findall(r"^([\w.-]+==\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
class TestALock:
    def test_names_no_place_that_packages_come_from(self, lock: str) -> None:
        text = (ROOT / "requirements" / lock).read_text()
        assert not re.search(r"https?:|file:|--index|--find-links|--extra-index", text)

    def test_pins_every_requirement_with_a_hash(self, lock: str) -> None:
        text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert lines
        assert [pin for pin in lines if "==" not in pin or "--hash=sha256:" not in pin] == []

    def test_holds_each_direct_requirement(self, lock: str) -> None:
        text = (ROOT / "requirements" / lock).read_text()
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
        group = groups.get(lock.removesuffix(".txt"))
        wanted = "\n".join(group) if group else config["options"]["install_requires"]
        extras = config["options.extras_require"]
        if lock == "test.txt":
            wanted += extras["test"] + extras["dev"]
        if lock == "frameworks.txt":
            wanted += extras["frameworks"] + extras["test"]
        for requirement in filter(None, re.sub(r"#.*", "", wanted).splitlines()):
            name = re.split(r"[<>=]", requirement)[0].lower().replace(".", "-")
            assert re.search(rf"^{re.escape(name)}==", text, re.MULTILINE), name


def test_all_locks_agree() -> None:
    """What is tested is what runs."""
    assert pins("run.txt") | pins("build.txt") <= pins("test.txt")
    needed = {pin.partition("==")[0] for pin in pins("frameworks.txt")}
    assert {pin for pin in pins("run.txt") if pin.partition("==")[0] in needed} <= pins("frameworks.txt")


def test_the_worker_installs_less_than_all_and_nothing_of_its_own() -> None:
    assert pins("worker.txt") < pins("run.txt")
    names = {pin.partition("==")[0] for pin in pins("worker.txt")}
    assert names.isdisjoint({"gitpython", "google-cloud-run", "google-cloud-firestore", "duckdb"})


def test_what_builds_is_what_the_build_system_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]


@pytest.mark.parametrize("file", ["Makefile", "noxfile.py", "predictions/coordinator/Dockerfile"])
def test_no_build_of_ours_fetches_what_is_not_locked(file: str) -> None:
    text = (ROOT / file).read_text()
    installs = re.findall(r"^.*--no-deps.*$", text.replace("# --no-deps", ""), re.MULTILINE)
    assert installs
    assert [line for line in installs if "--no-build-isolation" not in line] == []


class TestMake:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        for name in ("Makefile", "drift.toml"):
            shutil.copy(ROOT / name, tmp_path)
        return tmp_path

    def make(self, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # These tests run below `make test`, whose settings are not meant for this one.
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
        }
        argv = ["make", "--no-print-directory", *arguments]
        return subprocess.run(argv, cwd=place, env=environ, capture_output=True, text=True, check=False)

    def test_run_without_git_history_says_so_in_one_sentence_and_makes_nothing(self, place: Path) -> None:
        done = self.make(place, "run")
        said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
        assert done.returncode == 2
        assert len(said) == 1
        assert said[0].startswith("make run: this folder has no git history")
        assert not (place / ".venv").exists()

    def test_run_in_an_archive_inside_another_repository_says_the_same(self, place: Path) -> None:
        subprocess.run(["git", "init", "-q", str(place.parent)], check=True)
        assert "this folder has no git history" in self.make(place, "run").stderr

    def test_an_old_python_is_named_before_anything_is_made(self, place: Path) -> None:
        old = place / "old-python"
        old.write_text("#!/bin/sh\nexit 1\n")
        old.chmod(0o755)
        done = self.make(place, ".venv/bin/python", f"PYTHON=./old-python {place}/none")
        assert done.returncode == 2
        assert "Python 3.11 or newer is needed" in done.stderr
        assert not (place / ".venv").exists()

    def test_help_lists_every_goal(self, place: Path) -> None:
        (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        listed = re.findall(r"^  make (\S+)", self.make(place, "help").stdout, re.MULTILINE)
        assert sorted(listed) == sorted(set(phony.split()) - {"history"})
