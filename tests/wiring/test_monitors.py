"""The monitor over a real repository and a loopback Cloud Run: what it keeps, prints and ends with."""

from __future__ import annotations

import subprocess

import pytest
from commands.test_cli import run
from support.world import WORKER, World

from drift_gate.errors import DriftConfigError
from drift_gate.journal.looks import Seen
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.wiring import monitors

STORE = '[journal]\nstore = "journal.sqlite"\n[monitor]\nname = "nightly"\n'
SECOND = '[services.second]\npaths = ["/shared/"]\n'


def once(world: World) -> subprocess.CompletedProcess[str]:
    """``deployment-drift monitor --once``."""
    return run(world, "monitor", "--once")


def journal(world: World) -> SqliteJournal:
    """What the monitor keeps its looks in."""
    return SqliteJournal(world.folder / "journal.sqlite")


def test_looks_follow_a_drift_from_its_beginning_to_its_end(world: World) -> None:
    """Exit codes as those of ``check``; each change of an incident is printed once."""
    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    fine = once(world)
    assert (fine.returncode, fine.stdout.count("\n")) == (0, 1)
    assert fine.stdout.endswith(" UTC: looked at 1 service, 1 allow\n")
    for _ in range(4):
        last = world.change()
    stale, again = once(world), once(world)
    assert (stale.returncode, again.returncode) == (1, 1)
    assert f"{WORKER}: incident {WORKER}#1 opened, warning, since" in stale.stdout
    assert again.stdout.count("\n") == 1
    world.cloud.deploy(WORKER, commit=last)
    cured = once(world)
    assert cured.returncode == 0
    assert f"{WORKER}: incident {WORKER}#1 resolved after " in cured.stdout

    looks = journal(world).looks()
    assert [(each.scope, each.whole) for each in looks] == [("nightly", True)] * 4
    assert {each.door for each in journal(world).entries()} == {"monitor"}


def test_a_look_that_reads_fewer_than_are_declared_is_not_whole(world: World) -> None:
    """It is kept as such, and says which service is missing and why."""
    world.toml = STORE + world.toml + SECOND
    world.cloud.deploy(WORKER, commit=world.first)
    missed = once(world)
    assert missed.returncode == 3
    assert "looked at only 1 of 2 services, 1 allow, 1 deny" in missed.stdout
    assert "second: not read: not-found: " in missed.stdout
    (look,) = journal(world).looks()
    assert (look.declared, look.read, look.whole) == ((WORKER, "second"), (WORKER,), False)


def test_a_monitor_without_a_journal_is_a_mistake(world: World) -> None:
    """Nothing would remember what it saw."""
    with pytest.raises(DriftConfigError, match="a monitor keeps what it sees"):
        monitors.look(world.settings())


def test_a_journal_that_cannot_be_written_is_said_by_the_exit_code(world: World) -> None:
    """And what was seen stands in the log, whole."""
    world.toml = STORE.replace("journal.sqlite", "drift.toml/journal.sqlite") + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    lost = once(world)
    assert (lost.returncode, lost.stdout) == (3, "")
    assert '"event": "drift_decision"' in lost.stderr
    assert "cannot be used" in lost.stderr


def test_each_notifier_is_told_after_each_look(world: World) -> None:
    """With the changes that the look made, also where there are none."""
    told: list[list[str]] = []

    class Listener:
        def tell(self, seen: Seen) -> None:
            told.append([each.transition.key for each in seen.changes])

    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    monitors.look(world.settings(), [Listener()])
    for _ in range(4):
        world.change()
    monitors.look(world.settings(), [Listener(), Listener()])
    assert told == [[], ["held", "opened"], ["held", "opened"]]
