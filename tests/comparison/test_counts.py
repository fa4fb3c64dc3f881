"""Counts, status and age against an oracle that is not our code, on random histories."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.histories import RandomHistory, histories
from support.limits import dear
from support.oracle import Oracle

from drift_gate import gate
from drift_gate.comparison.lineage import CLOCK_TOLERANCE_S
from drift_gate.comparison.report import Compared, DriftReport, compare
from drift_gate.evidence.marks import Weighed
from drift_gate.facts import Evidence, Live, LiveRevision, Target
from drift_gate.policy.verdict import Policy
from drift_gate.relevance.patterns import PathRules
from drift_gate.relevance.rules import Rules
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.repositories import DirectRepository
from drift_gate.testing import HistoryBuilder

RULES = Rules(paths=("/worker/", "/shared/"))
#: Later than any commit of a random history.
NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Serving:
    """A live source that answers with what the test says is live."""

    def __init__(self, commits: list[str]) -> None:
        self._commits = commits

    def unchanged(self, live: Live) -> bool:
        return True

    def read(self) -> Live:
        """One revision per commit."""
        revisions = tuple(
            LiveRevision(
                revision=f"r{number}",
                percent=100 // len(self._commits),
                evidence=(Evidence(carrier="revision-label", key="commit-sha", value=commit),),
            )
            for number, commit in enumerate(self._commits)
        )
        return Live(kind="service", project="p", region="r", revisions=revisions)


def reports_on(folder: Path, target: str, lives: list[list[str]]) -> list[DriftReport]:
    """One check of as many services as ``lives`` has entries."""
    deadline = Deadline(60)
    history = Checkout(
        path=folder,
        target_ref=target,
        deadline=deadline,
        environ=os.environ,
        now=lambda: NOW,
        stale_target_limit=0,
    )
    repository = DirectRepository(history)
    plans = [
        gate.Plan(
            gate.Workload(service=f"s{number}", kind="service", rules=RULES, policy=Policy()),
            Serving(commits),
            repository,
        )
        for number, commits in enumerate(lives)
    ]
    return [verdict.report for verdict in gate.check(plans, deadline=deadline, now=NOW)]


@settings(max_examples=dear(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(min_commits=3), st.data())
def test_every_number_is_the_one_that_git_gives(random: RandomHistory, data: st.DataObject) -> None:
    """Behind, ahead, neutral, net difference, status and age, for several services and revisions at once."""
    with tempfile.TemporaryDirectory() as folder:
        builder = HistoryBuilder(Path(folder) / "repo")
        ids = random.build(builder)
        builder.branch("main", ids[-1])
        # Without a relevant file at either end the answer is another one, tested elsewhere.
        pick = st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True)
        lives = data.draw(st.lists(pick, min_size=1, max_size=3))
        oracle = Oracle(builder, PathRules(RULES.paths).relevant)
        for report in reports_on(builder.path, "main", lives):
            if report.unknown:
                assert report.unknown.cause == "nothing-relevant"
                continue
            for live in report.live:
                answer = oracle.answer(str(live.commit), ids[-1])
                assert (live.status, live.commits_behind, live.commits_ahead) == (
                    answer.status,
                    answer.behind,
                    answer.ahead,
                )
                assert (live.commits_neutral, live.content_differs) == (answer.neutral, answer.differs)
                assert live.commits_picked == answer.picked
                assert live.drift_age_s == expected_age(answer.status, answer.landed)
                assert live.unaccounted == tuple(map(shown, sorted(answer.unaccounted)))
                assert live.unaccounted_count == len(answer.unaccounted)
                assert not (live.status == "identical" and answer.differs)


def shown(path: str) -> str:
    """A path as a report shows it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def expected_age(status: str, landed: int | None) -> int | None:
    if status == "identical":
        return 0
    return None if landed is None else int(NOW.timestamp()) - landed


def test_another_commit_that_nobody_counted_is_never_identical() -> None:
    """A slip in the gate must end in an error, not in a verdict that all is well."""
    target = Target(ref="refs/heads/main", commit="a" * 40, confirmed_at=NOW)
    live = Live(
        kind="service", project=None, region=None, revisions=(LiveRevision(revision="r", percent=100),)
    )
    with pytest.raises(ValueError, match="was not counted"):
        compare("s", live, target, [Compared(Weighed("b" * 40))], {}, (), NOW)


def test_the_age_never_turns_negative(tmp_path: Path) -> None:
    """A commit from a clock that is a little ahead of ours is zero seconds old."""
    builder = HistoryBuilder(tmp_path / "repo")
    first = builder.commit({"worker/a.py": "1"})
    builder.commit({"worker/a.py": "2"}, when=NOW + timedelta(seconds=CLOCK_TOLERANCE_S))
    (report,) = reports_on(builder.path, "main", [[first]])
    assert (report.commits_behind, report.drift_age_s) == (1, 0)
    assert "clock-skew" not in {finding.code for finding in report.findings}


def test_only_twenty_commits_and_paths_are_kept(tmp_path: Path) -> None:
    """The counts are full; the newest twenty are shown, with twenty of their paths."""
    builder = HistoryBuilder(tmp_path / "repo")
    first = builder.commit({"worker/a.py": "0"})
    for number in range(24):
        builder.commit({"worker/a.py": f"{number + 1}"}, subject=f"change {number}")
    builder.commit({f"worker/{number}.py": "1" for number in range(30)}, subject="many files")
    (report,) = reports_on(builder.path, "main", [[first]])
    assert (report.commits_behind, len(report.undeployed)) == (25, 20)
    newest = report.undeployed[0]
    assert (newest.subject, len(newest.paths), newest.paths_omitted) == ("many files", 20, 10)


def test_odd_paths_are_told_apart_and_shown_as_text(tmp_path: Path) -> None:
    r"""A byte that is not UTF-8 reads ``\xNN``; line breaks and quotes are part of the name."""
    builder = HistoryBuilder(tmp_path / "repo")
    first = builder.commit({"worker/a.py": "0"})
    names = ["worker/\udcff", 'worker/"q".py', "worker/new\nline", "worker/ünï", "worker/\\xff"]
    builder.commit(dict.fromkeys(names, "1"), subject=b"caf\xe9 \xff")
    (report,) = reports_on(builder.path, "main", [[first]])
    (commit,) = report.undeployed
    assert {path.path for path in commit.paths} == {
        "worker/\\xff",
        'worker/"q".py',
        "worker/new\nline",
        "worker/ünï",
    }
    assert len(commit.paths) == 5
    assert report.model_dump_json()
