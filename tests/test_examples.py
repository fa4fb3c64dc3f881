"""The shipped settings load, and the Cloud Run example gives the verdicts that its lines promise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.world import codes

from drift_gate.policy.verdict import Verdict
from drift_gate.settings.file import EMULATOR, load
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.wiring import checks

ROOT = Path(__file__).parents[1]
SHIPPED = sorted([ROOT / "drift.toml", *(ROOT / "examples").glob("drift*.toml")])
CODE, SHARED = "predictions/worker/worker.py", "shared/odds.py"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_file_loads_and_gates_a_batch(file: Path) -> None:
    settings = load(ROOT, {"DRIFT_CONFIG": str(file)})
    assert settings.batch_service() == "prediction-worker"


def test_every_example_is_looked_at() -> None:
    assert "drift.cloud-run.toml" in [file.name for file in SHIPPED]


@dataclass
class Adopted:
    """A team that copied the Cloud Run example: ``origin`` is its remote, ``here`` its clone."""

    origin: HistoryBuilder
    here: HistoryBuilder
    cloud: FakeCloudRun

    def change(self, path: str, *, hours_ago: float = 1) -> str:
        """A commit on the remote's main that changes ``path`` and landed so long ago."""
        when = datetime.now(UTC) - timedelta(hours=hours_ago)
        return self.origin.commit({path: f"at {when.isoformat()}\n"}, subject=f"Change {path}", when=when)

    def deploy(self) -> None:
        """What the remote's main holds now goes live."""
        self.cloud.deploy("prediction-worker", commit=self.origin.tip("main"))

    def verdict(self) -> Verdict:
        environ = {EMULATOR: self.cloud.host, "HOME": str(self.here.path)}
        (verdict,) = checks.check(settings=load(self.here.path, environ)).services
        return verdict


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[Adopted]:
    origin = HistoryBuilder(tmp_path / "origin")
    files = {CODE: "1\n", SHARED: "1\n", "README.md": "1\n", "predictions/worker/tests/test_worker.py": "1\n"}
    origin.commit(files, subject="Start", when=datetime.now(UTC) - timedelta(days=30))
    here = origin.clone(tmp_path / "here")
    shutil.copy(ROOT / "examples" / "drift.cloud-run.toml", here.path / "drift.toml")
    with FakeCloudRun(project="example-project", region="us-west2") as cloud:
        yield Adopted(origin, here, cloud)


#: The paths of the commits that follow the deploy, hours since each landed, the decision, its codes.
STATES = {
    "current": ([], [], "allow", []),
    "only documents changed": (
        ["README.md", "predictions/worker/notes.md"],
        [1, 1],
        "allow",
        ["content-identical"],
    ),
    "only tests changed": (["predictions/worker/tests/test_worker.py"], [1], "allow", ["content-identical"]),
    "another service changed": (["predictions/other/app.py"], [1], "allow", ["content-identical"]),
    "a folder of the same name elsewhere": (["predictions/shared/x.py"], [1], "allow", ["content-identical"]),
    "one commit": ([CODE], [1], "warn", ["behind-within-limit"]),
    "three commits": ([CODE, SHARED, CODE], [3, 2, 1], "warn", ["behind-within-limit"]),
    "four commits": ([CODE, SHARED, CODE, SHARED], [4, 3, 2, 1], "deny", ["too-many-commits-behind"]),
    "one old commit": ([SHARED], [13], "deny", ["drift-too-old"]),
    "four old commits": ([CODE] * 4, [16, 15, 14, 13], "deny", ["too-many-commits-behind", "drift-too-old"]),
}


@pytest.mark.parametrize("state", STATES)
def test_what_the_cloud_run_example_says(adopted: Adopted, state: str) -> None:
    """The commits are on the remote only: the gate asks there, nobody fetched them."""
    paths, ages, decision, reasons = STATES[state]
    adopted.deploy()
    for path, age in zip(paths, ages, strict=True):
        adopted.change(path, hours_ago=age)
    verdict = adopted.verdict()
    assert (verdict.decision, codes(verdict)) == (decision, reasons)
    assert verdict.report.commits_behind == sum(path in (CODE, SHARED) for path in paths)


def test_it_refuses_a_worker_that_does_not_exist(adopted: Adopted) -> None:
    verdict = adopted.verdict()
    assert verdict.refuses_unknown
    assert verdict.report.unknown is not None
    assert verdict.report.unknown.cause == "not-found"


def test_it_refuses_what_names_no_commit(adopted: Adopted) -> None:
    """The first thing that a new team sees: nothing is stamped yet."""
    adopted.cloud.deploy("prediction-worker")
    verdict = adopted.verdict()
    assert verdict.refuses_unknown
    assert verdict.report.unknown is not None
    assert verdict.report.unknown.cause == "no-commit-evidence"


def test_its_decisions_are_kept_where_it_says(adopted: Adopted) -> None:
    adopted.deploy()
    adopted.verdict()
    assert (adopted.here.path / ".drift" / "journal.sqlite").exists()
