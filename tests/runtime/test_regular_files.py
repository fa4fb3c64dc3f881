"""What a person names as a file and is none is refused in one sentence, at once, wherever it is named."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from drift_gate.commands.remind.command import reminder
from drift_gate.errors import DriftConfigError, DriftGateError
from drift_gate.runtime import regular_files
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import load
from drift_gate.sources import ledger
from drift_gate.sources.ledger import Ledger
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring.answers import keep_loaded
from predictions.coordinator.exceptions import SlateError
from predictions.coordinator.readiness.settings import load as load_readiness
from predictions.coordinator.readiness.sources.sqlite import Sqlite
from predictions.coordinator.slate import read_slate

DAY = date(2026, 2, 5)


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "named pipe"


def folder(path: Path) -> str:
    path.mkdir()
    return "folder"


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "device"


def unix_socket(path: Path) -> str:
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    held.close()
    return "socket"


def large(path: Path) -> str:
    """Sparse: it takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(regular_files.GROWN + 1)
    return "MB"


@pytest.fixture(params=[pipe, folder, device, unix_socket, large])
def make(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    made: Callable[[Path], str] = request.param
    return made


def config(path: Path) -> None:
    load(path.parent, {"DRIFT_CONFIG": str(path)})


def readiness(path: Path) -> None:
    load_readiness(path, {})


def record(path: Path) -> None:
    ledger.record(path, "worker", "a" * 40, datetime.now(UTC))


def repository_around(path: Path) -> None:
    (made := HistoryBuilder(path.parent / "made")).commit({"a": ""})
    (made.path / ".git").rename(path.parent / ".git")


def kept_as_loaded(path: Path) -> None:
    """Where `trace --write` keeps what the worker loaded: beside drift.toml, in a repository."""
    repository_around(path)
    (path.parent / "drift.toml").write_text('[defaults]\nproject = "p"\nregion = "r"\n[services.worker]\n')
    keep_loaded("worker", ["a.py"], settings=load(path.parent, {}))


def reminded(path: Path) -> None:
    """In a hook of git's: a commit would wait for it."""
    repository_around(path)
    list(reminder({"DRIFT_CONFIG": str(path)}))


READERS: dict[str, Callable[[Path], object]] = {
    "drift.toml": config,
    "readiness.toml": readiness,
    "drift.loaded.json": kept_as_loaded,
    "reminded.toml": reminded,
    "ledger.jsonl": lambda path: Ledger(path=path, service="worker").read(),
    "recorded.jsonl": record,
    "slate.csv": lambda path: read_slate(DAY, path),
    "slate.db": lambda path: read_slate(DAY, f"sqlite:{path}?table=players"),
    "readiness.db": lambda path: Sqlite(path).rows("SELECT 1", {}, Deadline(60)),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused(name: str, make: Callable[[Path], str], tmp_path: Path) -> None:
    """Nobody writes to the pipe, and the device has no end: any wait or any reading would be for ever."""
    path = tmp_path / name
    what = make(path)
    with pytest.raises((DriftGateError, SlateError)) as raised:
        READERS[name](path)
    told = str(raised.value)
    assert what in told
    assert str(path) in told
    assert "\n" not in told


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * regular_files.WRITTEN)
    assert len(regular_files.read(path)) == regular_files.WRITTEN
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(OSError, match="over 1 MB"):
        regular_files.read(path)


def test_what_is_not_there_is_said_as_before(tmp_path: Path) -> None:
    with pytest.raises(DriftConfigError, match="No such file"):
        config(tmp_path / "none.toml")


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """A view whose rows never come."""
    file = tmp_path / "day.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE VIEW players AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS game_id, '2026-02-05' AS game_date, i AS player_id, i AS player_name, 'T' AS team,"
            " 'O' AS opponent, '1' AS recent_points FROM n"
        )
        connection.commit()
    return f"sqlite:{file}?table=players"


def test_a_slate_without_an_end_ends_at_its_timeout(endless: str) -> None:
    """However long that is: nothing else would end it."""
    with pytest.raises(SlateError, match=r"interrupted|was not read within"):
        read_slate(DAY, endless, timeout=0.2)


def test_a_slate_on_a_disk_that_does_not_answer_ends_at_its_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hard mount of a server that is gone: the open itself never returns."""
    gone = threading.Event()
    monkeypatch.setattr("predictions.coordinator.slate.csv_file.opened", lambda *_: gone.wait())
    with pytest.raises(SlateError, match=r"was not read within 0\.2 s"):
        read_slate(DAY, tmp_path / "slate.csv", timeout=0.2)
    gone.set()
