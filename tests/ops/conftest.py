"""What the tests of the operations share: a team's repository with its settings, and a shell in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ops.asked_google import commands
from ops.morning import Morning, morning
from ops.stand_ins import DEPLOY, ROOT, Shell

from drift_gate.testing import HistoryBuilder

TOML = """\
[defaults]
project = "example-project"
region = "us-west2"
repository = "https://github.com/example/predictions"
[services.prediction-worker]
"""


class Team(NamedTuple):
    """``repository`` holds the scripts and a ``drift.toml`` for a container; ``shell`` works in it."""

    repository: HistoryBuilder
    shell: Shell

    def step(self, name: str, *args: str, check: bool = True, settings: Mapping[str, str] = {}) -> str:
        """Run the step that begins so; what it printed. ``settings`` replace those of the example."""
        (script,) = (self.repository.path / "deploy").glob(f"{name}*.sh")
        return self.script(script, *args, check=check, settings=settings)

    def script(self, script: Path, *args: str, check: bool = True, settings: Mapping[str, str] = {}) -> str:
        """The same of any script."""
        lines = [f"{key}='{value}'\n" for key, value in settings.items()]
        told = self.shell.folder / "settings"
        told.write_text((DEPLOY / "settings.example").read_text() + "".join(lines))
        argv = ["bash", str(script), *args]
        done = self.shell.run(
            argv, cwd=self.repository.path, check=check, more={"DEPLOY_SETTINGS": str(told)}
        )
        assert not check or done.stderr == "" or "--dry-run" in args, done.stderr
        return done.stdout if done.returncode == 0 else done.stderr


def team_in(folder: Path) -> Team:
    """A new one."""
    repository = HistoryBuilder(folder / "repository")
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and ".made" not in path.parts]
    shipped = {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}
    repository.commit({**shipped, "drift.toml": TOML}, subject="Start")
    repository.check_out("main")
    return Team(repository, Shell(folder / "home"))


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return team_in(tmp_path)


@pytest.fixture(scope="session")
def known() -> dict[str, Any]:
    """Each command of gcloud's and its flags, as it knows them itself."""
    return commands()


@pytest.fixture(scope="module")
def _morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    with morning(tmp_path_factory.mktemp("morning")) as made:
        yield made


@pytest.fixture
def today(_morning: Morning) -> Morning:
    """A morning on which all is well."""
    _morning.current()
    return _morning
