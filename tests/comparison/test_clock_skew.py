"""Commits dated in the future: neither young nor of age 0."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import CLOUD_RUN, WORKER, World, codes

from drift_gate.comparison.lineage import times_below

FUTURE = timedelta(days=30)
GRACE = f'{CLOUD_RUN}\n[policy]\ngrace_period = "30m"\n'


def change(world: World, when: datetime) -> str:
    """One more commit on main of the worker's code, dated so."""
    count = len(world.history.git("rev-list", "main").splitlines())
    files: dict[str, str | bytes | None] = {"predictions/worker/worker.py": f"VERSION = {count}\n"}
    return world.history.commit(files, when=when)


def test_what_is_dated_next_month_is_no_deploy_on_its_way(world: World) -> None:
    """Four commits count although none would be old before a month has gone."""
    world.toml = GRACE
    world.cloud.deploy(WORKER, commit=world.first)
    now = datetime.now(UTC)
    shas = [change(world, now + FUTURE + timedelta(minutes=number)) for number in range(4)]
    verdict = world.verdict()
    assert (verdict.decision, codes(verdict)) == ("deny", ["too-many-commits-behind", "clock-skew"])
    (skew,) = [reason for reason in verdict.reasons if reason.code == "clock-skew"]
    assert (skew.decision, skew.data["commits"], skew.data["commit"]) == ("warn", 4, shas[0])


@pytest.mark.parametrize("hours", [1, 13])
def test_it_is_as_old_as_the_landing_before(world: World, hours: int) -> None:
    """Also where that is live already: not older than 12 hours is within the limit, older is not."""
    now = datetime.now(UTC)
    live = change(world, now - timedelta(hours=hours))
    world.cloud.deploy(WORKER, commit=live)
    for days in (2, 1, 3):
        change(world, now + timedelta(days=days))
    verdict = world.verdict()
    age = verdict.report.drift_age_s
    assert age is not None
    assert timedelta(0) <= timedelta(seconds=age) - timedelta(hours=hours) < timedelta(minutes=5)
    assert ("drift-too-old" in codes(verdict)) is (hours == 13)
    assert "clock-skew" in codes(verdict)


def test_a_clock_of_ours_that_is_years_behind_dates_nothing(world: World) -> None:
    """No commit lies in the past then: what is missing is counted, and nothing is said of its age."""
    now = datetime.now(UTC)
    live = world.history.commit({"shared/odds.py": "1"}, parents=[], branch="late", when=now + FUTURE)
    world.toml = CLOUD_RUN.replace('"main"', '"late"')
    world.history.commit({"shared/odds.py": "2"}, branch="late", when=now + FUTURE)
    world.cloud.deploy(WORKER, commit=live)
    verdict = world.verdict()
    assert (verdict.report.commits_behind, verdict.report.drift_age_s) == (1, None)
    assert codes(verdict) == ["behind-within-limit", "path-matches-nothing", "clock-skew"]


def test_a_current_worker_with_a_future_date_is_identical(world: World) -> None:
    """A date alone is no drift, and no finding."""
    world.cloud.deploy(WORKER, commit=change(world, datetime.now(UTC) + FUTURE))
    verdict = world.verdict()
    assert (verdict.decision, codes(verdict), verdict.report.drift_age_s) == ("allow", [], 0)


@given(st.lists(st.integers(0, 9), max_size=12), st.sets(st.integers(0, 12)))
def test_the_next_time_down_the_line_that_is_not_too_late(line: list[int], depths: set[int]) -> None:
    """For each depth by itself; where none comes there is none."""
    found = times_below(depths, line, 5)
    for depth in depths:
        below = [at for at in line[depth + 1 :] if at <= 5]
        assert found.get(depth) == (below[0] if below else None)


def test_the_line_is_read_no_further_than_needed() -> None:
    """It may be a hundred thousand commits long."""
    line = accumulate([9, 9, 3, 1, 1], lambda _, at: at)
    assert times_below([0], line, 5) == {0: 3}
    assert list(line) == [1, 1]
