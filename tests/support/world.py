"""A small world for whole checks: a real repository, a loopback Cloud Run, and settings over both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drift_gate import gate
from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings, load
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.wiring import checks
from drift_gate.wiring.plans import Builder

WORKER = "prediction-worker"

CLOUD_RUN = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"

[services.{WORKER}]
paths = ["/predictions/worker/", "/shared/"]
ignore = ["*.md"]
"""


@dataclass
class World:
    """``history`` is the repository at ``folder``, ``cloud`` what is deployed, ``toml`` the drift.toml."""

    folder: Path
    cloud: FakeCloudRun
    toml: str = CLOUD_RUN
    environ: Mapping[str, str] = field(default_factory=dict)
    _changes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        begun = _begun(datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1))
        shutil.copytree(begun.folder.name, self.folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
        self.history, self.first = HistoryBuilder(self.folder), begun.first
        self.history.next_moment(begun.when)  # it goes on from there, minute by minute

    def change(self, path: str = "predictions/worker/worker.py") -> str:
        """One more commit on main that changes ``path``; returns its id."""
        self._changes += 1
        return self.history.commit({path: f"VERSION = {self._changes}\n"}, subject=f"change {self._changes}")

    def settings(self) -> Settings:
        """The settings of ``toml``, with an environment that owes nothing to the tester's."""
        quiet = "" if "[journal]" in self.toml else '\n[journal]\nstore = "off"\n'
        (self.folder / "drift.toml").write_text(self.toml + quiet)
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "USER": "ann"}
        environ["CLOUD_RUN_EMULATOR_HOST"] = self.cloud.host
        return load(self.folder, environ | dict(self.environ))

    def outcome(self) -> Outcome:
        """What a check of all declared services comes to."""
        return checks.check(settings=self.settings())

    def verdict(self) -> Verdict:
        """The verdict on the worker."""
        return next(each for each in self.outcome().services if each.service == WORKER)


class _Begun(NamedTuple):
    """A repository that each world of the same minute begins as."""

    folder: TemporaryDirectory[str]
    first: str
    when: datetime


@cache
def _begun(when: datetime) -> _Begun:
    folder = TemporaryDirectory()
    first = HistoryBuilder(folder.name).commit(
        {"predictions/worker/worker.py": "VERSION = 0\n", "shared/odds.py": "", "docs/readme.md": ""},
        subject="the beginning",
        when=when,
    )
    return _Begun(folder, first, when)


def codes(verdict: Verdict) -> list[str]:
    """The reason codes, worst first, each once."""
    return list(dict.fromkeys(reason.code for reason in verdict.reasons))


def plan_of(name: str, settings: Settings) -> gate.Plan:
    """What a check would ask for the service ``name``; its process is given back when the plan is gone."""
    service = settings.service(name)
    build = Builder(settings)
    build.load([service])
    return build.plan(name, service, Deadline(service.deadline))
