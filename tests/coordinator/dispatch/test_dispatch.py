"""Dispatch on this machine: bounded calls, and a worker that is not believed blindly."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from coordinator.stores import STAMP, a_request
from coordinator.workers import broken, dies, first_alone
from coordinator.worlds import NOW
from support.heavy import light
from support.limits import ENOUGH_S

from predictions.coordinator.batches.batch import Batch, Progress
from predictions.coordinator.dispatch.local import Local, local_worker
from predictions.coordinator.exceptions import BatchError
from predictions.worker.worker import Prediction, PredictionRequest

ROOT = Path(__file__).parents[3]
REQUESTS = [a_request(f"P{number}") for number in range(5)]
BATCH = Batch(
    id="b",
    game_date=NOW.date(),
    state="pending",
    slate="s",
    dispatch="local",
    stamp=STAMP,
    progress=Progress(requested=5),
    rounds=1,
    created_at=NOW,
    heartbeat_at=NOW,
)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("at_a_time", "calls"),
    light([(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (50, [5])], [(2, [2, 2, 1])]),
)
def test_no_call_holds_more_than_asked_and_nothing_is_left_out(
    at_a_time: int, calls: list[int], processes: int
) -> None:
    handed = list(Local(at_a_time=at_a_time, processes=processes).dispatch(BATCH, REQUESTS))
    assert [len(each.request_ids) for each in handed] == calls
    for each in handed:
        assert tuple(done.request_id for done in each.completions) == each.request_ids
    assert [player for each in handed for player in each.request_ids] == ["P0", "P1", "P2", "P3", "P4"]


def test_nobody_to_ask_is_no_call() -> None:
    assert list(Local(at_a_time=5).dispatch(BATCH, [])) == []


def test_requests_are_read_as_they_are_handed_out() -> None:
    """A batch of any size is held a call at a time."""
    read: list[str] = []

    def requests() -> Iterator[PredictionRequest]:
        for each in REQUESTS:
            read.append(each.player_id)
            yield each

    next(iter(Local(at_a_time=2).dispatch(BATCH, requests())))
    assert read == ["P0", "P1"]


@pytest.mark.parametrize("processes", light([1, 2], [1]))
def test_a_worker_that_raises_fails_the_batch_and_says_on_whom(processes: int) -> None:
    local = Local(broken, at_a_time=2, processes=processes)
    with pytest.raises(BatchError, match="failed on players P0 to P1: ZeroDivisionError: no games") as caught:
        list(local.dispatch(BATCH, REQUESTS))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_process_of_the_pool_that_dies_fails_the_batch() -> None:
    with pytest.raises(BatchError, match="the worker failed on players P0 to P1: BrokenProcessPool"):
        list(Local(dies, at_a_time=2, processes=2).dispatch(BATCH, REQUESTS))


Spoil = Callable[[list[Prediction]], list[Prediction]]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda answers: answers[1:], id="one left out"),
        pytest.param(lambda answers: [*answers, answers[0]], id="one twice"),
        pytest.param(lambda answers: [answers[0], *answers[:-1]], id="one instead of another"),
        pytest.param(lambda answers: [], id="nothing"),
    ],
)
def test_an_answer_that_is_not_one_for_each_fails_the_batch(spoil: Spoil) -> None:
    local = Local(lambda asked: spoil(list(local_worker(asked))), at_a_time=5)
    with pytest.raises(BatchError, match="not one for each"):
        list(local.dispatch(BATCH, REQUESTS))


def test_the_order_of_the_answers_does_not_matter() -> None:
    (handed,) = Local(lambda asked: local_worker(asked)[::-1], at_a_time=5).dispatch(BATCH, REQUESTS)
    assert len(handed.completions) == 5


def test_one_player_is_named_as_one() -> None:
    with pytest.raises(BatchError, match="player P0"):
        list(Local(lambda asked: [], at_a_time=1).dispatch(BATCH, REQUESTS))


def test_the_pool_ends_with_a_coordinator_that_is_killed() -> None:
    script = (
        "import sys; sys.path[:0] = ['.', 'tests']\n"
        "from coordinator.dispatch.test_dispatch import BATCH, REQUESTS\n"
        "from coordinator.workers import slow\n"
        "from predictions.coordinator.dispatch.local import Local\n"
        "if __name__ == '__main__':\n"
        "    list(Local(slow, at_a_time=1, processes=2).dispatch(BATCH, REQUESTS))\n"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        children = [f"{child.pid}" for child in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGKILL)
        process.wait(ENOUGH_S)
        deadline = time.monotonic() + ENOUGH_S
        while any(psutil.pid_exists(int(pid)) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in children if psutil.pid_exists(int(pid))]


@pytest.mark.heavy
def test_a_pool_that_nobody_waits_for_any_more_ends_at_once() -> None:
    """As Ctrl-C ends it: the calls that are under way would never end."""
    handed = Local(first_alone, at_a_time=1, processes=2).dispatch(BATCH, REQUESTS)
    assert next(handed).request_ids == ("P0",)
    handed.close()  # type: ignore[attr-defined]  # it is a generator
