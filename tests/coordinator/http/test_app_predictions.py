"""Over HTTP: what a repeated key is answered, and the predictions of a batch that has ended."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from coordinator.dispatch.test_dispatch import BATCH
from coordinator.http.test_app import here, problem, start
from coordinator.served import Served
from coordinator.stores import a_batch, a_result
from coordinator.worlds import NOW

from predictions.coordinator.batches.export import Predictions, pieces
from predictions.coordinator.store.sqlite import open_sqlite

__all__ = ["here"]  # the fixture


class TestTheSameKey:
    """A retry never reports success for a batch that failed."""

    def test_of_a_failed_batch_is_a_conflict_with_it_or_goes_on_with_it(self, here: Served) -> None:
        batch = start(here, key="nightly-1").json()["batch"]
        move(here, batch["id"], "failed")
        told = problem(start(here, key="nightly-1"), 409, "batch-ended")
        assert told["batch"] == batch["id"]
        assert "resume" in told["detail"]
        again = start(here, key="nightly-1", resume=True)
        assert (again.status_code, again.json()["how"]) == (202, "resumed")
        assert again.json()["batch"]["id"] == batch["id"]

    @pytest.mark.parametrize("other", [{"dry_run": True}, {"min_minutes": 30}])
    def test_with_another_order_is_a_conflict_with_the_batch(
        self, here: Served, other: dict[str, Any]
    ) -> None:
        batch = start(here, key="nightly-1").json()["batch"]
        assert problem(start(here, key="nightly-1", **other), 409, "key-reused")["batch"] == batch["id"]


def move(on: Served, batch_id: str, to: Any) -> None:
    """Put the batch where nobody but a broken disk would."""
    store: Any = on.coordinator._store
    with closing(sqlite3.connect(store._path)) as connection, connection:
        connection.execute("UPDATE batches SET state = ? WHERE id = ?", (to, batch_id))


class TestThePredictions:
    def test_are_json_or_csv_as_asked(self, here: Served) -> None:
        batch = start(here).json()["batch"]["id"]
        told = here.client.get(f"/batches/{batch}/predictions")
        assert told.headers["content-type"] == "application/json"
        assert (told.json()["state"], told.json()["failed"]) == ("completed", [])
        assert [each["player_id"] for each in told.json()["predictions"]] == ["P1", "P2"]
        for asked in ({"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
            response = here.client.get(f"/batches/{batch}/predictions", **asked)
            assert response.headers["content-type"] == "text/csv; charset=utf-8"
            assert f'filename="predictions-{batch}.csv"' in response.headers["content-disposition"]
            assert [line.split(",")[0] for line in response.text.splitlines()] == ["player_id", "P1", "P2"]

    def test_of_a_batch_without_any_are_none(self, here: Served) -> None:
        batch = start(here).json()["batch"]["id"]
        with closing(sqlite3.connect(here.coordinator._store._path)) as connection, connection:  # type: ignore[attr-defined]
            connection.execute("UPDATE requests SET state = 'failed', error = 'no games'")
            connection.execute("UPDATE batches SET state = 'failed', failed = 2, completed = 0")
        told = here.client.get(f"/batches/{batch}/predictions").json()
        assert (told["state"], told["predictions"]) == ("failed", [])
        assert told["failed"][0] == {"player_id": "P1", "error": "no games"}
        assert here.client.get(f"/batches/{batch}/predictions?format=csv").text.count("\n") == 1

    def test_of_many_come_in_pieces(self) -> None:
        """As many as were asked for, whatever the size of a piece."""
        for count in (1, 2, 499, 500, 501, 1700):
            results = [a_result(f"P{number}") for number in range(count)]
            batch = BATCH.model_copy(update={"state": "completed"})
            body = "".join(pieces(Predictions(batch, iter(results), []), "json"))
            assert [each["player_id"] for each in json.loads(body)["predictions"]] == [
                each.player_id for each in results
            ]
            body = "".join(pieces(Predictions(batch, iter(results), []), "csv"))
            assert len(body.splitlines()) == 1 + count

    def test_of_a_batch_that_has_not_ended_are_a_conflict(self, here: Served, tmp_path: Path) -> None:
        """Whoever fetched a part would take it for the whole."""
        with open_sqlite(tmp_path / "batches.sqlite") as store:
            batch = store.create(a_batch(), NOW)
        told = problem(here.client.get(f"/batches/{batch.id}/predictions"), 409, "batch-running")
        assert told["batch"] == batch.id

    def test_of_no_batch_are_not_found(self, here: Served) -> None:
        problem(here.client.get("/batches/none/predictions"), 404, "batch-not-found")

    def test_in_another_form_are_refused(self, here: Served) -> None:
        problem(here.client.get("/batches/none/predictions?format=xml"), 422, "request-invalid")
