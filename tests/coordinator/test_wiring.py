"""From settings to a coordinator, and what the gate says when a batch has ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from coordinator.dispatch.test_dispatch import BATCH
from coordinator.dispatch.test_dispatch_http import right, server
from coordinator.stores import DAY, a_batch, a_request, answer
from coordinator.worlds import NOW, SETTINGS, World

from drift_gate.policy.verdict import Policy
from predictions.coordinator.batches.gate_context import serving_now
from predictions.coordinator.batches.stamp import Serving, Stamp
from predictions.coordinator.config import Config
from predictions.coordinator.dispatch.http import Http
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.store.firestore import FirestoreStore
from predictions.coordinator.wiring import open_coordinator, open_dispatcher, open_store
from shared.utils.deployment_checker import require_current_worker


class TestTheWays:
    def test_local_is_the_default(self) -> None:
        with open_dispatcher(Config.of({})) as dispatcher:
            assert isinstance(dispatcher, Local)

    def test_http_reaches_the_worker_that_the_variable_names(self) -> None:
        with server(right) as (url, calls):
            told = {"COORDINATOR_DISPATCH": "http", "COORDINATOR_WORKER_URL": url}
            with open_dispatcher(Config.of(told)) as dispatcher:
                assert isinstance(dispatcher, Http)
                (handed,) = dispatcher.dispatch(BATCH, [a_request("P1")])
        assert handed.request_ids == ("P1",)
        assert calls == [None]  # plain http on this machine: no token

    def test_pubsub_connects_only_when_something_is_sent(self) -> None:
        told = {"COORDINATOR_DISPATCH": "pubsub", "COORDINATOR_TOPIC": "projects/p/topics/tasks"}
        with open_dispatcher(Config.of(told)) as dispatcher:
            assert dispatcher.name == "pubsub"

    def test_a_store_in_firestore_is_the_one_that_the_variable_names(self, firestore_emulator: str) -> None:
        told = {"COORDINATOR_STORE": "firestore://p-opening", "FIRESTORE_EMULATOR_HOST": firestore_emulator}
        with open_store(Config.of(told)) as store:
            assert isinstance(store, FirestoreStore)
            assert store.batches(DAY) == []

    def test_a_file_gets_its_predictions_beside_it(self, tmp_path: Path) -> None:
        told = Config.of({"COORDINATOR_STORE": str(tmp_path / "s.sqlite")})
        with open_coordinator(told, live=lambda _: "nobody looked") as coordinator, open_store(told) as store:
            batch = store.create(a_batch(1), NOW)
            coordinator.complete(answer(batch.id, "P000"))
        assert (tmp_path / "predictions-2026-02-05.csv").exists()


class TestWhatServes:
    def test_is_read_by_the_gates_own_sources(self, world: World) -> None:
        verdict = require_current_worker()
        stamp = Stamp.of(verdict)
        assert stamp.policy_hash == Policy().digest
        live = verdict.report.live[0].commit
        batch = BATCH.model_copy(update={"stamp": stamp})
        assert serving_now(batch) == Serving((None,), (live,))
        newer = world.commit("newer")
        world.deploy()
        assert serving_now(batch) == Serving((None,), (newer,))

    def test_asks_git_only_where_something_else_serves(self, world: World) -> None:
        batch = BATCH.model_copy(update={"stamp": Stamp.of(require_current_worker())})
        live = batch.stamp.live_commits
        (world.root / ".git").rename(world.root / "gone")
        assert serving_now(batch) == Serving((None,), live)
        (world.root / "gone").rename(world.root / ".git")
        world.commit("newer")
        world.deploy()
        (world.root / ".git").rename(world.root / "gone")
        assert serving_now(batch) == Serving((None,), (None,))  # something serves, and nobody knows what

    def test_is_a_sentence_where_nobody_knows(self, world: World) -> None:
        batch = BATCH.model_copy(update={"stamp": Stamp.of(require_current_worker())})
        (world.root / ".drift" / "ledger.jsonl").unlink()
        assert "ledger" in str(serving_now(batch))
        world.write_settings("[defaults\n")
        assert "DriftConfigError" in str(serving_now(batch))

    def test_of_a_batch_that_names_no_service_is_not_known(self) -> None:
        batch = BATCH.model_copy(update={"stamp": Stamp(gate_decision="allow", enforced=True)})
        assert serving_now(batch) == "the batch does not say which service it was judged on"

    def test_under_a_bypass_with_a_broken_configuration_no_policy_is_named(self, world: World) -> None:
        world.write_settings("[defaults\n")
        assert Stamp.of(require_current_worker(skip=True, reason="broken")).policy_hash is None

    def test_the_policy_is_the_one_that_judged(self, world: World) -> None:
        verdict = require_current_worker()
        world.write_settings(SETTINGS + "[policy]\nmax_commits_behind = 9\n")
        assert Stamp.of(verdict).policy_hash == Policy().digest


@pytest.mark.parametrize("url", ["https://worker.example", "https://worker.example/"])
def test_a_worker_by_https_is_sent_an_id_token(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the audience that the variable names, else for its own address."""
    asked: list[str] = []

    def get(_: object, audience: str, deadline: object) -> str:
        asked.append(audience)
        return "t0k"

    monkeypatch.setattr("drift_gate.sources.health.tokens.IdTokens.get", get)
    told = {"COORDINATOR_DISPATCH": "http", "COORDINATOR_WORKER_URL": url}
    with open_dispatcher(Config.of(told)) as dispatcher:
        assert isinstance(dispatcher, Http)
        assert dispatcher._token is not None
        assert dispatcher._token(None) == "t0k"  # type: ignore[arg-type] # the deadline plays no part
    assert asked == [url]
