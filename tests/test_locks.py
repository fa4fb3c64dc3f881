"""How the project is built: what is locked, and the goals of the Makefile."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Google's build looks for it beside the function.
FUNCTION = "cloud_functions/deployment_drift_monitor/requirements.txt"
LOCKS = ("build.txt", "run.txt", "worker.txt", "test.txt", "frameworks.txt", FUNCTION)


GATE = "prediction-drift-gate"


def read(configuration: str) -> configparser.ConfigParser:
    """A ``setup.cfg`` of this tree."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / configuration)
    return parser


def text_of(lock: str) -> str:
    """A lock, by its name in ``requirements``, or by its path."""
    return (ROOT / lock if "/" in lock else ROOT / "requirements" / lock).read_text()


def pins(lock: str) -> set[str]:
    """Each ``name==version`` of a lock."""
    text = text_of(lock)
    return set(re.findall(r"^([\w.-]+==\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
class TestALock:
    def test_names_no_place_that_packages_come_from(self, lock: str) -> None:
        text = text_of(lock)
        assert not re.search(r"https?:|file:|--index|--find-links|--extra-index", text)

    def test_pins_every_requirement_with_a_hash(self, lock: str) -> None:
        text = text_of(lock).replace("\\\n", " ")
        lines = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert lines
        assert [pin for pin in lines if "==" not in pin or "--hash=sha256:" not in pin] == []

    def test_holds_each_direct_requirement(self, lock: str) -> None:
        text = text_of(lock)
        gate, coordinator = read("setup.cfg"), read("predictions/setup.cfg")
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
        group = groups.get(lock.removesuffix(".txt"))
        wanted = "\n".join(group) if group else gate["options"]["install_requires"]
        extras = gate["options.extras_require"]
        if lock in ("run.txt", "test.txt"):
            optional = coordinator["options.extras_require"]
            wanted += coordinator["options"]["install_requires"]
            wanted += "".join(optional[name] for name in optional if name != "all")
            wanted += extras["firestore"] + extras["bigquery"]
        if lock == FUNCTION:
            wanted += extras["firestore"] + extras["bigquery"] + "\n" + "\n".join(groups["function"])
        if lock == "test.txt":
            wanted += extras["test"] + extras["dev"]
        if lock == "frameworks.txt":
            wanted += extras["frameworks"] + extras["test"]
        for requirement in filter(None, re.sub(r"#.*", "", wanted).splitlines()):
            name = re.split(r"[<>=]", requirement)[0].lower().replace(".", "-")
            if name == GATE:  # this tree
                continue
            assert re.search(rf"^{re.escape(name)}==", text, re.MULTILINE), name


def test_all_locks_agree() -> None:
    """What is tested is what runs."""
    assert pins("run.txt") | pins("build.txt") <= pins("test.txt")
    for lock, tested in (("frameworks.txt", "run.txt"), (FUNCTION, "test.txt")):
        needed = {pin.partition("==")[0] for pin in pins(lock)}
        assert {pin for pin in pins(tested) if pin.partition("==")[0] in needed} <= pins(lock)


def test_the_worker_installs_less_than_all_and_nothing_of_its_own() -> None:
    assert pins("worker.txt") < pins("run.txt")
    names = {pin.partition("==")[0] for pin in pins("worker.txt")}
    assert names.isdisjoint({"gitpython", "google-cloud-run", "google-cloud-firestore", "duckdb"})


def test_both_distributions_ask_for_the_same_versions() -> None:
    """One lock serves both, and whoever installs one beside the other gets what was tested."""
    gate, coordinator = (
        set(read(file)["options"]["install_requires"].split())
        for file in ("setup.cfg", "predictions/setup.cfg")
    )
    assert coordinator - gate == {GATE}


def test_what_builds_is_what_the_build_system_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    coordinator = tomllib.loads((ROOT / "predictions" / "pyproject.toml").read_text())
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
    assert coordinator["build-system"] == project["build-system"]


@pytest.mark.parametrize("file", ["Makefile", "noxfile.py", "predictions/coordinator/Dockerfile"])
def test_no_build_of_ours_fetches_what_is_not_locked(file: str) -> None:
    text = (ROOT / file).read_text()
    installs = re.findall(r"^.*--no-deps.*$", text.replace("# --no-deps", ""), re.MULTILINE)
    assert installs
    assert [line for line in installs if "--no-build-isolation" not in line] == []


class TestMake:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = tmp_path / "place"  # what a test makes around it is this test's, too
        place.mkdir()
        for name in ("Makefile", "drift.toml"):
            shutil.copy(ROOT / name, place)
        return place

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
