"""``start`` with the drift gate and the readiness checks: neither lets the other be skipped."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from coordinator.served import two_players
from coordinator.worlds import World, a_verdict
from support.heavy import light

from predictions.coordinator.batches.orders import Order
from predictions.coordinator.commands.main import main
from predictions.coordinator.coordinator import permitted
from predictions.coordinator.exceptions import DeploymentDriftError, NotReadyError
from predictions.coordinator.readiness.verdict import Readiness
from predictions.coordinator.slate import Slate, read_slate
from scripts.make_readiness import write
from shared.utils.deployment_checker import Verdict

ROOT = Path(__file__).parents[2]
START = ["start", "--game-date", "2026-02-05", "--reason", "tip-off", "--actor", "ops@example.com"]
STATE = Path(".drift/predictions.sqlite")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("made") / "readiness.sqlite"
    write(file)
    return file


@pytest.fixture
def ready(world: World, database: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose worker is current, with the example of checks, all of them content."""
    monkeypatch.delenv("COORDINATOR_READINESS", raising=False)
    text = (ROOT / "examples" / "readiness.toml").read_text(encoding="utf-8")
    (world.root / "readiness.toml").write_text(text.replace("../.drift/", ""), encoding="utf-8")
    shutil.copy(database, world.root / "readiness.sqlite")
    monkeypatch.setenv("COORDINATOR_SLATE", two_players(world.root)["COORDINATOR_SLATE"])
    return world


def spoil(world: World) -> None:
    with closing(sqlite3.connect(world.root / "readiness.sqlite")) as connection, connection:
        connection.execute("DELETE FROM upstream_cache")


def nothing(_: World) -> None:
    """All is well."""


def both(world: World) -> None:
    world.fall_behind()
    spoil(world)


def gone(world: World) -> None:
    (world.root / "readiness.sqlite").unlink()


def no_drift_toml(world: World) -> None:
    (world.root / "drift.toml").unlink()
    spoil(world)


def broken(world: World) -> None:
    (world.root / "readiness.toml").write_text("[checks\n")


DRIFT, READINESS = ["--skip-drift-check"], ["--skip-readiness-checks"]
MATRIX: list[tuple[Callable[[World], None], list[str], int]] = [
    (nothing, [], 0),
    (nothing, DRIFT, 0),
    (nothing, READINESS, 0),
    (World.fall_behind, [], 1),
    (World.fall_behind, READINESS, 1),
    (World.fall_behind, DRIFT, 0),
    (spoil, [], 1),
    (spoil, DRIFT, 1),
    (spoil, READINESS, 0),
    (both, [], 1),
    (both, DRIFT, 1),
    (both, READINESS, 1),
    (both, DRIFT + READINESS, 0),
    (gone, [], 3),
    (gone, DRIFT, 3),
    (gone, READINESS, 0),
    (broken, [], 2),
    (broken, DRIFT, 2),
    (broken, READINESS, 0),
    (no_drift_toml, DRIFT, 1),
    (no_drift_toml, DRIFT + READINESS, 0),
]


#: Each thing that is wrong, without a bypass and with its own; with that of the other where both are wrong.
KEPT = [
    (nothing, [], 0),
    (World.fall_behind, [], 1),
    (World.fall_behind, DRIFT, 0),
    (spoil, [], 1),
    (spoil, READINESS, 0),
    (both, DRIFT, 1),
    (both, READINESS, 1),
    (both, DRIFT + READINESS, 0),
    (gone, [], 3),
    (broken, [], 2),
    (broken, READINESS, 0),
    (no_drift_toml, DRIFT + READINESS, 0),
]


@pytest.mark.parametrize(("spoilt", "bypasses", "code"), light(MATRIX, KEPT))
def test_each_bypass_skips_its_own_check_and_a_refusal_leaves_no_batch(
    spoilt: Callable[[World], None],
    bypasses: list[str],
    code: int,
    ready: World,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoilt(ready)
    assert main([*START, *bypasses]) == code
    assert STATE.exists() == (code == 0)
    for thread in threading.enumerate():
        if thread.name == "readiness":  # a refusal for drift waits for nobody's warning
            thread.join()
    err = capsys.readouterr().err
    assert ("WARNING drift gate bypassed" in err) == ("--skip-drift-check" in bypasses)
    assert ("WARNING readiness checks bypassed" in err) == ("--skip-readiness-checks" in bypasses)


def test_a_refusal_names_the_check_on_lines_of_its_own(
    ready: World, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(ready)
    main(START)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert "the data for a batch of 2026-02-05 are not ready" in lines
    assert "  deny    upstream-cache: too-low: 0, at least 1" in lines


def test_a_start_shows_what_the_checks_say(ready: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(START) == 0
    assert "readiness for 2026-02-05, pre-game  ALLOW" in capsys.readouterr().err


def test_without_its_file_nothing_is_checked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    # The verdict names the path of drift.toml, and so this test: its own name says nothing of what is sought.
    assert main(START) == 0
    assert "readiness" not in capsys.readouterr().err


def test_2_a_readiness_toml_that_is_named_and_missing_stops(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDINATOR_READINESS", "/none/readiness.toml")
    assert main(START) == 2
    assert "COORDINATOR_READINESS: there is no file /none/readiness.toml" in capsys.readouterr().err
    assert not STATE.exists()


class TestSideBySide:
    """``permitted``, with a gate and a look at the data that wait for one another."""

    ORDER = Order(game_date=date(2026, 2, 5))

    def test_the_data_are_looked_at_while_the_gate_is_asked(self) -> None:
        """Each waits until the other has begun: one after the other, neither would end in time."""
        meeting = threading.Barrier(2, timeout=60)

        def gate(*, skip: bool, **_: object) -> Verdict:
            meeting.wait()
            return a_verdict()

        def look(order: Order, slate: Callable[[], Slate]) -> Readiness | None:
            meeting.wait()
            return None

        permitted(self.ORDER, gate=gate, ready=look)

    def test_the_slate_is_read_once_for_both(self) -> None:
        reads = []

        def read(order: Order) -> Slate:
            reads.append(order)
            time.sleep(0.05)
            return read_slate(order.game_date)

        def look(order: Order, slate: Callable[[], Slate]) -> Readiness | None:
            assert len(slate().requests) == 273
            return None

        def gate(*, skip: bool, **_: object) -> Verdict:
            return a_verdict()

        permitted(self.ORDER, gate=gate, read=read, ready=look)
        assert reads == [self.ORDER]

    def test_where_both_refuse_the_drift_gate_is_heard(self) -> None:
        """It is the older question, and its refusal waits for no check."""

        def gate(*, skip: bool, **_: object) -> Verdict:
            raise DeploymentDriftError("behind")

        def look(order: Order, slate: Callable[[], Slate]) -> Readiness | None:
            refused.wait()
            raise NotReadyError("not ready")

        refused = threading.Event()

        with pytest.raises(DeploymentDriftError):
            permitted(self.ORDER, gate=gate, ready=look)
        refused.set()
