"""`start`: the gate first, then everything; a refusal leaves nothing behind."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from coordinator.stores import STAMP, a_result
from coordinator.worlds import NOW, World, a_verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.batches.orders import Gate as CoordinatorGate
from predictions.coordinator.batches.orders import Order, Started, Step
from predictions.coordinator.batches.results import Files, batch_file, predictions_file, write_predictions
from predictions.coordinator.batches.stamp import Serving
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local, Worker, local_worker
from predictions.coordinator.exceptions import (
    BatchError,
    BatchRunningError,
    DeploymentDriftError,
    DriftConfigError,
    DriftUnknownError,
    EmptySlateError,
    KeyReusedError,
    NotReadyError,
    SlateError,
)
from predictions.coordinator.slate import Slate
from predictions.coordinator.store.sqlite import open_sqlite
from predictions.worker.worker import Prediction, PredictionRequest
from shared.utils.deployment_checker import Verdict, require_current_worker

DAY = date(2026, 2, 5)


def predictions_of(folder: Path) -> Path:
    return predictions_file(folder / "state.sqlite", DAY)


class Gate:
    """Lets everybody through and remembers what it was asked, or raises ``error``."""

    def __init__(self, answer: Verdict | BaseException | None = None) -> None:
        self.answer = answer or a_verdict()
        self.asked: list[tuple[bool, str | None, str | None, float]] = []

    def __call__(
        self, *, skip: bool, reason: str | None, actor: str | None, wait: float, **_: object
    ) -> Verdict:
        self.asked.append((skip, reason, actor, wait))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


NOBODY_KNOWS = "nobody looked"


def start(
    folder: Path,
    order: Order,
    gate: CoordinatorGate,
    worker: Worker = local_worker,
    batch_size: int = 50,
    **parts: Any,
) -> Started:
    """``start`` with everything real but the gate and the look at what serves."""

    with open_sqlite(folder / "state.sqlite") as store:
        local = Local(worker, at_a_time=batch_size)
        parts.setdefault("live", lambda batch: NOBODY_KNOWS)
        parts.setdefault("deliver", Files(folder / "state.sqlite"))
        return Coordinator(store, local, gate=gate, **parts).start(order)


def batches_of(folder: Path) -> list[Batch]:
    with open_sqlite(folder / "state.sqlite") as store:
        return store.batches()


def an_order(slate: Path | None = None, **more: Any) -> Order:
    return Order(game_date=DAY, slate=slate, **more)


class TestABatchThatMayStart:
    def test_predicts_everybody_on_the_shipped_slate(self, tmp_path: Path) -> None:
        batch = start(tmp_path, an_order(), Gate(), clock=lambda: NOW).batch
        assert batch is not None
        assert (batch.state, batch.progress.requested, batch.progress.completed) == ("completed", 273, 273)
        assert batches_of(tmp_path) == [batch]
        assert len(predictions_of(tmp_path).read_text(encoding="utf-8").splitlines()) == 274

    def test_tells_the_verdict_then_the_slate_then_the_progress(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        told: list[Verdict | Slate | Step] = []
        verdict = a_verdict("warn")
        batch = start(tmp_path, an_order(slate_file), Gate(verdict), batch_size=2, tell=told.append).batch
        assert batch is not None
        assert told[0] is verdict
        assert isinstance(told[1], Slate)
        steps = [each for each in told[2:] if isinstance(each, Step)]
        assert steps == told[2:] == sorted(steps, key=lambda each: each.done)
        assert steps[-1] == Step(batch.id, 5, 5)

    def test_asks_the_gate_once_with_what_the_operator_said(self, tmp_path: Path, slate_file: Path) -> None:
        gate = Gate()
        order = an_order(slate_file, skip_drift_check=True, reason="tip-off", actor="ops", wait=2.5)
        start(tmp_path, order, gate)
        assert gate.asked == [(True, "tip-off", "ops", 2.5)]

    def test_keeps_the_verdict_that_it_started_on(self, tmp_path: Path, slate_file: Path) -> None:
        verdict = a_verdict("deny", enforced=False)
        start(tmp_path, an_order(slate_file), Gate(verdict))
        (batch,) = batches_of(tmp_path)
        assert (batch.stamp.service, batch.stamp.gate_decision) == ("prediction-worker", "deny")
        assert (batch.stamp.enforced, batch.stamp.not_enforced_because) == (False, "break-glass")
        assert batch.reasons == verdict.reasons

    def test_may_be_started_again_once_it_has_ended(self, tmp_path: Path, slate_file: Path) -> None:
        """A second start of a date is a new batch; the first stays on record."""
        first = start(tmp_path, an_order(slate_file), Gate()).batch
        again = start(tmp_path, an_order(slate_file), Gate()).batch
        assert batches_of(tmp_path) == [again, first]

    def test_asks_whether_the_data_is_ready_and_starts_nothing_where_it_is_not(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        def ready(order: Order, slate: Callable[[], Slate]) -> None:
            raise NotReadyError(f"no features for {len(slate().requests)} players")

        with pytest.raises(NotReadyError, match="no features for 5 players"):
            start(tmp_path / "new", an_order(slate_file), Gate(), ready=ready)
        assert not (tmp_path / "new").exists()

    def test_may_be_tried_without_starting_anything(self, tmp_path: Path, slate_file: Path) -> None:
        tried = start(tmp_path / "new", an_order(slate_file, dry_run=True), Gate())
        assert (tried.how, tried.batch) == ("dry-run", None)
        assert not (tmp_path / "new").exists()


class TestTheSameKeyAgain:
    def test_is_the_batch_that_it_made_even_when_the_gate_would_refuse_now(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        first = start(tmp_path, an_order(slate_file, idempotency_key="k"), Gate())
        again = start(
            tmp_path, an_order(slate_file, idempotency_key="k"), Gate(DeploymentDriftError("behind"))
        )
        assert (first.how, again.how) == ("created", "existing")
        assert again.batch == first.batch
        assert len(batches_of(tmp_path)) == 1

    def test_with_another_date_is_an_error(self, tmp_path: Path, slate_file: Path) -> None:
        start(tmp_path, an_order(slate_file, idempotency_key="k"), Gate())
        other = Order(game_date=date(2026, 2, 6), idempotency_key="k")
        with pytest.raises(KeyReusedError, match="2026-02-05"):
            start(tmp_path, other, Gate())

    def test_while_the_first_is_at_work_makes_no_second_batch(self, tmp_path: Path, slate_file: Path) -> None:
        """The second passed the look for the key before the first had made its batch."""
        order = an_order(slate_file, idempotency_key="k")

        class GateOfTheSlow(Gate):
            def __call__(self, **asked: Any) -> Verdict:
                start(tmp_path, order, Gate())
                return super().__call__(**asked)

        second = start(tmp_path, order, GateOfTheSlow())
        assert second.how == "existing"
        assert batches_of(tmp_path) == [second.batch]


class TestTheEnd:
    @pytest.mark.parametrize(
        ("now", "mixed"),
        [(Serving(("w-1",), ("a" * 40,)), None), (Serving(("w-2",), ("b" * 40,)), True), ("silence", None)],
    )
    def test_reads_again_what_serves_and_takes_results_without_a_commit_for_no_proof(
        self, tmp_path: Path, slate_file: Path, now: Serving | str, mixed: bool | None
    ) -> None:
        stamp = STAMP.model_copy(update={"live_revisions": ("w-1",), "live_commits": ("a" * 40,)})
        done = start(
            tmp_path, an_order(slate_file), Gate(), stamp=lambda verdict: stamp, live=lambda batch: now
        )
        assert done.batch is not None
        assert done.batch.ending is not None
        assert (done.batch.state, done.batch.ending.mixed) == ("completed", mixed)
        assert done.batch.marks == (("mixed-revision",) if mixed else ())
        assert [share.results for share in done.batch.ending.shares] == [5]


refusals = st.sampled_from(
    [
        DeploymentDriftError("four commits behind"),
        DriftUnknownError("cannot be known"),
        DriftConfigError("drift.toml: broken"),
        RuntimeError("the gate itself broke"),
        KeyboardInterrupt(),
    ]
)


class TestARefusal:
    @settings(deadline=None)  # a disk that is busy is slow, and this is about files
    @given(error=refusals, size=st.integers(1, 300), slate=st.sampled_from([None, Path("no such slate")]))
    def test_leaves_no_file_at_all(self, error: BaseException, size: int, slate: Path | None) -> None:
        """No batch, no request, no prediction: not even the file or the folder that would hold them."""
        with tempfile.TemporaryDirectory() as folder:
            with pytest.raises(type(error)) as caught:
                start(
                    Path(folder) / "new",
                    an_order(slate),
                    Gate(error),
                    lambda asked: pytest.fail("the worker was asked"),
                    batch_size=size,
                )
            assert caught.value is error
            assert os.listdir(folder) == []

    @settings(deadline=None)
    @given(error=refusals)
    def test_changes_nothing_of_an_earlier_batch(self, error: BaseException) -> None:
        with tempfile.TemporaryDirectory() as folder:
            start(Path(folder), an_order(), Gate(), clock=lambda: NOW)
            before = contents(Path(folder))
            with pytest.raises(type(error)):
                start(Path(folder), an_order(), Gate(error))
            assert contents(Path(folder)) == before

    def test_comes_from_the_real_gate_when_the_worker_is_behind(self, world: World) -> None:
        world.fall_behind()
        with pytest.raises(DeploymentDriftError, match="4 relevant commits behind"):
            start(Path(".drift"), Order(game_date=DAY), require_current_worker)
        assert sorted(os.listdir(".drift")) == ["journal.sqlite", "journal.sqlite.lock", "ledger.jsonl"]


def contents(folder: Path) -> tuple[list[Batch], list[Result], bytes]:
    """Everything that a refusal must not touch."""
    with open_sqlite(folder / "state.sqlite") as store:
        batches = store.batches()
        return batches, list(store.results(batches[0].id)), predictions_of(folder).read_bytes()


class TestAnUnusableSlate:
    @pytest.mark.parametrize(("text", "error"), [("a,b\n", SlateError), (None, SlateError)])
    def test_leaves_no_file_at_all(self, tmp_path: Path, text: str | None, error: type[Exception]) -> None:
        slate = tmp_path / "slate.csv"
        if text is not None:
            slate.write_text(text, encoding="utf-8")
        with pytest.raises(error):
            start(tmp_path / "new", an_order(slate), Gate())
        assert not (tmp_path / "new").exists()

    def test_is_an_error_of_its_own_when_it_is_empty(self, tmp_path: Path, slate_file: Path) -> None:
        slate_file.write_text(slate_file.read_text().splitlines()[1] + "\n")
        with pytest.raises(EmptySlateError):
            start(tmp_path / "new", an_order(slate_file), Gate())
        assert not (tmp_path / "new").exists()


class FailsAtThird:
    """A worker that answers two calls and breaks at the third."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
        self.calls += 1
        if self.calls == 3:
            raise self.error
        return local_worker(asked)


class TestABatchThatFails:
    @pytest.mark.parametrize(
        ("error", "raised", "recorded"),
        [
            (OSError("no memory"), BatchError, "the worker failed on player P4: OSError: no memory"),
            (KeyboardInterrupt(), KeyboardInterrupt, "KeyboardInterrupt"),
        ],
    )
    def test_stays_on_record_as_failed_with_what_was_done(
        self,
        tmp_path: Path,
        slate_file: Path,
        error: BaseException,
        raised: type[BaseException],
        recorded: str,
    ) -> None:
        with pytest.raises(raised):
            start(tmp_path, an_order(slate_file), Gate(), FailsAtThird(error), batch_size=2)
        (batch,) = batches_of(tmp_path)
        assert (batch.state, batch.progress.completed, batch.error) == ("failed", 4, recorded)
        assert not predictions_of(tmp_path).exists()
        kept = batch_file(tmp_path / "state.sqlite", batch).read_text(encoding="utf-8")
        assert len(kept.splitlines()) == 1 + 4

    def test_can_be_started_again(self, tmp_path: Path, slate_file: Path) -> None:
        with pytest.raises(BatchError):
            start(tmp_path, an_order(slate_file), Gate(), FailsAtThird(ValueError("x")), batch_size=2)
        assert start(tmp_path, an_order(slate_file), Gate()).how == "created"
        assert [batch.state for batch in batches_of(tmp_path)] == ["completed", "failed"]

    def test_reports_its_own_error_when_even_the_failure_cannot_be_written(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        """The storage broke under the batch: the next start finds it pending, without a coordinator."""

        def breaks_the_storage(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
            with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
                connection.execute("ALTER TABLE batches RENAME COLUMN error TO gone")
            raise ValueError("the first error")

        with pytest.raises(BatchError, match="the first error"):
            start(tmp_path, an_order(slate_file), Gate(), breaks_the_storage)

    def test_a_second_start_meanwhile_is_refused_and_leaves_the_first_alone(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        def meanwhile(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
            with pytest.raises(BatchRunningError, match="0 of 5 predicted") as caught:
                start(tmp_path, an_order(slate_file), Gate())
            assert caught.value.batch == batches_of(tmp_path)[0]
            return local_worker(asked)

        batch = start(tmp_path, an_order(slate_file), Gate(), meanwhile).batch
        assert batches_of(tmp_path) == [batch]


class TestThePredictionsFile:
    def test_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        file = tmp_path / "predictions.csv"
        file.write_text("older and longer than what comes\n" * 10)
        write_predictions(file, [a_result("P1")])
        text = file.read_text(encoding="utf-8")
        assert text.splitlines() == [
            "player_id,player_name,game_id,points,worker_revision,worker_commit,"
            "gate_decision,live_revision,live_commit,target_commit,policy_hash",
            f"P1,N,G,7.5,w-1,,warn,w-1,{'a' * 40},{'b' * 40},0123456789ab",
        ]
        assert os.listdir(tmp_path) == ["predictions.csv"]

    def test_that_cannot_be_written_is_a_batch_error_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        (tmp_path / "predictions.csv").mkdir()
        with pytest.raises(BatchError, match="cannot be written"):
            write_predictions(tmp_path / "predictions.csv", [])
        assert os.listdir(tmp_path) == ["predictions.csv"]
