"""The predictions as files: one for each batch, and the name by which those of a date are found."""

from __future__ import annotations

import csv
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from coordinator.stores import a_result
from coordinator.test_start import NOBODY_KNOWS, Gate, an_order, predictions_of, start

from predictions.coordinator.batches.results import Files, batch_file, found_at, write_predictions
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.store.sqlite import open_sqlite


class TestThePredictionsOfADate:
    """The file belongs to its batch; the name without the id leads to the largest result so far."""

    STORE = "state.sqlite"

    def test_are_a_link_to_those_of_its_batch(self, tmp_path: Path, slate_file: Path) -> None:
        batch = start(tmp_path, an_order(slate_file), Gate()).batch
        assert batch is not None
        own = tmp_path / f"predictions-{batch.id}.csv"
        assert predictions_of(tmp_path).resolve() == own.resolve()
        assert found_at(tmp_path / self.STORE, batch) == predictions_of(tmp_path)

    def test_are_not_replaced_by_fewer_and_that_is_said(
        self, tmp_path: Path, slate_file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        start(tmp_path, an_order(), Gate())
        before = predictions_of(tmp_path).read_bytes()
        small = start(tmp_path, an_order(slate_file), Gate()).batch
        assert small is not None
        assert predictions_of(tmp_path).read_bytes() == before
        own = batch_file(tmp_path / self.STORE, small)
        assert found_at(tmp_path / self.STORE, small) == own
        assert f"keeps the 273 predictions that it has: batch {small.id} has 5" in caplog.text

    def test_are_not_replaced_by_fewer_of_another_store(self, tmp_path: Path, slate_file: Path) -> None:
        start(tmp_path, an_order(), Gate())
        before = predictions_of(tmp_path).read_bytes()
        with open_sqlite(tmp_path / "other.sqlite") as store:
            deliver = Files(tmp_path / "other.sqlite")
            local = Local(at_a_time=50)
            other = Coordinator(store, local, gate=Gate(), deliver=deliver, live=lambda batch: NOBODY_KNOWS)
            other.start(an_order(slate_file))
        assert predictions_of(tmp_path).read_bytes() == before

    def test_are_replaced_by_as_many(self, tmp_path: Path, slate_file: Path) -> None:
        start(tmp_path, an_order(slate_file), Gate())
        batch = start(tmp_path, an_order(slate_file), Gate()).batch
        assert batch is not None
        assert predictions_of(tmp_path).samefile(batch_file(tmp_path / self.STORE, batch))

    def test_are_a_copy_where_there_are_no_links(
        self, tmp_path: Path, slate_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "symlink_to", no_links)
        start(tmp_path, an_order(slate_file), Gate())
        assert not predictions_of(tmp_path).is_symlink()
        assert len(predictions_of(tmp_path).read_text().splitlines()) == 6

    @pytest.mark.parametrize("start_of", ["=", "+", "-", "@", "\t", "\r"])
    def test_hold_no_formula(self, tmp_path: Path, start_of: str) -> None:
        """A spreadsheet takes each text for a text; a number stays a number."""
        file = tmp_path / "predictions.csv"
        name = f'{start_of}HYPERLINK("https://example.com")'
        write_predictions(file, [a_result("P1", name)])
        with file.open(encoding="utf-8", newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert row["player_name"] == f"'{name}"
        assert (row["player_id"], row["points"]) == ("P1", "7.5")

    def test_are_written_by_many_at_once(self, tmp_path: Path) -> None:
        """One name for each writer: nobody takes away what another is about to put in place."""
        file = tmp_path / "predictions.csv"
        results = [a_result(f"P{number}") for number in range(200)]
        together = threading.Barrier(24)

        def write(_: int) -> None:
            together.wait()
            write_predictions(file, results)

        with ThreadPoolExecutor(24) as pool:
            list(pool.map(write, range(24)))
        assert len(file.read_text(encoding="utf-8").splitlines()) == 201
        assert os.listdir(tmp_path) == ["predictions.csv"]


def no_links(path: Path, to: object) -> None:
    raise OSError("this file system has no links")
