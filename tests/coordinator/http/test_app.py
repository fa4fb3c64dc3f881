"""The coordinator over HTTP: what is started, what is refused and how, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinator.served import DAY, Served, pushed, served, two_players
from coordinator.stores import a_batch
from coordinator.worlds import NOW, World, a_verdict

from drift_gate.journal.figures import figures
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import background
from predictions.coordinator.batches.orders import Step
from predictions.coordinator.http import middleware
from predictions.coordinator.http.problems import TYPE_PREFIX
from predictions.coordinator.store.sqlite import open_sqlite
from predictions.worker.messages import Completion
from predictions.worker.worker import Prediction


@pytest.fixture
def here(world: World, tmp_path: Path) -> Iterator[Served]:
    """A server on a loopback address, in a repository whose worker is current."""
    with served(tmp_path, two_players(tmp_path)) as made:
        yield made


def problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem in ``response``, which is of this status and type."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert (told["type"], told["status"]) == (TYPE_PREFIX + name, status)
    assert told["detail"]
    return told


def start(on: Served, **asked: Any) -> httpx.Response:
    headers = {"Idempotency-Key": asked.pop("key")} if "key" in asked else {}
    return on.client.post("/start", json={"game_date": DAY, **asked}, headers=headers)


def batches(on: Served) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = on.client.get("/batches").json()["batches"]
    return listed


class TestAStart:
    def test_is_answered_when_its_requests_are_handed_out(self, here: Served) -> None:
        """Cloud Run freezes what goes on after the answer: the batch is where the answer says."""
        response = start(here)
        assert response.status_code == 202, response.text
        told = response.json()
        assert told["how"] == "created"
        assert told["requested"] == told["batch"]["progress"]["completed"]
        batch = here.client.get(response.headers["location"]).json()
        assert (batch["state"], batch["game_date"]) == ("completed", DAY)
        assert batch["stamp"]["gate_decision"] == "allow"
        assert batch["marks"] == []

    def test_means_the_day_in_new_york(self, world: World, tmp_path: Path) -> None:
        """At 03:00 in London it is still the day before there."""
        with served(tmp_path, clock=lambda: datetime(2026, 2, 6, 3, 0, tzinfo=UTC)) as made:
            assert start(made, game_date="TODAY").json()["batch"]["game_date"] == DAY

    def test_leaves_out_who_plays_too_little(self, here: Served) -> None:
        assert start(here, min_minutes=30, dry_run=True).json()["requested"] == 1
        problem(start(here, min_minutes=60), 409, "slate-empty")

    def test_under_the_same_key_is_the_same_batch(self, here: Served) -> None:
        """A scheduler that lost the answer asks again, and starts nothing twice."""
        first, again = start(here, key="nightly-1").json(), start(here, key="nightly-1")
        assert again.status_code == 202
        assert (again.json()["how"], again.json()["batch"]["id"]) == ("existing", first["batch"]["id"])
        assert len(batches(here)) == 1
        problem(start(here, key="nightly-1", game_date="2026-02-06"), 409, "key-reused")

    def test_without_effect_says_what_it_would_come_to(self, here: Served) -> None:
        response = start(here, dry_run=True)
        told = response.json()
        assert (response.status_code, told["how"], told["batch"]) == (200, "dry-run", None)
        assert told["verdict"]["decision"] == "allow"
        assert told["requested"] == 2
        assert batches(here) == []

    def test_without_effect_tells_of_a_batch_that_nobody_finished(
        self, here: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The look before the batch may be all that is asked on a day; it leaves the date alone."""
        with open_sqlite(tmp_path / "batches.sqlite") as store:
            left = store.create(a_batch(), NOW)
        assert start(here, dry_run=True).status_code == 200
        assert f"batch {left.id} for 2026-02-05 is stalled" in caplog.text
        assert [each["state"] for each in batches(here)] == ["stalled"]

    def test_of_a_day_without_games_is_an_answer_of_its_own(self, here: Served) -> None:
        problem(start(here, game_date="2026-02-06"), 409, "slate-empty")


class TestARefusal:
    def test_for_drift_holds_the_verdict_and_leaves_no_batch(self, here: Served, world: World) -> None:
        world.fall_behind()
        told = problem(start(here), 409, "deployment-drift")
        assert told["verdict"]["reasons"][0]["code"] == "too-many-commits-behind"
        assert "4 relevant commits behind" in told["detail"]
        assert batches(here) == []

    def test_for_an_unknown_is_no_conflict(self, here: Served, world: World) -> None:
        """Nothing healed by waiting: no ``Retry-After``."""
        (world.root / ".drift" / "ledger.jsonl").unlink()
        response = start(here)
        problem(response, 503, "drift-unknown")
        assert "retry-after" not in response.headers

    def test_of_a_request_that_says_nothing_sensible_names_the_place(self, here: Served) -> None:
        """A bypass with a letter missing is no start without one."""
        requests: list[tuple[dict[str, Any], list[str]]] = [
            ({"game_date": "YESTERDAY"}, []),
            ({"game_date": "2026-02-30"}, []),
            ({"wait": 100_000}, []),
            ({"wait": "1"}, ["body.wait"]),
            ({"dry_run": "yes"}, ["body.dry_run"]),
            ({"min_minutes": -1}, ["body.min_minutes"]),
            ({"skip_drift_chek": True}, ["body.skip_drift_chek"]),
            ({"reason": "x" * 501}, ["body.reason"]),
        ]
        for asked, where in requests:
            told = problem(start(here, **asked), 422, "request-invalid")
            assert [each["where"] for each in told.get("errors", [])] == where, asked

    def test_of_a_broken_configuration_says_so(self, here: Served, world: World) -> None:
        world.write_settings("[services")
        problem(start(here), 503, "configuration")


class TestTwoStarts:
    def test_that_are_judged_at_the_same_time_make_one_batch(self, world: World, tmp_path: Path) -> None:
        """One wins; the other one is told so while the first is still at work."""
        both, refused = threading.Barrier(2), threading.Event()

        def gate(**_: Any) -> Verdict:
            both.wait(60)
            return a_verdict()

        def tell(event: object) -> None:
            if isinstance(event, Step):
                refused.wait(60)

        with served(tmp_path, gate=gate, tell=tell) as made, ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(start, made) for _ in range(2)]
            first, second = (each.result() for each in _as_done(asked, refused))
            problem(first, 409, "batch-running")
            assert second.status_code == 202
            assert [batch["id"] for batch in batches(made)] == [second.json()["batch"]["id"]]

    def test_of_a_date_that_is_at_work_name_its_batch(self, world: World, tmp_path: Path) -> None:
        """The type tells it from drift, though both are 409."""
        with served(tmp_path) as made:
            batch = start(made).json()["batch"]
            store = made.coordinator._store
            with store.claim(datetime.fromisoformat(DAY).date(), datetime.now(UTC)):
                problem(start(made), 409, "batch-running")
            assert batch["state"] == "completed"

    def test_beyond_what_fits_are_told_to_come_back(self, world: World, tmp_path: Path) -> None:
        held = threading.Event()

        def gate(*, skip: bool, **_: Any) -> Verdict:
            if not skip:
                held.wait(60)
            return a_verdict()

        with served(tmp_path, gate=gate) as made, ThreadPoolExecutor(9) as pool:
            answers = [pool.submit(start, made, dry_run=True) for _ in range(9)]
            refused = next(as_completed(answers, timeout=60)).result()
            problem(refused, 503, "busy")
            assert refused.headers["retry-after"] == "30"
            assert made.client.get("/health").status_code == 200
            # An emergency does not wait until others have stopped waiting.
            assert start(made, skip_drift_check=True).status_code == 202
            held.set()
            assert sorted(each.result().status_code for each in answers) == [200] * 8 + [503]


def _as_done(
    answers: list[Future[httpx.Response]], then: threading.Event
) -> Iterator[Future[httpx.Response]]:
    """The answers as they come; ``then`` is set after the first."""
    for answer in as_completed(answers, timeout=60):
        yield answer
        then.set()


class TestABypass:
    def test_starts_past_drift_and_names_who(
        self, here: Served, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.fall_behind()
        response = start(here, skip_drift_check=True, reason="tip-off in ten minutes")
        assert response.status_code == 202, response.text
        batch = response.json()["batch"]
        assert batch["stamp"]["enforced"] is False
        assert batch["break_glass"]["reason"] == "tip-off in ten minutes"
        assert "a local caller starts 2026-02-05 with skip_drift_check" in caplog.text

    def test_works_though_the_configuration_is_broken(self, here: Served, world: World) -> None:
        """And the instance says itself that it is not fit for work: a bad revision gets no traffic."""
        world.write_settings("[services")
        assert start(here, skip_drift_check=True).status_code == 202
        told = problem(here.client.get("/ready"), 503, "configuration")
        assert "drift.toml" not in told["detail"]  # probes name nobody: the sentence is for the log
        problem(here.client.get("/drift"), 503, "configuration")
        assert here.client.get("/health").status_code == 200


class TestTheData:
    """As the drift gate: 409 where they are bad, 503 where nobody knows, and a bypass of their own."""

    CHECK = """\
[sources.db]
kind = "sqlite"
path = "lines.sqlite"
[checks.lines]
phases = ["pre-game"]
source = "db"
unit = "count"
query = "SELECT count(*) FROM lines WHERE :day"
threshold = {at_least = 1}
"""

    def test_refuse_unless_they_are_bypassed_themselves(self, here: Served, world: World) -> None:
        (world.root / "readiness.toml").write_text(self.CHECK, encoding="utf-8")
        problem(start(here), 503, "readiness-unknown")
        with closing(sqlite3.connect(world.root / "lines.sqlite")) as connection, connection:
            connection.execute("CREATE TABLE lines (line REAL)")
        told = problem(start(here, skip_drift_check=True), 409, "data-not-ready")
        assert told["readiness"]["checks"][0]["name"] == "lines"
        assert batches(here) == []
        assert start(here, skip_readiness_checks=True).status_code == 202


class TestABatch:
    def test_that_does_not_exist_is_not_found(self, here: Served) -> None:
        for response in (
            here.client.get("/batches/2026-02-05-00000000"),
            here.client.post("/batches/%00/cancel"),
            here.client.get("/batches/'; DROP TABLE batches; --"),
        ):
            problem(response, 404, "batch-not-found")

    def test_that_is_complete_cannot_be_cancelled(self, here: Served) -> None:
        batch = start(here).json()["batch"]
        problem(here.client.post(f"/batches/{batch['id']}/cancel"), 409, "batch-ended")

    def test_is_listed_by_its_date(self, here: Served) -> None:
        start(here)
        start(here)
        assert len(batches(here)) == 2
        assert len(here.client.get("/batches", params={"limit": 1}).json()["batches"]) == 1
        listed = here.client.get("/batches", params={"game_date": "TOMORROW"}).json()["batches"]
        assert listed == []


class TestACompletion:
    PREDICTION = Prediction(player_id="P1", game_id="G1", points=20.5)

    def push(self, on: Served, what: Completion | bytes) -> httpx.Response:
        return on.client.post("/complete", json=pushed(what))

    def test_for_a_batch_that_nobody_knows_is_acknowledged(self, here: Served) -> None:
        """It would come again for ever, and nobody would ever know the batch."""
        completion = Completion(batch_id="no-such", request_id="P1", prediction=self.PREDICTION)
        response = self.push(here, completion)
        assert (response.status_code, response.json()) == (200, {"applied": "unknown"})

    def test_that_comes_again_is_counted_once(self, here: Served) -> None:
        batch = start(here).json()["batch"]
        result = next(iter(here.coordinator.results(batch["id"])))
        prediction = Prediction(player_id=result.player_id, game_id=result.game_id, points=1.0)
        completion = Completion(batch_id=batch["id"], request_id=result.player_id, prediction=prediction)
        response = self.push(here, completion)
        assert response.status_code == 200
        assert response.json()["applied"] in {"duplicate", "late"}
        assert next(iter(here.coordinator.results(batch["id"]))).points == result.points

    def test_that_is_none_is_acknowledged_and_logged(
        self, here: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        bodies = [
            b"",
            b"no json",
            b"[]",
            b"{}",
            b'{"batch_id": 1}',
            b"\xff\xfe",
            b"[" * 50_000,
            b'{"a": 1e999}',
        ]
        for data in bodies:
            caplog.clear()
            response = self.push(here, data)
            assert (response.status_code, response.json()) == (200, {"applied": "malformed"}), data[:20]
            assert "is no completion, and is put aside" in caplog.text

    def test_that_no_store_could_keep_is_acknowledged(self, here: Served) -> None:
        """A 500 would bring it again, and again."""
        whole = {"prediction": {"player_id": "P1", "game_id": "G", "points": 1}, "request_id": "P1"}
        changes: list[dict[str, Any]] = [
            {"batch_id": "\ud800"},
            {"request_id": "\ud800", "prediction": {"player_id": "\ud800", "game_id": "G", "points": 1}},
            {"attempt": 2**63},
            {"revision": "x\ud800"},
        ]
        for change in changes:
            response = self.push(here, json.dumps({"batch_id": "x", **whole, **change}).encode())
            assert (response.status_code, response.json()) == (200, {"applied": "malformed"}), change

    def test_that_cannot_be_kept_comes_again(self, world: World, tmp_path: Path) -> None:
        """The storage is broken: Pub/Sub must not take the message for done."""
        (tmp_path / "batches.sqlite").write_bytes(b"no database at all, and much too long for a header" * 9)
        completion = Completion(batch_id="x", request_id="P1", prediction=self.PREDICTION)
        with served(tmp_path) as made:
            response = self.push(made, completion)
            problem(response, 503, "storage")
            assert response.headers["retry-after"] == "30"
            problem(made.client.get("/ready"), 503, "storage")

    def test_that_did_not_come_from_pubsub_is_refused(self, here: Served) -> None:
        problem(here.client.post("/complete", json={"batch_id": "x"}), 422, "request-invalid")


class TestRanWith:
    def test_each_batch_says_whether_it_ran_with_a_commit(self, here: Served, world: World) -> None:
        start(here)
        (stamp,) = (each["stamp"] for each in batches(here))
        (live,) = stamp["live_commits"]
        told = here.client.get("/batches", params={"ran_with": live}).json()
        assert [each["ran_with"] for each in told["batches"]] == ["with"]
        assert (told["ran_with"], told["unknown"]) == (live, [])
        told = here.client.get("/batches", params={"ran_with": "f" * 40}).json()
        assert [each["ran_with"] for each in told["batches"]] == ["unknown"]
        assert told["unknown"]
        problem(here.client.get("/batches", params={"ran_with": "main"}), 422, "request-invalid")


class TestTheDrift:
    def test_is_what_the_command_line_prints(self, here: Served, world: World) -> None:
        told = here.client.get("/drift").json()
        assert (told["schema_version"], told["decision"]) == (1, "allow")
        world.fall_behind()
        told = here.client.get("/drift").json()
        assert (told["decision"], told["services"][0]["report"]["commits_behind"]) == ("deny", 4)

    def test_is_kept_as_a_look_and_a_dry_run_as_a_preflight(self, here: Served, world: World) -> None:
        """Neither starts a batch, and the journal tells them from those that do."""
        world.fall_behind()
        here.client.get("/drift")
        start(here, dry_run=True)
        start(here, dry_run=True, skip_drift_check=True)
        background.finish()
        kept = SqliteJournal(world.root / ".drift" / "journal.sqlite").entries()
        assert sorted((str(each.door), each.batch) for each in kept) == [
            ("drift", None),
            ("preflight", None),
            ("preflight", None),
        ]
        week = timedelta(days=7)
        none = figures(NOW, NOW + week, incidents=[], entries=kept, seen={}, interval=week)
        assert (none.refusals, none.bypasses) == ({}, ())


class TestAnyAnswer:
    PATHS = ("/health", "/ready", "/batches", "/drift", "/nowhere", "/start")

    def test_is_for_no_browser(self, here: Served) -> None:
        """No page frames it, keeps it or guesses what it is; no software version is told."""
        for path in self.PATHS:
            headers = here.client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["cache-control"] == "no-store", path
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", path
            assert "server" not in headers, path

    def test_to_a_page_of_another_origin_is_a_refusal(self, here: Served) -> None:
        """Whatever type the body has: a form needs no leave to send text."""
        for sent in ({"Origin": "https://example.com"}, {"Sec-Fetch-Site": "cross-site"}):
            for kind in ("application/json", "text/plain"):
                body = json.dumps({"game_date": DAY}).encode()
                headers = {**sent, "Content-Type": kind}
                problem(here.client.post("/start", content=body, headers=headers), 403, "forbidden")
            problem(here.client.post("/batches/b/cancel", headers=sent), 403, "forbidden")
        assert batches(here) == []

    def test_to_a_path_or_method_that_does_not_exist_is_a_problem_too(self, here: Served) -> None:
        for response, status in ((here.client.get("/docs"), 404), (here.client.get("/start"), 405)):
            assert response.status_code == status
            assert response.json() == {
                "type": "about:blank",
                "title": response.json()["detail"],
                "status": status,
                "detail": response.json()["detail"],
            }
        assert here.client.get("/start").headers["allow"] == "POST"

    def test_to_a_body_that_is_no_json_names_no_fault_of_ours(self, here: Served) -> None:
        headers = {"content-type": "application/json"}
        for body in (b"", b"{", b"[1]", b"\xff\xfe", b"[" * 200_000, b'{"game_date": 1'):
            problem(here.client.post("/start", content=body, headers=headers), 422, "request-invalid")

    def test_to_a_body_without_an_end_comes_before_it(self, here: Served) -> None:
        """No more of it is kept than is ever needed."""
        sent = 0

        async def endless() -> Any:
            nonlocal sent
            while True:
                sent += 65_536
                yield b"x" * 65_536

        problem(here.client.post("/start", content=endless()), 413, "body-too-large")
        assert sent <= middleware.LARGEST_BODY + 2 * 65_536

    def test_to_a_body_that_is_announced_too_large_does_not_read_it(self, here: Served) -> None:
        problem(
            here.client.post("/start", content=b"x" * (middleware.LARGEST_BODY + 1)), 413, "body-too-large"
        )
        for announced in ("9" * 30, str(middleware.LARGEST_BODY + 1)):
            sent = here.client.post("/start", content=b"{}", headers={"content-length": announced})
            problem(sent, 413, "body-too-large")

    def test_to_a_body_that_does_not_come_does_not_wait_for_it(
        self, here: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever sends a byte now and then must not keep a place for ever."""
        monkeypatch.setattr(middleware, "SLOWEST_BODY_S", 0.3)

        async def slow() -> Any:
            for _ in range(200):
                yield b"{"
                await asyncio.sleep(0.05)

        problem(here.client.post("/start", content=slow()), 408, "body-too-slow")

    def test_to_a_start_without_json_as_its_type_is_a_refusal(self, here: Served) -> None:
        """A form in a web page can send text, and not JSON without asking first."""
        body = b'{"game_date": "2026-02-05"}'
        response = here.client.post("/start", content=body, headers={"content-type": "text/plain"})
        problem(response, 422, "request-invalid")
        assert batches(here) == []


class TestTheDescription:
    def test_is_served_and_says_what_is_asked_for(self, world: World, tmp_path: Path) -> None:
        """The probes alone need no key, and the longest wait is a fact of the server."""
        key = "the-key-of-the-scheduler"
        environ = {"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": key}
        with served(tmp_path, environ, host="0.0.0.0") as made:  # noqa: S104 (read, not bound)
            told = made.client.get("/openapi.json", headers={"X-API-Key": key}).json()
        assert told["components"]["schemas"]["StartRequest"]["properties"]["wait"]["maximum"] == 236.0
        secured = {
            path: "security" in operation
            for path, operations in told["paths"].items()
            for operation in operations.values()
        }
        assert [path for path, needed in secured.items() if not needed] == ["/health", "/ready"]
        assert set(told["components"]["securitySchemes"]) == {"key"}
        start = told["paths"]["/start"]["post"]["responses"]
        assert {"202", "200", "401", "403", "409", "422", "503"} <= set(start)
        assert list(start["409"]["content"]) == ["application/problem+json", "text/plain"]

    def test_of_an_open_server_asks_for_nothing(self, here: Served) -> None:
        assert "securitySchemes" not in here.client.get("/openapi.json").json()["components"]


def test_a_closed_application_takes_no_more_work_and_is_alive(here: Served) -> None:
    here.client.loop.call_soon_threadsafe(here.app.close)
    for response in (start(here), here.client.get("/batches"), here.client.get("/ready")):
        problem(response, 503, "shutting-down")
        assert response.headers["retry-after"] == "30"
    assert here.client.get("/health").status_code == 200


def test_a_refused_bypass_is_refused_before_anything_else_and_logged(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    key = "the-key-of-the-scheduler"
    environ = {"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": key}
    with served(tmp_path, environ, host="0.0.0.0") as made:  # noqa: S104 (read, not bound)
        asked = {"game_date": DAY, "skip_drift_check": True, "reason": "I want to"}
        response = made.client.post("/start", json=asked, headers={"X-API-Key": key})
        problem(response, 403, "bypass-forbidden")
        listed = made.client.get("/batches", headers={"X-API-Key": key}).json()
    assert listed == {"batches": []}
    assert "bypass refused to the holder of the API key: skip_drift_check for 2026-02-05" in caplog.text
    assert "I want to" in caplog.text
    assert key not in caplog.text
