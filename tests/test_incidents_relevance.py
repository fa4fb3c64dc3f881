"""Incidents that relevance decides: INCIDENTS rows 1 to 16, 28 to 31 and 45, under two policies.

The world holds two services of one repository: a worker, and a coordinator that bundles a part of the
worker's folder. What is relevant comes from their Dockerfiles and imports. ``strict`` is the policy of
examples/drift.strict.toml. Where the built-in policy is milder than what the operators of that system
would have wished (``right``), the row says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.world import WORKER, World, codes

from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.testing import Draft
from drift_gate.wiring import checks

COORDINATOR = "prediction-coordinator"
STRICT = tomllib.loads(
    (Path(__file__).parents[1] / "examples" / "drift.strict.toml").read_text(encoding="utf-8")
)["policy"]

FILES: dict[str, str] = {
    "worker/Dockerfile": """\
FROM python:3.12-slim
WORKDIR /app
COPY worker/ ./
COPY lib/ ./lib/
COPY config/ ./config/
CMD ["gunicorn", "main:app"]
""",
    "worker/main.py": "from lib import model\nLIMITS = open('config/limits.json')\napp = model\n",
    "worker/schema.py": "COLUMNS = 3\n",
    "lib/model.py": '"""The model.  """\nfrom lib.maths import mean\n',
    "lib/maths.py": "mean = sum\n",
    "lib/report.py": "PAGE = 'html'\n",
    "config/limits.json": "{}\n",
    "coordinator/Dockerfile": """\
FROM python:3.12-slim
WORKDIR /app
COPY coordinator/ ./
COPY worker/schema.py ./schema.py
CMD ["python", "start.py"]
""",
    "coordinator/start.py": "import schema\n",
    "docs/guide.md": "words\n",
}
TOML = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
[services.{WORKER}]
dockerfile = "worker/Dockerfile"
[services.{COORDINATOR}]
dockerfile = "coordinator/Dockerfile"
"""
HOUR = 60


class Incident:
    """The two services, deployed at one commit, and what happened since."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.toml = TOML
        world.first = world.history.commit(
            {**FILES, "predictions/worker/worker.py": None, "shared/odds.py": None}
        )
        self.deploy(world.first)

    def deploy(self, commit: str) -> None:
        for name in (WORKER, COORDINATOR):
            self.world.cloud.deploy(name, commit=commit)

    def change(self, path: str, text: str = "", *, minutes: int = HOUR) -> str:
        """A commit that landed so many minutes ago."""
        when = datetime.now(UTC) - timedelta(minutes=minutes)
        return self.world.history.commit({path: text or FILES.get(path, "") + "\nCHANGED = 1\n"}, when=when)

    def many(self, paths: Mapping[str, int]) -> None:
        """So many commits to each path, all an hour ago."""
        when = datetime.now(UTC) - timedelta(minutes=HOUR)
        self.world.history.commits(
            Draft(files={path: f"V = {number}\n"}, branch="main", subject=f"{path} {number}", when=when)
            for path, count in paths.items()
            for number in range(count)
        )

    def judge(self, policy: Mapping[str, object]) -> Outcome:
        lines = "".join(f"{key} = {value!r}\n" for key, value in policy.items())
        without, self.world.toml = self.world.toml, f"[policy]\n{lines}{self.world.toml}"
        settings, self.world.toml = self.world.settings(), without
        return checks.check(settings=settings, inventory="inventory" in self.asked)

    asked: frozenset[str] = frozenset()


def row_1(it: Incident) -> None:
    it.change("lib/maths.py", "mean = max\n")


def row_2(it: Incident) -> None:
    it.many({"lib/model.py": 3})


def row_3(it: Incident) -> None:
    it.many({"docs/guide.md": 678, "lib/model.py": 72})


def row_4(it: Incident) -> None:
    it.change("config/limits.json", '{"max": 1}\n')


def row_5(it: Incident) -> None:
    it.change("worker/schema.py", "COLUMNS = 4\n")


def row_7(it: Incident) -> None:
    it.change("lib/model.py", "model = 2\n", minutes=14)


def row_12(it: Incident) -> None:
    it.many({"docs/guide.md": 100, "coordinator/start.py": 46})


def row_13(it: Incident) -> None:
    it.change("lib/report.py", "PAGE = 'pdf'\n")


def row_14_space(it: Incident) -> None:
    it.change("lib/maths.py", "mean = sum   \n\n\n# the end\n")


def row_14_docstring(it: Incident) -> None:
    it.change("lib/model.py", '"""The model."""\nfrom lib.maths import mean\n')


def row_15(it: Incident) -> None:
    for name in (WORKER, COORDINATOR):
        it.world.cloud.deploy(name, image="image:latest", labels={"commit-sha": it.world.first[:9].upper()})


def row_16(it: Incident) -> None:
    it.many({"docs/guide.md": 400})


def row_28(it: Incident) -> None:
    it.world.toml = it.world.toml.replace('"worker/Dockerfile"', '"wroker/Dockerfile"')


def row_29(it: Incident) -> None:
    it.world.cloud.deploy("forgotten", commit=it.world.first)
    it.asked = frozenset({"inventory"})


def row_30(it: Incident) -> None:
    it.world.toml += 'kind = "job"\n'


def row_31(it: Incident) -> None:
    it.change("worker/main.py", "import tools.extra\nfrom lib import model\napp = model\n")
    it.change("tools/extra.py", "X = 1\n")


def row_45(it: Incident) -> None:
    it.world.history.revert(it.change("lib/maths.py", "mean = max\n"))


@dataclass(frozen=True)
class Row:
    """What happened, and the verdicts on one service; ``right`` where the built-in policy is milder."""

    number: str
    happened: str
    facts: Callable[[Incident], None]
    built_in: Decision
    strict: Decision
    code: str | None
    service: str = WORKER
    right: str = ""


ROWS = [
    Row(
        "1",
        "one commit in a folder that no list named",
        row_1,
        "warn",
        "deny",
        "behind-within-limit",
        right="deny",
    ),
    Row("2", "three commits behind, one short of the limit", row_2, "warn", "deny", "behind-within-limit"),
    Row("3", "750 commits behind, 72 relevant", row_3, "deny", "deny", "too-many-commits-behind"),
    Row(
        "4",
        "a configuration folder outside its own",
        row_4,
        "warn",
        "deny",
        "behind-within-limit",
        right="deny",
    ),
    Row(
        "5",
        "the coordinator bundles a file of the worker's",
        row_5,
        "warn",
        "deny",
        "behind-within-limit",
        COORDINATOR,
        right="deny",
    ),
    Row("5", "… which the worker itself never imports", row_5, "allow", "allow", "content-identical"),
    Row("7", "landed 14 minutes ago", row_7, "warn", "warn", "behind-within-limit"),
    Row("12", "146 commits of documents and other services", row_12, "allow", "allow", "content-identical"),
    Row("13", "lib/ changed, nothing that the worker imports", row_13, "allow", "allow", "content-identical"),
    Row("14", "trailing space and comments only", row_14_space, "allow", "allow", "content-identical"),
    Row("14", "… and inside a docstring", row_14_docstring, "warn", "deny", "behind-within-limit"),
    Row("15", "a short id in upper case", row_15, "allow", "allow", None),
    Row("16", "a raw count over the limit, none relevant", row_16, "allow", "allow", "content-identical"),
    Row("28", "a Dockerfile that never existed", row_28, "deny", "deny", "unknown-drift"),
    Row("29", "a live service that nothing names", row_29, "warn", "warn", "undeclared-service", "forgotten"),
    Row("30", "looked up as a job", row_30, "deny", "deny", "unknown-drift", COORDINATOR),
    Row("31", "an import that the image lacks", row_31, "deny", "deny", "image-incomplete"),
    Row("45", "a change and its revert", row_45, "allow", "allow", "content-identical"),
]


def verdict_on(service: str, outcome: Outcome) -> Verdict:
    return next(each for each in outcome.services if each.service == service)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number} {row.happened}")
def test_what_the_gate_says(world: World, row: Row) -> None:
    """The verdict under each policy, and the code that carries it under the built-in one."""
    incident = Incident(world)
    row.facts(incident)
    verdict = verdict_on(row.service, incident.judge({}))
    assert verdict.decision == row.built_in, codes(verdict)
    assert row.code is None or row.code in codes(verdict)
    strict = verdict_on(row.service, incident.judge(STRICT))
    assert strict.decision == row.strict, codes(strict)
    if row.right:
        assert row.strict == row.right
