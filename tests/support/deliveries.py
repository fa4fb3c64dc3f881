"""A platform, a builder and a history for deploys: small, kept in a file, and killed wherever a test likes.

The Protocols are those of ``delivery``; the journal beside it is the real one. Each call passes two points,
one before it does anything and one after; whoever is killed at one does nothing more, as after SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.reports import POLICY, live, report, unread

from drift_gate.delivery.contracts import Candidate, Export, Look, Revision, Split
from drift_gate.delivery.parts import Clock, Limits, Parts
from drift_gate.errors import BuildError, DriftGateError, SplitChangedError
from drift_gate.facts import Kind
from drift_gate.journal.deploys import Deploy, Deploys, Lock
from drift_gate.journal.sqlite_deploys import SqliteDeploys
from drift_gate.policy.verdict import Verdict, judge
from drift_gate.runtime.deadline import Deadline

BEGIN = datetime(2026, 2, 5, 16, tzinfo=UTC)
WORKER = "prediction-worker"
BUSY_S = 60.0
#: How often, out of one, the same actor goes on.
_STICKY = 0.9


class Killed(BaseException):
    """What ends a process that is killed; nothing that it does afterwards counts."""


class Points:
    """The points that one process passes.

    ``kill_at``: the number of the one at which it is killed; None: none.
    ``turn`` is called at each: to let others go first, to kill in earnest.
    """

    def __init__(self, kill_at: int | None = None, turn: Callable[[str], object] = lambda name: None) -> None:
        self.kill_at = kill_at
        self.passed: list[str] = []
        self._turn = turn

    def at(self, name: str) -> None:
        """One more point."""
        self.passed.append(name)
        self._turn(name)
        if self.kill_at is not None and len(self.passed) >= self.kill_at:
            raise Killed(name)


class Turns:
    """Lets several actors go on one at a time, from point to point, whose turn it is by ``chance``.

    One in ``deadly`` turns kills the actor instead. Most turns go on with the same one, so that others stand
    still for long, wherever they are.
    """

    def __init__(self, chance: random.Random, deadly: int) -> None:
        self._chance = chance
        self._deadly = deadly
        self._changed = threading.Condition()
        self._parked: set[int] = set()
        self._dead: set[int] = set()
        self._next: int | None = None

    def points(self, actor: int) -> Points:
        """Those of one actor."""
        return Points(turn=lambda name: self._wait(actor))

    def run(self, actors: Sequence[Callable[[Points], object]]) -> None:
        """All of them, until each has ended; what one raises ends it alone."""
        alive = set(range(len(actors)))

        def act(number: int) -> None:
            try:
                self._wait(number)
                with contextlib.suppress(DriftGateError, Killed):
                    actors[number](self.points(number))
            except Killed:
                pass
            finally:
                with self._changed:
                    alive.discard(number)
                    self._changed.notify_all()

        threads = [threading.Thread(target=act, args=(number,)) for number in alive]
        for thread in threads:
            thread.start()
        last = -1
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is None and self._parked >= alive)
                if not alive:
                    break
                if last not in self._parked or self._chance.random() > _STICKY:
                    last = self._chance.choice(sorted(self._parked))
                chosen = last
                if not self._chance.randrange(self._deadly):
                    self._dead.add(chosen)
                self._parked.discard(chosen)
                self._next = chosen
                self._changed.notify_all()
        for thread in threads:
            thread.join()

    def _wait(self, actor: int) -> None:
        with self._changed:
            self._parked.add(actor)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._next == actor)
            self._next = None
            if actor in self._dead:
                raise Killed(f"actor {actor}")


class Time:
    """A clock that goes on where somebody sleeps."""

    def __init__(self, elapsed: float = 0.0) -> None:
        self.elapsed = elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds

    def clock(self, points: Points) -> Clock:
        """For one process: each sleep is a point."""

        def sleep(seconds: float) -> None:
            self.sleep(seconds)
            points.at("sleep")

        return Clock(lambda: BEGIN + timedelta(seconds=self.elapsed), lambda: self.elapsed, sleep)


class MemoryDeploys:
    """``Deploys`` of one process, for tests that make many; what the stores do is tried elsewhere."""

    def __init__(self) -> None:
        self._locks: dict[str, Lock] = {}
        self._deploys: dict[str, Deploy] = {}
        self._guard = threading.Lock()

    def lock(self, service: str) -> Lock:
        return self._locks.get(service, Lock(service=service))

    def swap(self, was: Lock, now: Lock, deploys: Sequence[Deploy] = ()) -> bool:
        with self._guard:
            if self.lock(was.service).mark != was.mark:
                return False
            self._locks[now.service] = now
            self._deploys |= {each.id: each for each in deploys}
            return True

    def deploys(
        self, service: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Deploy]:
        found = [
            each
            for each in self._deploys.values()
            if service in (None, each.service) and (since is None or each.asked_at >= since)
        ]
        return sorted(found, key=lambda each: (each.asked_at, each.id), reverse=True)[:limit]


@dataclass
class World:
    """Everything outside of the deploys, in ``folder``; several processes may share it.

    The state: ``commits`` in the order of main, each with the services that it matters to (``touches``),
    whether its image can be built (``red``) and where it is not healthy (``sick``); and ``services`` with
    what the platform holds of each. ``moves`` are the splits that ever were. ``journal``: where deploys are
    kept; None: in a file, for several processes.
    """

    folder: Path
    time: Time = field(default_factory=Time)
    journal: Deploys | None = field(default_factory=lambda: MemoryDeploys())

    @contextlib.contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """All of it, for the block alone; what the block changes is kept, whole."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "world.json"
        with (self.folder / "lock").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            state: dict[str, Any] = {"commits": {}, "services": {}, "refused": 0}
            if file.exists():
                state = json.loads(file.read_text())
            before = json.dumps(state)
            yield state
            if json.dumps(state) != before:
                beside = file.with_suffix(".new")
                beside.write_text(json.dumps(state))
                beside.replace(file)

    @property
    def deploys(self) -> Deploys:
        """The journal."""
        return self.journal or SqliteDeploys(self.folder / "journal.sqlite", busy_s=BUSY_S)

    def merge(self, *touches: str, red: bool = False, sick: Sequence[str] = ()) -> str:
        """One more commit on main; it matters to the services that it ``touches``."""
        with self.state() as state:
            commit = f"{len(state['commits']) + 1:040x}"
            state["commits"][commit] = {"touches": list(touches), "red": red, "sick": list(sick)}
        return commit

    def heal(self, commit: str) -> None:
        """What was sick is healthy from now on."""
        with self.state() as state:
            state["commits"][commit]["sick"] = []

    def serve(self, service: str, commit: str | None) -> str:
        """A first revision of ``commit`` (None: one that names none) that gets everything."""
        with self.state() as state:
            held: dict[str, Any] = {"revisions": {}, "shares": {}, "tags": {}, "etag": 0, "moves": []}
            state["services"][service] = held
            name = _make(held, service, "by/hand@sha256:0", commit)
            held["shares"] = {name: 100}
            held["moves"].append(held["shares"])
        return name

    def shares(self, service: str) -> dict[str, int]:
        """The split now."""
        with self.state() as state:
            return dict(state["services"][service]["shares"])

    def serving(self, service: str) -> dict[str | None, int]:
        """The percent of each commit."""
        with self.state() as state:
            held = state["services"][service]
            return {held["revisions"][name]["commit"]: each for name, each in held["shares"].items()}

    def moves(self, service: str) -> list[dict[str | None, int]]:
        """Each split that ever was, by commit."""
        with self.state() as state:
            held = state["services"][service]
            return [
                {held["revisions"][name]["commit"]: share for name, share in move.items()}
                for move in held["moves"]
            ]

    def parts(
        self,
        service: str = WORKER,
        points: Points | None = None,
        time: Time | None = None,
        *,
        kind: Kind = "service",
        smoke: Callable[[Candidate, str], str | None] = lambda candidate, commit: None,
        say: Callable[[str, str], None] = lambda step, sentence: None,
        **limits: Any,
    ) -> Parts:
        """What one process deploys with."""
        points, time = points or Points(), time or self.time
        time.elapsed += 1
        return Parts(
            service=service,
            kind=kind,
            release=WorldRelease(self, service, points),
            builder=WorldBuilder(self, points),
            probe=WorldProbe(self, service, points),
            judge=WorldJudge(self, service, points),
            deploys=WorldDeploys(self.deploys, points),
            export=_export,
            smoke=smoke,
            say=say,
            limits=Limits(**{"watch": 10.0, "healthy_answers": 2} | limits),
            clock=time.clock(points),
        )


def _make(held: dict[str, Any], service: str, image: str, commit: str | None) -> str:
    name = f"{service}-{len(held['revisions']) + 1:05d}"
    held["revisions"][name] = {"image": image, "commit": commit}
    held["etag"] += 1
    return name


@contextlib.contextmanager
def _export(commit: str) -> Iterator[Export]:
    yield Export(folder=Path("/nowhere"), commit=commit, committed_at=BEGIN)


@dataclass
class WorldBuilder:
    """A ``Builder``."""

    world: World
    points: Points

    def build(self, export: Export, within: Deadline) -> str:
        self.points.at("build")
        with self.world.state() as state:
            red = state["commits"][export.commit]["red"]
        if red:
            raise BuildError(f"the image of {export.commit[-4:]} cannot be built: exit status 1")
        self.points.at("built")
        return export.commit

    def push(self, built: str, within: Deadline) -> str:
        self.points.at("push")
        self.points.at("pushed")
        return f"images/worker@sha256:{int(built, 16):064x}"


@dataclass
class WorldRelease:
    """A ``Release``: like the platform, it changes nothing for an etag that is not the one of now."""

    world: World
    service: str
    points: Points

    def read(self, within: Deadline) -> Split:
        self.points.at("read")
        with self.world.state() as state:
            held = state["services"][self.service]
            return Split(shares=dict(held["shares"]), etag=str(held["etag"]), tags=dict(held["tags"]))

    def revisions(self, within: Deadline) -> Sequence[Revision]:
        with self.world.state() as state:
            held = state["services"][self.service]
            return [
                Revision(name=name, commit=each["commit"], image=each["image"], created_at=BEGIN, ready=True)
                for name, each in reversed(held["revisions"].items())
            ]

    def candidate(self, image: str, commit: str, tag: str, within: Deadline) -> Candidate:
        self.points.at("candidate")
        with self.world.state() as state:
            held = state["services"][self.service]
            name = held["tags"].get(tag)
            if name is None or held["revisions"][name] != {"image": image, "commit": commit}:
                name = held["tags"][tag] = _make(held, self.service, image, commit)
        self.points.at("candidate is there")
        return Candidate(revision=name, url=f"https://{tag}---{self.service}.example")

    def move(self, shares: Mapping[str, int], etag: str, within: Deadline) -> None:
        self.points.at("move")
        assert sum(shares.values()) == 100
        with self.world.state() as state:
            held = state["services"][self.service]
            refused = str(held["etag"]) != etag
            if refused:
                state["refused"] += 1
            else:
                held["shares"] = dict(shares)
                held["moves"].append(held["shares"])
                held["etag"] += 1
        if refused:
            raise SplitChangedError(f"{self.service} has changed")
        self.points.at("moved")


@dataclass
class WorldProbe:
    """A ``Probe``."""

    world: World
    service: str
    points: Points

    def look(self, candidate: Candidate, commit: str, within: Deadline) -> Look:
        self.points.at("look")
        with self.world.state() as state:
            sick = self.service in state["commits"][commit]["sick"]
        why = "it answers 500" if sick else ""
        return Look(healthy=not sick, proven=True, why=why, retryable=False)


@dataclass
class WorldJudge:
    """A ``Judge`` over the straight history of main."""

    world: World
    service: str
    points: Points

    def against(self, commit: str) -> Verdict:
        self.points.at("judge")
        with self.world.state() as state:
            held, commits = state["services"][self.service], state["commits"]
        relevant = [each for each, told in commits.items() if self.service in told["touches"]]
        lives = [
            self._live(name, share, held["revisions"][name]["commit"], commit, relevant)
            for name, share in held["shares"].items()
        ]
        found = report(*sorted(lives, key=lambda each: -(each.commits_behind or 0)))
        target = found.target.model_copy(update={"commit": commit}) if found.target else None
        return judge(found.model_copy(update={"service": self.service, "target": target}), POLICY, BEGIN)

    def holds(self, commit: str, other: str) -> bool:
        return commit >= other

    def _live(self, name: str, share: int, its: str | None, commit: str, relevant: Sequence[str]) -> Any:
        if its is None:
            return unread("no-commit-evidence", name)
        behind = sum(its < each <= commit for each in relevant)
        ahead = sum(commit < each <= its for each in relevant)
        return live(behind, ahead, age=60, revision=name, percent=share, commit=its)


@dataclass
class WorldDeploys:
    """``Deploys`` whose writes are points."""

    store: Deploys
    points: Points

    def lock(self, service: str) -> Lock:
        self.points.at("lock")
        return self.store.lock(service)

    def swap(self, was: Lock, now: Lock, deploys: Sequence[Deploy] = ()) -> bool:
        self.points.at("swap")
        done = self.store.swap(was, now, deploys)
        self.points.at("swapped")
        return done

    def deploys(
        self, service: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Deploy]:
        self.points.at("deploys")
        return self.store.deploys(service, since, limit)
