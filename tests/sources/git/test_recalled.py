"""A process that has checked a repository before says what one says that knows nothing of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.repositories import counting

from drift_gate.errors import SourceError
from drift_gate.facts import Commit
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.recalled import LONGEST, Recalled
from drift_gate.testing import HistoryBuilder

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)


@pytest.fixture
def h(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


def checkout(
    h: HistoryBuilder, recalled: Recalled | None, ref: str = "main", environ: Mapping[str, str] | None = None
) -> Checkout:
    return Checkout(
        path=h.path,
        target_ref=ref,
        deadline=Deadline(60),
        environ={"PATH": os.environ["PATH"], "HOME": str(h.path.parent), **(environ or {})},
        now=lambda: NOW,
        stale_target_limit=3600,
        recalled=recalled,
    )


def told(history: Checkout, ids: list[str]) -> list[object]:
    """What a check asks, in its order, and each answer or error."""
    answers = [outcome(history.target), outcome(lambda: history.resolve(ids))]
    target, resolved = answers
    if isinstance(resolved, Mapping) and not isinstance(target, tuple):
        tips = [target.commit, *(each for each in resolved.values() if isinstance(each, str))]  # type: ignore[attr-defined]
        answers.append(outcome(lambda: list(history.walk(tips))))
    return answers


def outcome(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except SourceError as error:
        return error.cause, str(error)


def test_the_second_check_starts_git_for_the_branch_and_the_repository_alone(
    h: HistoryBuilder, tmp_path: Path
) -> None:
    base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
    recalled, environ = Recalled(), counting(tmp_path)
    calls = tmp_path / "calls"
    first = told(checkout(h, recalled, environ=environ), [base])
    assert len(calls.read_text().splitlines()) == 3
    calls.unlink()
    assert told(checkout(h, recalled, environ=environ), [base]) == first
    lines = calls.read_text().splitlines()
    assert sorted(next(w for w in line.split() if w in ("for-each-ref", "rev-parse")) for line in lines) == [
        "for-each-ref",
        "rev-parse",
    ]
    assert [each.sha for each in first[2]] == [tip]  # type: ignore[attr-defined]


def test_the_second_check_of_what_is_checked_out_starts_git_once(h: HistoryBuilder, tmp_path: Path) -> None:
    base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
    recalled, environ = Recalled(), counting(tmp_path)
    calls = tmp_path / "calls"
    first = told(checkout(h, recalled, "HEAD", environ), [base])
    assert len(calls.read_text().splitlines()) == 3
    calls.unlink()
    assert told(checkout(h, recalled, "HEAD", environ), [base, tip]) == [
        first[0],
        {base: base, tip: tip},
        first[2],
    ]
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.parametrize("ref", ["main", "HEAD"])
@pytest.mark.parametrize(
    "seed", [0, 1, 4, *(pytest.param(each, marks=pytest.mark.heavy) for each in range(5, 25))]
)
def test_whatever_became_of_the_repository(h: HistoryBuilder, seed: int, ref: str) -> None:
    """The same repository is changed and checked again and again; commits of it go, and come back."""
    chance = random.Random(seed)  # noqa: S311 - the same deeds each time
    recalled, checks = Recalled(), 0
    commits = [h.commit({"a": str(number)}) for number in range(4)]

    def grow() -> None:
        commits.append(h.commit({"a": str(len(commits)), f"b{chance.randrange(3)}": str(seed)}))

    def fork() -> None:
        h.branch("side", chance.choice(commits[:4]))
        side = h.commit({"s": str(len(commits))}, branch="side")
        commits.append(side)
        commits.append(h.merge("side"))

    def rewind() -> None:
        h.git("update-ref", "refs/heads/main", chance.choice(commits[:4]))

    def throw_away() -> None:
        mend()  # what git throws away beyond a cut would be missing afterwards
        h.git("reflog", "expire", "--expire=now", "--all")
        h.git("gc", "--quiet", "--prune=now")

    def cut() -> None:
        (h.path / ".git" / "shallow").write_text(f"{commits[2]}\n")

    def mend() -> None:
        (h.path / ".git" / "shallow").unlink(missing_ok=True)

    def name_it_like_a_commit() -> None:
        (h.path / commits[1]).touch()

    def lose_the_branch() -> None:
        h.git("update-ref", "-d", "refs/heads/main")

    deeds = [grow, grow, fork, rewind, throw_away, cut, mend, mend, name_it_like_a_commit, lose_the_branch]
    ids = commits[:2]
    for _ in range(12):
        with suppress(RuntimeError):  # its commit or its branch is gone
            chance.choice(deeds)()
        ids = chance.choice([ids, ids, chance.sample(commits, 2)])
        for each in (ids[:1], ids[1:], ids):
            assert told(checkout(h, recalled, ref), each) == told(checkout(h, None, ref), each)
            checks += 1
    assert checks == 36


def commits_of(number: int, paths: int = 0) -> Iterator[Commit]:
    changed = list(map(str, range(paths)))
    return (Commit(f"{each:040x}", [f"{each + 1:040x}"], 0, "", "", changed) for each in range(number))


@pytest.mark.parametrize(
    ("commits", "paths", "kept"),
    [(0, 0, True), (LONGEST, 0, True), (LONGEST + 1, 0, False), (1, LONGEST - 1, True), (1, LONGEST, False)],
)
def test_no_long_walk_is_kept(commits: int, paths: int, kept: bool) -> None:
    recalled = Recalled()
    assert len(list(recalled.keeping(("a", "b"), commits_of(commits, paths)))) == commits
    assert (recalled.walks.get(("a", "b")) is not None) is kept


def test_a_walk_that_was_left_or_failed_is_not_kept() -> None:
    recalled = Recalled()
    next(recalled.keeping(("a", "b"), commits_of(2)))

    def failing() -> Iterator[Commit]:
        yield from commits_of(1)
        raise SourceError("it ended", "timeout")

    with pytest.raises(SourceError):
        list(recalled.keeping(("a", "b"), failing()))
    assert recalled.walks.get(("a", "b")) is None
