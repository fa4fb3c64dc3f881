"""What the gate keeps of where it saw a target: how long it is known to have been without a commit."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import CLOUD_RUN, WORKER, World, codes

from drift_gate.comparison.lineage import last_without
from drift_gate.facts import Earlier
from drift_gate.sources.git.confirmed import LATE, MOST_EARLIER, MOST_TARGETS, Records

START = datetime(2026, 2, 5, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def follows(old: str, new: str) -> bool:
    """In these tests a commit is the set of its changes, a letter each: ``ab`` descends from ``a``."""
    return set(old) <= set(new)


def after(file: Path, *answers: tuple[str, float]) -> tuple[Earlier, ...]:
    """The earlier states after the remote gave these answers, each at its minute."""
    earlier: tuple[Earlier, ...] = ()
    for commit, minute in answers:
        earlier = Records(file, "key").write(commit, at(minute), follows)
    return earlier


def bound(earlier: Sequence[Earlier], change: str, now: float) -> float | None:
    """Until which minute the target is known to have been without ``change``."""
    lacked = next((n for n, state in enumerate(earlier) if change in state.commit), len(earlier))
    seconds = last_without(earlier, at(now))[lacked]
    return None if seconds is None else (seconds - START.timestamp()) / 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "drift-gate" / "confirmed.json"


# the remote's answers → until when the target is known to have been without the change c
ANSWERS: list[tuple[str, list[tuple[str, float]], float | None]] = [
    ("never without it", [("c", 0), ("c", 9)], None),
    ("once without it", [("a", 0), ("ac", 9)], 0),
    ("the last time without it", [("a", 0), ("a", 8), ("ac", 9), ("acd", 12), ("acd", 20)], 8),
    ("of several states without it", [("a", 0), ("ab", 3), ("ab", 7), ("abc", 9), ("abcd", 20)], 7),
    ("long ago", [("a", -99999), ("ac", 9)], -99999),
    ("a force-push to another line", [("a", 0), ("c", 9)], None),
    ("and on from there", [("ax", 0), ("a", 9), ("ac", 20)], None),
    ("and on and on", [("ax", 0), ("a", 9), ("ab", 20), ("abc", 30)], 20),
    ("forth and back and forth", [("a", 0), ("ac", 9), ("a", 20), ("a", 30), ("ac", 40)], None),
    ("and on from there again", [("a", 0), ("ac", 9), ("a", 20), ("ac", 40), ("acd", 50)], None),
    ("an answer written late", [("a", 0), ("ac", 9), ("a", 8), ("ac", 20)], 0),
    ("a clock that was ahead", [("a", 500), ("ac", 9)], None),
    ("and noticed later only", [("a", 500), ("ac", 501), ("ac", 9), ("acd", 600)], None),
    ("a clock that was behind", [("a", -500), ("ac", 9)], -500),
]


@pytest.mark.parametrize(("answers", "expected"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_until_when_the_target_was_without_a_change(
    file: Path, answers: list[tuple[str, float]], expected: float | None
) -> None:
    """Where the gate cannot be sure, it does not know: what landed looks older then, not younger."""
    assert bound(after(file, *answers), "c", answers[-1][1]) == expected


def test_what_is_still_to_come_bounds_nothing(file: Path) -> None:
    """Another machine's clock, whose file this one reads."""
    earlier = after(file, ("a", 0), ("ab", 5), ("abc", 9))
    assert (bound(earlier, "c", 9), bound(earlier, "c", 4), bound(earlier, "c", -1)) == (5, 0, None)


States = st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), st.integers(1, 9)), min_size=1, max_size=9)


@given(States, st.sets(st.integers(0, 60), min_size=1))
def test_no_change_looks_younger_than_it_is(
    tmp_path_factory: pytest.TempPathFactory, states: list[tuple[frozenset[str], int]], asked: set[int]
) -> None:
    """Whatever moves the target makes, and whenever it is looked at: forward, back, to another line."""
    timeline = ["".join(sorted(state)) or "-" for state, minutes in states for _ in range(minutes)]
    looks = [minute for minute in sorted(asked) if minute < len(timeline)]
    if not looks:
        return
    file = tmp_path_factory.mktemp("store") / "confirmed.json"
    now = looks[-1]
    earlier = after(file, *((timeline[minute], minute) for minute in looks))
    for change in timeline[now]:
        since = now  # when the target got the change that it has now
        while since and change in timeline[since - 1]:
            since -= 1
        known = bound(earlier, change, now)
        assert known is None or known < since


class TestTheFile:
    @pytest.mark.heavy
    def test_it_is_bounded(self, file: Path) -> None:
        """In states, the oldest goes; in targets, the one that was not confirmed for longest."""
        many = "".join(map(chr, range(200, 200 + MOST_EARLIER + 9)))
        earlier = after(file, *((many[: n + 1], n) for n in range(len(many))))
        assert len(earlier) == MOST_EARLIER
        for number in range(MOST_TARGETS + 1):
            Records(file, f"key {number}").write("a", at(1000 + number), follows)
        entries = json.loads(file.read_text())
        assert list(entries) == [f"key {number}" for number in range(1, MOST_TARGETS + 1)]

    @pytest.mark.parametrize(
        "damage",
        [
            "",
            "[]",
            "{",
            '{"key": 1}',
            '{"key": {"commit": "a"}}',
            '{"key": {"commit": "a", "confirmed_at": "2026-02-05T12:00:00"}}',
            '{"key": {"commit": "a", "confirmed_at": "2026-02-05T12:00:00Z", "earlier": [["b"]]}}',
            '{"key": {"commit": "a", "confirmed_at": "2026-02-05T12:00:00Z", "earlier": "b"}}',
        ],
    )
    def test_damage_is_nothing_known(self, file: Path, damage: str) -> None:
        file.parent.mkdir()
        file.write_text(damage)
        assert after(file, ("ac", 9)) == ()
        assert after(file, ("ac", 10), ("acd", 20)) == (Earlier("ac", at(10)),)

    def test_one_without_earlier_states_goes_on(self, file: Path) -> None:
        """What an older version of the gate wrote."""
        file.parent.mkdir()
        file.write_text(json.dumps({"key": {"commit": "a", "confirmed_at": at(0).isoformat()}}))
        assert after(file, ("ac", 9)) == (Earlier("a", at(0)),)

    def test_another_ref_or_remote_is_another_target(self, file: Path) -> None:
        after(file, ("a", 0))
        assert Records(file, "other").write("ac", at(9), follows) == ()
        assert after(file, ("ac", 9)) == (Earlier("a", at(0)),)

    def test_a_folder_that_cannot_be_written_still_answers(self, file: Path) -> None:
        """From what was kept there, and nothing is left behind."""
        after(file, ("a", 0))
        file.with_name(file.name + ".lock").unlink()
        before = sorted(os.listdir(file.parent))
        file.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            assert after(file, ("ac", 9)) == (Earlier("a", at(0)),)
        finally:
            file.parent.chmod(stat.S_IRWXU)
        if os.geteuid():  # root may write anywhere
            assert sorted(os.listdir(file.parent)) == before

    def test_many_writers_lose_no_target(self, file: Path) -> None:
        """Each has its own; the file holds all of them afterwards."""

        def write(number: int) -> None:
            for minute in range(5):
                Records(file, f"key {number}").write("a", at(minute), follows)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(json.loads(file.read_text())) == 8
        assert not list(file.parent.glob("confirmed-*"))

    def test_an_answer_is_late_for_five_minutes(self, file: Path) -> None:
        """After that the clock was set back, and what was written before cannot be trusted."""
        late = LATE.total_seconds() / 60
        assert after(file, ("a", 0), ("ac", 99), ("acd", 99 - late)) == ()
        assert after(file, ("acd", 99 - late - 0.1)) == (Earlier("a", at(0)), Earlier("ac", None))


REMOTE = CLOUD_RUN.replace('"main"', '"origin/release"') + '\n[policy]\ngrace_period = "30m"\n'


class TestPromotion:
    """A release branch is moved forward to commits that are days old."""

    @pytest.fixture
    def release(self, world: World, tmp_path: Path) -> World:
        """``world`` reads a clone of itself; live is where the release branch begins."""
        world.toml = REMOTE
        now = datetime.now(UTC)
        live = world.history.commit({"shared/odds.py": "1"}, when=now - timedelta(days=10))
        world.history.branch("release", live)
        world.history.commit({"shared/odds.py": "2"}, when=now - timedelta(days=5))
        world.cloud.deploy(WORKER, commit=live)
        world.folder = world.history.clone(tmp_path / "clone").path
        return world

    def test_what_was_promoted_just_now_is_young(self, release: World) -> None:
        """The gate saw the branch without it a moment before."""
        assert release.verdict().decision == "allow"
        release.history.branch("release", "main")
        verdict = release.verdict()
        assert verdict.decision == "warn"
        (live,) = verdict.report.live
        assert (live.commits_behind, live.commits_within_grace, live.dated_by) == (1, 1, "confirmation")
        assert (verdict.report.drift_age_s or 0) < 600
        (reason,) = [each for each in verdict.reasons if each.code == "behind-within-limit"]
        assert reason.data["dated_by"] == "confirmation"

    def test_without_what_was_seen_the_commit_is_as_old_as_it_says(self, release: World) -> None:
        """The store was deleted between the two."""
        assert release.verdict().decision == "allow"
        (release.folder / ".git" / "drift-gate" / "confirmed.json").unlink()
        release.history.branch("release", "main")
        assert "drift-too-old" in codes(release.verdict())

    def test_a_branch_that_went_back_and_forth_is_as_old_as_it_says(self, release: World) -> None:
        """What it had before is nothing new."""
        old = release.history.git("rev-parse", "release")
        for there in ("main", old, "main"):
            release.history.branch("release", there)
            verdict = release.verdict()
        assert "drift-too-old" in codes(verdict)

    def test_a_commit_by_a_merge_of_the_earlier_state(self, tmp_path: Path, release: World) -> None:
        """The branch itself may come in as the second parent; what it had is not new."""
        history = release.history
        history.branch("release", "main")
        assert "drift-too-old" in codes(release.verdict())
        history.branch("other", history.git("rev-parse", "main~1"))
        history.commit({"docs/x.md": "x"}, branch="other")
        merge = history.merge("main", into="other")
        history.branch("release", merge)
        (live,) = release.verdict().report.live
        assert (live.commits_behind, live.dated_by) == (1, "landing")
