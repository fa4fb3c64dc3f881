"""The ledger: the last line of a service wins, and what cannot be read is never passed over in silence."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from drift_gate.errors import SourceError
from drift_gate.sources import ledger
from drift_gate.sources.ledger import Ledger

NOW = datetime(2026, 2, 5, 6, 0, tzinfo=UTC)
A, B = "a" * 40, "b" * 40


def line(service: str, commit: str) -> str:
    return json.dumps({"service": service, "commit": commit, "recorded_at": NOW.isoformat()})


def commit_of(path: Path, service: str = "worker") -> str:
    (revision,) = Ledger(path=path, service=service).read().revisions
    (claim,) = revision.evidence
    assert (claim.carrier, revision.percent, revision.created_at) == ("ledger", 100, NOW)
    return claim.value


def failure(path: Path, service: str = "worker") -> SourceError:
    with pytest.raises(SourceError) as caught:
        Ledger(path=path, service=service).read()
    return caught.value


def test_the_last_record_of_a_service_wins(tmp_path: Path) -> None:
    """Whatever other services recorded in between."""
    path = tmp_path / "state" / "ledger.jsonl"
    for service, commit in [("worker", A), ("other", A), ("worker", B), ("other", A)]:
        ledger.record(path, service, commit, NOW)
    assert commit_of(path) == B
    assert len(path.read_text().splitlines()) == 4


BAD = [
    "{",
    "[]",
    "null",
    '{"service": "worker"}',
    line("worker", ""),
    '"\\ud800"',
    "\x00",
    '{"service":"worker","commit":1}',
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_after_the_last_good_one_is_unknown(tmp_path: Path, bad: str) -> None:
    """It may be a newer record of the service; the line number is named."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(f"{line('worker', A)}\n{bad}\n{line('other', B)}\n")
    error = failure(path)
    assert error.cause == "invalid-response"
    assert "line 2" in error.message
    assert commit_of(path, "other") == B


@pytest.mark.parametrize("bad", [*BAD, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")])
def test_a_bad_line_before_it_is_named_and_harmless(
    tmp_path: Path, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The record after it is newer, so it stands."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(f"{bad}\n\n{line('worker', A)}\n", encoding="latin-1")
    with caplog.at_level(logging.WARNING, "drift_gate"):
        assert commit_of(path) == A
    assert "passed over: 1" in caplog.text


def test_a_record_without_a_time_zone_is_no_record(tmp_path: Path) -> None:
    """A local time would be another time elsewhere."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(f'{{"service": "worker", "commit": "{A}", "recorded_at": "2026-02-05T06:00:00"}}\n')
    assert failure(path).cause == "invalid-response"


def test_a_line_that_a_crash_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    """The torn line is closed first; the new record stands and the torn one is harmless."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(line("worker", A) + "\n" + line("worker", B)[:20])
    assert failure(path).cause == "invalid-response"
    ledger.record(path, "worker", B, NOW)
    assert commit_of(path) == B


def test_nothing_recorded(tmp_path: Path) -> None:
    """No file, no line of that service: not found, with near misses and the line to paste."""
    path = tmp_path / "ledger.jsonl"
    assert failure(path).cause == "not-found"
    ledger.record(path, "worker", A, NOW)
    error = failure(path, "workr")
    assert error.cause == "not-found"
    assert "did you mean worker?" in error.message
    assert "deployment-drift record workr --commit SHA" in error.message


def test_a_ledger_that_is_a_folder(tmp_path: Path) -> None:
    """Any other trouble with the file is unavailable, with the system's words."""
    assert failure(tmp_path).cause == "unavailable"


def test_a_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    """A full or read-only place raises, and nothing half-written is left."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        ledger.record(tmp_path / "file" / "ledger.jsonl", "worker", A, NOW)


def test_another_writer_is_waited_for_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is never released is unavailable, and may heal."""
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setattr(ledger, "_LOCK_S", 0.05)  # the bound itself is the constant's matter
    with FileLock(f"{path}.lock"), pytest.raises(SourceError, match="holds its lock") as caught:
        ledger.record(path, "worker", A, NOW)
    assert caught.value.retryable


def append_many(path: Path, service: str, count: int) -> None:
    for number in range(count):
        ledger.record(path, service, f"{number:040x}", NOW)


@pytest.mark.heavy
def test_writers_side_by_side_lose_no_line(tmp_path: Path) -> None:
    """Four processes append at once; every line is there and whole."""
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(path, f"w{each}", 25)) for each in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert len(lines) == 100
    assert [commit_of(path, f"w{each}") for each in range(4)] == [f"{24:040x}"] * 4


def test_a_write_cut_short_is_taken_back(tmp_path: Path) -> None:
    """A disk that fills up in the middle of a line leaves the ledger as it was."""
    path = tmp_path / "ledger.jsonl"
    ledger.record(path, "worker", A, NOW)
    size = path.stat().st_size
    child = os.fork()
    if child == 0:  # the limit would hold for the whole test process
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
        try:
            ledger.record(path, "worker", B, NOW)
        except SourceError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.stat().st_size == size
    assert commit_of(path) == A
