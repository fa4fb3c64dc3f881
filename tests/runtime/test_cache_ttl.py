"""``cache_ttl``: facts of one process serve for a while, and never keep a batch from starting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.runtime.memory import Borrowed, Kept, Recent


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestWhatIsKept:
    def test_serves_until_its_time_is_over(self) -> None:
        clock = Clock()
        kept: Kept[str, int] = Kept(10, clock)
        answers = iter(range(9))
        assert [kept.get("a", lambda: next(answers)) for _ in range(3)] == [0, 0, 0]
        clock.now = 9.999
        assert kept.get("a", lambda: next(answers)) == 0
        clock.now = 10
        assert [kept.get("a", lambda: next(answers)) for _ in range(2)] == [1, 1]

    def test_is_asked_anew_by_whoever_wants_that_and_then_kept(self) -> None:
        kept: Kept[str, int] = Kept(10, Clock())
        answers = iter(range(9))
        assert kept.get("a", lambda: next(answers)) == 0
        assert kept.get("a", lambda: next(answers), fresh=True) == 1
        assert kept.get("a", lambda: next(answers)) == 1

    def test_is_nothing_by_default_and_nothing_that_is_not_worth_it(self) -> None:
        answers = iter(range(9))
        never: Kept[str, int] = Kept()
        assert [never.get("a", lambda: next(answers)) for _ in range(2)] == [0, 1]
        choosy: Kept[str, int] = Kept(10, Clock())
        assert [choosy.get("a", lambda: next(answers), lambda n: n > 2) for _ in range(3)] == [2, 3, 3]

    def test_is_no_error(self) -> None:
        kept: Kept[str, int] = Kept(10, Clock())
        with pytest.raises(ZeroDivisionError):
            kept.get("a", lambda: 1 // 0)
        assert kept.get("a", lambda: 1) == 1

    def test_is_known_to_have_been_used_from_then_on(self) -> None:
        """A new question after it does not make the check one that asked everything."""
        kept: Kept[str, int] = Kept(10, Clock())
        first = Borrowed(kept)
        assert (first.get("a", lambda: 1), first.reused) == (1, False)
        second = Borrowed(kept)
        assert (second.get("a", lambda: 2), second.reused) == (1, True)
        assert (second.get("b", lambda: 3), second.reused) == (3, True)
        fresh = Borrowed(kept, fresh=True)
        assert (fresh.get("a", lambda: 4), fresh.reused) == (4, False)
        assert kept.get("a", lambda: 5) == 4

    def test_is_bounded(self) -> None:
        recent: Recent[int, int] = Recent(2)
        for number in range(3):
            recent.put(number, number)
            recent.get(0)
        assert [recent.get(number) for number in range(3)] == [0, None, 2]

    def test_may_be_asked_for_by_many_threads(self) -> None:
        kept: Kept[int, int] = Kept(10)
        seen: list[int] = []
        threads = [
            threading.Thread(target=lambda: seen.extend(kept.get(n % 5, lambda: 7) for n in range(200)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [7] * 1600


def keeping(world: World, text: str = "1h") -> None:
    world.toml = world.toml.replace("[defaults]", f'[defaults]\ncache_ttl = "{text}"')


def reads(world: World) -> int:
    return sum(call.method == "GetService" for call in world.cloud.calls)


def test_without_it_every_check_asks(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    assert [world.verdict().decision for _ in range(2)] == ["allow", "allow"]
    assert reads(world) == 4  # each at its end once more


def test_with_it_a_calm_answer_serves_again(world: World) -> None:
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    assert [world.verdict().decision for _ in range(3)] == ["allow"] * 3
    assert reads(world) == 1


def test_a_rollout_is_never_kept(world: World) -> None:
    """What is about to change is asked again at each check."""
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit=world.first)
    assert [world.verdict().decision for _ in range(2)] == ["warn", "warn"]
    assert reads(world) == 2


def test_an_unknown_is_never_kept(world: World) -> None:
    keeping(world)
    assert world.verdict().report.status == "unknown"
    world.cloud.deploy(WORKER, commit=world.first)
    assert world.verdict().decision == "allow"


def test_a_refusal_is_never_given_on_what_was_kept(world: World) -> None:
    """The worker was stale and the fix is deployed: nobody waits for an hour to pass."""
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    assert world.verdict().decision == "allow"
    newest = [world.change() for _ in range(4)][-1]
    assert world.verdict().decision == "deny"
    world.cloud.deploy(WORKER, commit=newest)
    assert world.verdict().decision == "allow"


def test_another_service_or_another_key_is_another_question(world: World) -> None:
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    world.verdict()
    world.toml += 'commit_labels = ["git-sha"]\n'
    world.verdict()
    assert reads(world) == 2


def test_the_remote_is_asked_once_and_its_answer_keeps_its_time(world: World, tmp_path: Path) -> None:
    """``confirmed_at`` says when the remote answered, not when the answer was used again."""
    remote = tmp_path / "remote.git"
    world.history.clone(remote, bare=True)
    world.history.git("remote", "add", "origin", str(remote))
    world.toml = world.toml.replace('"main"', '"origin/main"')
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    first = world.verdict().report.target
    remote.rename(tmp_path / "gone.git")
    again = world.verdict()
    assert (again.decision, again.report.target) == ("allow", first)
    (tmp_path / "gone.git").rename(remote)
    world.change()
    world.history.git("push", "-q", "origin", "main")
    world.toml += "[policy]\nmax_commits_behind = 0\n"
    assert world.verdict().decision == "allow"  # within the time that was asked for


def test_a_refusal_on_what_was_just_asked_is_not_asked_twice(world: World) -> None:
    """Nothing was kept: a second reading would only eat up the deadline."""
    keeping(world)
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    assert world.verdict().decision == "deny"
    assert reads(world) == 1
    assert world.verdict().decision == "deny"  # kept, and therefore asked anew
    assert reads(world) == 2
