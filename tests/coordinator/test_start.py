"""`start`: the gate first, then everything; a refusal leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from coordinator.worlds import NOW, World, a_verdict
from hypothesis import given
from hypothesis import strategies as st

from predictions.coordinator.coordinator import Order, Progress, start
from predictions.coordinator.dispatch import local_worker
from predictions.coordinator.exceptions import (
    BatchError,
    BatchRunningError,
    DeploymentDriftError,
    DriftConfigError,
    DriftUnknownError,
    EmptySlateError,
    SlateError,
)
from predictions.coordinator.slate import Slate
from predictions.coordinator.state import BatchRow, Result, open_state
from predictions.worker.worker import Prediction, PredictionRequest
from shared.utils.deployment_checker import Verdict

DAY = date(2026, 2, 5)


class Gate:
    """Lets everybody through and remembers what it was asked, or raises ``error``."""

    def __init__(self, answer: Verdict | BaseException | None = None) -> None:
        self.answer = answer or a_verdict()
        self.asked: list[tuple[bool, str | None, str | None]] = []

    def __call__(self, *, skip: bool, reason: str | None, actor: str | None) -> Verdict:
        self.asked.append((skip, reason, actor))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def rows_of(file: Path) -> list[BatchRow]:
    with open_state(file) as state:
        return state.batches()


def an_order(folder: Path, slate: Path | None = None, *, batch_size: int = 50) -> Order:
    return Order(game_date=DAY, slate=slate, state=folder / "state.sqlite", batch_size=batch_size)


class TestABatchThatMayStart:
    def test_predicts_everybody_on_the_shipped_slate(self, tmp_path: Path) -> None:
        finished = start(an_order(tmp_path), gate=Gate(), clock=lambda: NOW)
        (row,) = rows_of(finished.state)
        assert (row.state, row.requested, row.predicted) == ("completed", 273, 273)
        assert len(finished.predictions.read_text(encoding="utf-8").splitlines()) == 274

    def test_tells_the_verdict_then_the_slate_then_the_progress(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        told: list[Verdict | Slate | Progress] = []
        verdict = a_verdict("warn")
        start(an_order(tmp_path, slate_file, batch_size=2), gate=Gate(verdict), tell=told.append)
        assert told[0] is verdict
        assert isinstance(told[1], Slate)
        assert told[2:] == [Progress(1, 2, 5), Progress(1, 4, 5), Progress(1, 5, 5)]

    def test_asks_the_gate_once_with_what_the_operator_said(self, tmp_path: Path, slate_file: Path) -> None:
        gate = Gate()
        order = Order(
            game_date=DAY,
            slate=slate_file,
            state=tmp_path / "state.sqlite",
            skip_drift_check=True,
            reason="tip-off",
            actor="ops",
        )
        start(order, gate=gate)
        assert gate.asked == [(True, "tip-off", "ops")]

    def test_keeps_the_verdict_that_it_started_on(self, tmp_path: Path, slate_file: Path) -> None:
        start(an_order(tmp_path, slate_file), gate=Gate(a_verdict("deny", enforced=False)))
        (row,) = rows_of(tmp_path / "state.sqlite")
        assert (row.decision, row.enforced) == ("deny", False)

    def test_may_be_started_again_once_it_has_ended(self, tmp_path: Path, slate_file: Path) -> None:
        """A second start of a date is a new batch; the first stays on record."""
        first = start(an_order(tmp_path, slate_file), gate=Gate())
        again = start(an_order(tmp_path, slate_file), gate=Gate())
        assert (first.batch_id, again.batch_id) == (1, 2)
        assert [row.state for row in rows_of(again.state)] == ["completed", "completed"]


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
    @given(error=refusals, size=st.integers(1, 300), slate=st.sampled_from([None, Path("no such slate")]))
    def test_leaves_no_file_at_all(self, error: BaseException, size: int, slate: Path | None) -> None:
        """No batch, no request, no prediction: not even the file or the folder that would hold them."""
        with tempfile.TemporaryDirectory() as folder:
            order = an_order(Path(folder) / "new", slate, batch_size=size)
            with pytest.raises(type(error)) as caught:
                start(order, gate=Gate(error), worker=lambda asked: pytest.fail("the worker was asked"))
            assert caught.value is error
            assert os.listdir(folder) == []

    @given(error=refusals)
    def test_changes_nothing_of_an_earlier_batch(self, error: BaseException) -> None:
        with tempfile.TemporaryDirectory() as folder:
            finished = start(an_order(Path(folder)), gate=Gate(), clock=lambda: NOW)
            before = contents(Path(folder))
            with pytest.raises(type(error)):
                start(an_order(Path(folder)), gate=Gate(error))
            assert contents(Path(folder)) == before
            assert finished.predictions.exists()

    def test_comes_from_the_real_gate_when_the_worker_is_behind(self, world: World) -> None:
        world.fall_behind()
        with pytest.raises(DeploymentDriftError, match="4 relevant commits behind"):
            start(Order(game_date=DAY))
        assert sorted(os.listdir(".drift")) == ["decisions.sqlite", "ledger.jsonl"]


def contents(folder: Path) -> tuple[list[BatchRow], list[Result], bytes]:
    """Everything that a refusal must not touch."""
    with open_state(folder / "state.sqlite") as state:
        rows = state.batches()
        return rows, state.results(rows[0].id), (folder / "predictions-2026-02-05.csv").read_bytes()


class TestAnUnusableSlate:
    @pytest.mark.parametrize(("text", "error"), [("a,b\n", SlateError), (None, SlateError)])
    def test_leaves_no_file_at_all(self, tmp_path: Path, text: str | None, error: type[Exception]) -> None:
        slate = tmp_path / "slate.csv"
        if text is not None:
            slate.write_text(text, encoding="utf-8")
        with pytest.raises(error):
            start(an_order(tmp_path / "new", slate), gate=Gate())
        assert not (tmp_path / "new").exists()

    def test_is_an_error_of_its_own_when_it_is_empty(self, tmp_path: Path, slate_file: Path) -> None:
        slate_file.write_text(slate_file.read_text().splitlines()[1] + "\n")
        with pytest.raises(EmptySlateError):
            start(an_order(tmp_path / "new", slate_file), gate=Gate())
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
        order = an_order(tmp_path, slate_file, batch_size=2)
        with pytest.raises(raised):
            start(order, gate=Gate(), worker=FailsAtThird(error))
        (row,) = rows_of(order.state)
        assert (row.state, row.requested, row.predicted, row.error) == ("failed", 5, 4, recorded)
        assert not order.predictions.exists()

    def test_can_be_started_again(self, tmp_path: Path, slate_file: Path) -> None:
        order = an_order(tmp_path, slate_file, batch_size=2)
        with pytest.raises(BatchError):
            start(order, gate=Gate(), worker=FailsAtThird(ValueError("x")))
        assert start(order, gate=Gate()).batch_id == 2
        assert [row.state for row in rows_of(order.state)] == ["completed", "failed"]

    def test_reports_its_own_error_when_even_the_failure_cannot_be_written(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        """The storage broke under the batch: the next start finds it pending, without a coordinator."""
        order = an_order(tmp_path, slate_file)

        def breaks_the_storage(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
            with open_state(order.state) as state:
                state._connection.execute("ALTER TABLE batches RENAME COLUMN error TO gone")
            raise ValueError("the first error")

        with pytest.raises(BatchError, match="the first error"):
            start(order, gate=Gate(), worker=breaks_the_storage)

    def test_a_second_start_meanwhile_is_refused_and_leaves_the_first_alone(
        self, tmp_path: Path, slate_file: Path
    ) -> None:
        order = an_order(tmp_path, slate_file)

        def meanwhile(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
            with pytest.raises(BatchRunningError, match="batch 1, 0 of 5 predicted"):
                start(order, gate=Gate())
            return local_worker(asked)

        assert start(order, gate=Gate(), worker=meanwhile).batch_id == 1
        assert [row.state for row in rows_of(order.state)] == ["completed"]
