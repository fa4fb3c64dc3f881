"""``deployment-drift deploy`` and ``rollback`` over a Cloud Run and a registry on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.documents import ROOT
from support.limits import ENOUGH_S
from support.processes import heed_signals, left_running
from support.times import soon
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.commands import main
from drift_gate.delivery.holder import Holder
from drift_gate.journal.deploys import Claim, Deploy, Lock
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.journal.sqlite_deploys import SqliteDeploys
from drift_gate.testing import FakeRegistry
from drift_gate.wiring import actor, deploys
from drift_gate.wiring.deploys import utc_now

#: A day that is to come, whenever this runs.
UNTIL = f"{soon():%Y-%m-%d}"
LABEL = "org.opencontainers.image.revision"
SERVICE = f"""
[journal]
store = ".drift/journal.sqlite"

[deploy]
builder = "image"
image = "HOST/images/{{service}}:{{commit}}"
watch = 0

[services.{WORKER}]
"""


class Asked:
    """The command line in this process; the worker serves the first commit."""

    def __init__(
        self,
        world: World,
        registry: FakeRegistry,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.world = world
        self.registry = registry
        self._capsys = capsys
        deploys = SERVICE.replace("HOST", registry.host)
        world.toml = CLOUD_RUN.replace(f"\n[services.{WORKER}]\n", deploys)
        world.cloud.deploy(WORKER, commit=world.first)
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
        monkeypatch.setenv("HOME", str(world.folder))
        monkeypatch.chdir(world.folder)

    def built(self) -> str:
        """A commit on main whose image is in the registry."""
        commit = self.world.change()
        self.registry.push(f"images/{WORKER}", tag=commit, labels={LABEL: commit})
        return commit

    def __call__(self, *args: str) -> tuple[int, str, str]:
        """The exit code, stdout, and stderr without the lines of JSON."""
        if not (self.world.folder / "drift.toml").exists():
            self.world.settings()
        self._capsys.readouterr()
        code = main.main(args)
        out, err = self._capsys.readouterr()
        return code, out, "".join(f"{line}\n" for line in err.splitlines() if not line.startswith("{"))

    def serving(self) -> list[str]:
        """The commits that get traffic."""
        statuses = self.world.cloud.services[WORKER].traffic_statuses
        latest = self.world.cloud.services[WORKER].latest_ready_revision.rpartition("/")[2]
        names = [each.revision or latest for each in statuses if each.percent]
        return [self.world.cloud.revisions[name].labels["commit-sha"] for name in names]


@pytest.fixture
def asked(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Asked]:
    with FakeRegistry() as registry:
        yield Asked(world, registry, monkeypatch, capsys)


def test_a_deploy_tells_each_step_and_ends_with_the_gates_verdict(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there is nothing to do; an older commit is refused; all of it is in the journal."""
    commit = asked.built()
    asked.world.history.git("config", "user.email", "ann@example.com")
    monkeypatch.setattr(actor, "ANSWER_S", ENOUGH_S)
    monkeypatch.setattr(deploys, "ACTOR_S", ENOUGH_S)
    code, out, err = asked("deploy", WORKER, "--to", "50")
    assert code == 0
    assert re.fullmatch(rf"{WORKER}: {WORKER}-\S+ serves {commit[:12]}; the gate says ALLOW\n", out)
    steps = [line.split()[1] for line in err.splitlines()]
    first = ["lock", "plan", "build", "push", "release", "prove"]
    assert steps == [*first, "forward", "move", "forward", "move"]
    assert asked.serving() == [commit]
    code, out, _ = asked("deploy", WORKER)
    assert (code, out) == (0, f"{WORKER}: what serves is what it should be; the gate says ALLOW\n")
    code, out, err = asked("deploy", WORKER, "--commit", asked.world.first)
    assert (code, out) == (5, "")
    assert f"{asked.world.first[:12]} is not deployed" in err
    assert "a deploy would go backwards; to go back on purpose: deployment-drift rollback" in err
    file = asked.world.folder / ".drift" / "journal.sqlite"
    kept = SqliteDeploys(file, busy_s=ENOUGH_S).deploys(WORKER)
    assert [each.state for each in kept] == ["overtaken", "nothing", "done"]
    assert {each.by for each in kept} == {"ann@example.com"}
    said = [(each.door, each.by) for each in SqliteJournal(file).entries()]
    assert said == [("deploy", "ann@example.com")] * 2


def test_a_dry_run_changes_nothing(asked: Asked) -> None:
    commit = asked.built()
    code, out, _ = asked("deploy", WORKER, "--dry-run", "--to", "10,50")
    assert code == 0
    assert f"target   {commit[:12]}" in out
    assert f"take the image {asked.registry.host}/images/{WORKER}:{commit}" in "".join(
        out.split("\n         ")
    )
    assert "move the traffic: 10 %, 50 %, 100 %" in out
    assert asked.serving() == [asked.world.first]
    assert len(asked.world.cloud.revisions) == 1


def test_an_image_that_is_not_there_is_a_red_build(asked: Asked) -> None:
    commit = asked.world.change()
    code, out, err = asked("deploy", WORKER)
    assert (code, out) == (1, "")
    assert f"images/{WORKER}:{commit}" in err
    assert asked.serving() == [asked.world.first]


def test_the_smoke_command_learns_of_the_candidate_and_may_refuse_it(asked: Asked) -> None:
    """6, and no traffic was moved."""
    commit = asked.built()
    words = '["sh", "-c", "echo $CANDIDATE_SERVICE at $CANDIDATE_URL runs $CANDIDATE_COMMIT; exit 4"]'
    asked.world.toml = asked.world.toml.replace("watch = 0", f"smoke = {words}")
    code, out, err = asked("deploy", WORKER)
    assert (code, out) == (6, "")
    assert f"{WORKER} at https://candidate---{WORKER}.example runs {commit}" in err
    assert "the smoke command is not content: exit status 4" in err
    assert "no traffic was moved" in err
    assert asked.serving() == [asked.world.first]


def test_sigterm_leaves_nothing_running_and_the_same_command_goes_on(asked: Asked) -> None:
    """A server that cancels a run sends it; the command that is at work runs in a session of its own."""
    heed_signals()
    commit, mark = asked.built(), f"600{os.getpid()}"
    plain = asked.world.toml
    asked.world.toml = plain.replace(
        "watch = 0", f'watch = 0\nsmoke = ["sh", "-c", "kill -TERM $PPID; sleep {mark}"]'
    )
    with pytest.raises(SystemExit) as ended:
        asked("deploy", WORKER)
    assert ended.value.code == 128 + signal.SIGTERM
    assert left_running(f"sleep {mark}") == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    deploys = SqliteDeploys(asked.world.folder / ".drift" / "journal.sqlite", busy_s=ENOUGH_S)
    assert (deploys.deploys(WORKER)[0].state, deploys.lock(WORKER).holder) == ("interrupted", None)
    asked.world.toml = plain
    asked.world.settings()
    assert asked("deploy", WORKER)[0] == 0
    assert asked.serving() == [commit]
    assert [each.state for each in deploys.deploys(WORKER)] == ["done"]


def test_sigterm_ends_one_that_waits(asked: Asked) -> None:
    """Its place is free, and the journal says what became of it."""
    heed_signals()
    asked.built()
    kept = SqliteDeploys(asked.world.folder / ".drift" / "journal.sqlite", busy_s=ENOUGH_S)
    theirs = Deploy(service=WORKER, commit=asked.world.first, by="ann", asked_at=utc_now())
    claim = Claim(
        deploy=theirs.id,
        commit=theirs.commit,
        by="ann",
        since=theirs.asked_at,
        until=theirs.asked_at + timedelta(days=1),
        process=Holder.of_this_process().mark,
    )
    assert kept.swap(kept.lock(WORKER), Lock(service=WORKER, holder=claim, mark="theirs"), [theirs])

    def cancel() -> None:
        while kept.lock(WORKER).waiting is None:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(SystemExit) as ended:
        asked("deploy", WORKER)
    canceller.join()
    assert ended.value.code == 128 + signal.SIGTERM
    assert (kept.lock(WORKER).holder, kept.lock(WORKER).waiting) == (claim, None)
    last = kept.deploys(WORKER, limit=1)[0]
    assert (last.state, last.message) == ("interrupted", "Terminated: SIGTERM")


def test_a_rollback_serves_is_acknowledged_and_stays(asked: Asked) -> None:
    """The next batch starts, and the next deploy does not undo it; who means it says which revision."""
    commit = asked.built()
    asked("deploy", WORKER)
    code, tables, err = asked("rollback", WORKER, "--reason", "wrong odds", "--until", UNTIL)
    assert code == 0, err
    assert asked.serving() == [asked.world.first]
    assert f"{WORKER}: {WORKER}-00001 serves until {UNTIL} 00:00 UTC\n" in err
    told = rf"rolled {WORKER} back .*wrong odds; to deploy all the same: --replace {WORKER}-00001"
    for words, expected in (("deploy", WORKER, "--dry-run"), 5), (("plan",), 0):
        code, out, _ = asked(*words)
        assert code == expected
        assert "not to be deployed" in out
        assert re.search(told, " ".join(out.split()))
    with (asked.world.folder / "drift.toml").open("a") as file:
        file.write(f"\n{tables}")
    assert asked("check")[0] == 0
    code, out, err = asked("deploy", WORKER)
    assert (code, out) == (5, "")
    assert re.search(told, err)
    assert asked("deploy", WORKER, "--replace", f"{WORKER}-00001")[0] == 0
    assert asked.serving() == [commit]


@pytest.mark.heavy
def test_once_a_revert_is_merged_a_rollback_leaves_nothing_to_do(asked: Asked) -> None:
    """What was rolled back to is what main says again; no job fails by it."""
    asked.built()
    asked("deploy", WORKER)
    assert asked("rollback", WORKER, "--reason", "wrong odds", "--until", UNTIL)[0] == 0
    asked.world.history.commit({"predictions/worker/worker.py": "VERSION = 0\n"}, subject="revert")
    code, out, _ = asked("plan")
    assert (code, "nothing to do" in out) == (0, True)
    code, out, err = asked("deploy", WORKER)
    assert code == 0, err
    assert f"{WORKER}: what serves is what it should be" in out
    assert asked.serving() == [asked.world.first]


@pytest.mark.heavy
def test_who_has_no_journal_of_a_rollback_knows_it_by_what_is_acknowledged(asked: Asked) -> None:
    """A runner that begins with nothing; a plan does not list it, so that no job tries in vain each hour."""
    commit = asked.built()
    asked("deploy", WORKER)
    _, tables, _ = asked("rollback", WORKER, "--reason", "wrong odds", "--until", UNTIL)
    (asked.world.folder / ".drift").rename(asked.world.folder / "elsewhere")
    with (asked.world.folder / "drift.toml").open("a") as file:
        file.write(f"\n{tables}")
    told = rf"wrong odds; to deploy all the same: --replace {WORKER}-00001"
    code, out, _ = asked("plan")
    assert (code, "not to be deployed" in out) == (0, True)
    assert re.search(told, " ".join(out.split()))
    code, out, err = asked("deploy", WORKER)
    assert (code, out) == (5, "")
    assert re.search(told, err)
    assert asked.serving() == [asked.world.first]
    assert asked("deploy", WORKER, "--to", "50", "--replace", f"{WORKER}-00001")[0] == 0
    assert asked.serving() == [commit]


def test_a_plan_without_the_journal_knows_of_no_rollback_and_says_so(asked: Asked) -> None:
    """What a deploy would do is not known then; that there is nothing to do still is."""
    file = asked.world.folder / ".drift" / "journal.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"no journal")
    code, out, _ = asked("plan")
    assert (code, "nothing to do" in out) == (0, True)
    asked.built()
    code, out, _ = asked("plan")
    assert (code, out.splitlines()[0]) == (3, f"{WORKER}  unknown")
    assert str(file) in " ".join(out.split())


@pytest.mark.heavy
def test_a_rollback_may_be_committed(asked: Asked) -> None:
    """In drift.toml alone, and not on top of changes that are not."""
    git = asked.world.history.git
    asked.world.toml = asked.world.toml.replace("\n", "\r\n")  # as an editor on Windows leaves it
    asked.world.settings()
    git("reset", "-q", "--hard")
    git("add", "drift.toml")
    git("-c", "user.name=Ann", "-c", "user.email=a@example.com", "commit", "-qm", "settings")
    git("config", "user.name", "Ann")
    git("config", "user.email", "ann@example.com")
    asked.built()
    git("reset", "-q", "--hard")
    asked("deploy", WORKER)
    args = ("rollback", WORKER, "--reason", "wrong odds", "--until", UNTIL, "--commit")
    code, out, err = asked(*args)
    assert (code, out) == (0, ""), err
    assert (
        git("log", "-1", "--format=%s%n%b", "--name-only")
        .split("\n")[0]
        .startswith("Acknowledge the rollback")
    )
    assert git("show", "--format=", "--name-only", "HEAD") == "drift.toml"
    assert re.fullmatch(r"\d+\t0\tdrift.toml", git("show", "--format=", "--numstat", "HEAD"))
    with (asked.world.folder / "drift.toml").open("a") as file:
        file.write("# more\n")
    code, _, err = asked(*args)
    assert code == 2
    assert "has changes that are not committed yet" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('builder = "image"\n', r"\[services.prediction-worker\] lacks builder and dockerfile"),
        ('store = ".drift/journal.sqlite"', r'\[journal\] store = "off"'),
    ],
)
def test_what_a_deploy_needs_is_named(asked: Asked, wrong: str, told: str) -> None:
    better = 'store = "off"' if "store" in wrong else ""
    asked.world.toml = asked.world.toml.replace(wrong, better)
    code, out, err = asked("deploy", WORKER)
    assert (code, out) == (2, "")
    assert re.search(told, err)


def test_what_is_not_merged_is_not_deployed(asked: Asked) -> None:
    side = asked.world.history.commit({"shared/odds.py": "9\n"}, branch="side")
    code, _, err = asked("deploy", WORKER, "--commit", "side")
    assert (code, err) == (
        2,
        f"deployment-drift: side ({side[:12]}) is no part of refs/heads/main: merge it first\n",
    )


@pytest.mark.parametrize("script", ["check-deployment-drift.sh", "deploy-service.sh"])
def test_the_habits_of_the_operators_are_three_lines(script: str, tmp_path: Path) -> None:
    """They hand on what they are given."""
    file = ROOT / "bin" / script
    assert len(file.read_text().splitlines()) == 3
    program = tmp_path / "deployment-drift"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [str(file), "a service", "--x"],
        env={"PATH": f"{tmp_path}:/bin:/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{'deploy' if 'service' in script else 'check'}|a service|--x|"
