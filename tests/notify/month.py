"""A month of a team on a virtual clock: what it merges and deploys, and what a simple oracle makes of that.

The oracle knows the script alone. It reads no git, no Cloud Run and no journal, and shares no code with the
gate: of each trouble the script says what a look at it would find.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from drift_gate.testing import FakeCloudRun, HistoryBuilder

#: A Monday. A look every so often: their gaps are shorter than twice the two hours that `stats` assumes.
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
BETWEEN = timedelta(minutes=200)
HOLD = timedelta(minutes=10)
SERVICES = ("api", "jobs", "loader", "web", "worker")
TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"

[journal]
store = "journal.sqlite"
"""
TABLE = '\n[services.{0}]\npaths = ["/{0}/"]\nignore = ["*.md"]\nrequired_env = ["URL"]\n'


def settings(channels: str = "") -> str:
    """The ``drift.toml`` of the team."""
    return TOML + channels + "".join(map(TABLE.format, SERVICES))


class Found(NamedTuple):
    """What a look at a service in trouble finds: commits ``behind``, whether the policy denies for another
    reason than that, and whether it could not find out. ``rollout``: one is under way."""

    behind: int = 0
    denied: bool = False
    unknown: bool = False
    rollout: bool = False


class Team:
    """The repository and Cloud Run, and what can be done to a service in them."""

    def __init__(self, history: HistoryBuilder, cloud: FakeCloudRun) -> None:
        self.history = history
        self.cloud = cloud
        self.forbidden: set[str] = set()
        self._made = 0
        files = {f"{name}/main.py": "" for name in SERVICES} | {"docs/readme.md": ""}
        self.head = history.commit(files, subject="the beginning", when=BEGIN - timedelta(days=1))
        for name in SERVICES:
            self.deploy(name, BEGIN - timedelta(hours=20))

    def merge(self, path: str, at: datetime) -> str:
        """One more commit on main."""
        self._made += 1
        self.head = self.history.commit(
            {path: f"VERSION = {self._made}\n"}, subject="<!channel> & `a`", when=at
        )
        return self.head

    def deploy(self, name: str, at: datetime, **more: object) -> str:
        """Deploy ``name`` at main, unless ``more`` says otherwise."""
        made: dict[str, object] = {"commit": self.head, "env": {"URL": "x"}, "created_at": at}
        return self.cloud.deploy(name, **made | more)  # type: ignore[arg-type]  # what a test has to say

    def serving(self, name: str) -> str:
        """The revision that serves ``name``, by its short name."""
        return self.cloud.services[name].latest_ready_revision.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Trouble:
    """A kind of trouble: what brings it about at a time, what a look finds then, and what ends it.

    ``lands``: it begins with a commit on main. ``short``: it is over within one look.
    """

    begin: Callable[[Team, str, datetime], object]
    found: Found | None
    end: Callable[[Team, str, datetime], object] = Team.deploy
    lands: bool = False
    short: bool = False


def merged(count: int, beside: int = 0) -> Callable[[Team, str, datetime], None]:
    """``count`` commits of the service, a second apart, among others that change nothing of it."""

    def begin(team: Team, name: str, at: datetime) -> None:
        for number in range(beside):
            team.merge(f"docs/{number}.md", at)
        for number in range(count):
            team.merge(f"{name}/part{number}.py", at + timedelta(seconds=number))

    return begin


def failed(team: Team, name: str, at: datetime) -> None:
    team.merge(f"{name}/main.py", at)
    team.deploy(name, at, ready=False)


def pinned(team: Team, name: str, at: datetime) -> None:
    old = team.serving(name)
    team.merge(f"{name}/main.py", at)
    team.deploy(name, at)
    team.cloud.pin(name, old)


def unpinned(team: Team, name: str, at: datetime) -> None:
    team.deploy(name, at)
    team.cloud.set_traffic(name, "latest")


def untouched(team: Team, name: str, at: datetime) -> None:
    team.merge(f"{name}/main.py", at)
    team.deploy(name, at, traffic=False)


def gone(team: Team, name: str, at: datetime) -> None:
    del team.cloud.services[name]


def unlabelled(team: Team, name: str, at: datetime) -> None:
    team.deploy(
        name, at, commit=None, labels={"commit-sha": "unknown"}, service_labels={}, image="images/w:latest"
    )


def forbidden(team: Team, name: str, at: datetime) -> None:
    team.forbidden.add(name)
    team.cloud.fault("GetService", code="PERMISSION_DENIED", message="no", resource=name)


def allowed(team: Team, name: str, at: datetime) -> None:
    team.forbidden.discard(name)
    team.cloud.heal()
    for other in team.forbidden:
        team.cloud.fault("GetService", code="PERMISSION_DENIED", message="no", resource=other)


def without_env(team: Team, name: str, at: datetime) -> None:
    team.deploy(name, at, env={})


def unmerged(team: Team, name: str, at: datetime) -> None:
    made = team.history.commit(
        {f"{name}/main.py": f"{at}"}, branch=f"fix-{name}-{at:%d%H%M}", parents=[team.head], when=at
    )
    team.deploy(name, at, commit=made)


def diverged(team: Team, name: str, at: datetime) -> None:
    unmerged(team, name, at)
    team.merge(f"{name}/other.py", at)


def reverted(team: Team, name: str, at: datetime) -> None:
    # In a file that nothing else changes: beside another change of the same file both would count.
    team.head = team.history.revert(team.merge(f"{name}/tried.py", at), when=at)


def rolling(team: Team, name: str, at: datetime) -> None:
    made = team.merge(f"{name}/main.py", at)
    team.cloud.roll_out(name, since=at + BETWEEN - timedelta(minutes=1), commit=made, env={"URL": "x"})


def landed(team: Team, name: str, at: datetime) -> None:
    team.cloud.land(name)


def nothing(team: Team, name: str, at: datetime) -> None:
    pass


#: By the numbers of the incidents that they stand for; see ``docs/journal.md`` for what becomes of each.
TROUBLES: Mapping[str, Trouble] = {
    "a commit that nobody deployed (1, 9, 11)": Trouble(merged(1), Found(1), lands=True),
    "three behind (2)": Trouble(merged(3), Found(3), lands=True),
    "seven among many (3)": Trouble(merged(7, beside=9), Found(7), lands=True),
    "five that nobody deployed (5)": Trouble(merged(5), Found(5), lands=True),
    "a fix right after the deploy (7)": Trouble(merged(1), Found(1), lands=True, short=True),
    "a service that is gone (8)": Trouble(gone, Found(unknown=True)),
    "a rollout that failed (10)": Trouble(failed, Found(1, denied=True), lands=True),
    "documents (12, 16)": Trouble(merged(0, beside=6), None, nothing),
    "a variable that a deploy dropped (18)": Trouble(without_env, Found(denied=True)),
    "a revision without traffic (20)": Trouble(untouched, Found(1, denied=True), unpinned, lands=True),
    "a pin that outlived a deploy (21, 38)": Trouble(pinned, Found(1, denied=True), unpinned, lands=True),
    "a rollout under way (33)": Trouble(rolling, Found(1, rollout=True), landed, lands=True, short=True),
    "code of a branch (37)": Trouble(unmerged, Found()),
    "code of a branch while main went on": Trouble(diverged, Found(1), lands=True),
    "a look that is refused (40)": Trouble(forbidden, Found(unknown=True), allowed),
    "a label that says nothing (43)": Trouble(unlabelled, Found(unknown=True)),
    "a change that was taken back (45)": Trouble(reverted, None, nothing),
}


@dataclass(frozen=True)
class Chapter:
    """One trouble of one service: it begins before the look ``first`` and ends before the look ``after``."""

    service: str
    kind: str
    first: int
    after: int

    @property
    def trouble(self) -> Trouble:
        """What it is."""
        return TROUBLES[self.kind]

    @property
    def begins(self) -> datetime:
        """An hour and more before the look that finds it; one that is short, within the hold."""
        short = self.trouble.short and not (self.trouble.found or Found()).rollout
        return look_at(self.first) - (timedelta(minutes=5) if short else timedelta(minutes=100))

    @property
    def ends(self) -> datetime:
        """Half an hour before the look that finds it over."""
        return look_at(self.after) - timedelta(minutes=30)


def look_at(number: int) -> datetime:
    """When the look of this number is made."""
    return BEGIN + number * BETWEEN


def script(looks: int, idle: int = 9) -> list[Chapter]:
    """What happens until that look; each kind comes as often as any other, and all end.

    ``idle``: the most looks of a service between two.
    """
    chance = random.Random(7)  # noqa: S311 (the same month each time, no secret)
    kinds = list(TROUBLES)
    chapters: list[Chapter] = []
    at = dict.fromkeys(SERVICES, 1)
    deck: list[str] = []
    while True:
        service = min(SERVICES, key=lambda name: at[name])
        deck = deck or chance.sample(kinds, len(kinds))
        first = at[service] + chance.randint(1, idle)
        after = first + (1 if TROUBLES[deck[-1]].short else chance.choice((1, 2, 3, 4, 5, 10)))
        if after >= looks:
            return chapters
        chapters.append(Chapter(service, deck.pop(), first, after))
        at[service] = after + 1


def events(chapters: Sequence[Chapter]) -> dict[int, list[Callable[[Team], object]]]:
    """What to do before each look, in the order of time."""
    timed: dict[int, list[tuple[datetime, Callable[[Team], object]]]] = defaultdict(list)
    for each in chapters:
        for number, at, act in (
            (each.first, each.begins, each.trouble.begin),
            (each.after, each.ends, each.trouble.end),
        ):
            timed[number].append((at, lambda team, act=act, name=each.service, at=at: act(team, name, at)))  # type: ignore[misc]
    return {
        number: [act for _, act in sorted(todo, key=lambda step: step[0])] for number, todo in timed.items()
    }


@dataclass
class Expected:
    """An incident as the oracle has it; ``steps`` are what happened to it, each with its look."""

    service: str
    landed: datetime | None
    detected: datetime
    severity: str
    opened: datetime | None = None
    resolved: datetime | None = None
    steps: list[tuple[str, datetime]] = field(default_factory=list)
    reminders: int = 0

    @property
    def began(self) -> datetime:
        """Since when production was stale."""
        return self.landed or self.detected

    @property
    def age(self) -> timedelta:
        """For how long it was, once that is over."""
        assert self.resolved
        return self.resolved - self.began

    @property
    def told(self) -> list[tuple[str, datetime]]:
        """What people hear of it: nothing while it is held."""
        return [step for step in self.steps if step[0] != "held"] if self.opened else []

    def see(self, at: datetime, found: Found, age: timedelta) -> None:
        """Take in a look that still finds trouble."""
        grade = severity(found, age)
        worse = _GRADES.index(grade) > _GRADES.index(self.severity)
        self.severity = grade if worse else self.severity
        if self.opened is None and not found.rollout and at - self.began >= HOLD:
            self.opened = at
            self.steps.append(("opened", at))
        elif self.opened and worse:
            self.steps.append(("worsened", at))
        if self.opened and (at - self.opened) // timedelta(days=1) > self.reminders:
            self.reminders = (at - self.opened) // timedelta(days=1)


_GRADES = ("info", "warning", "critical")


def severity(found: Found, age: timedelta) -> str:
    """How bad it is after so long."""
    if found.unknown or found.behind >= 6 or age > timedelta(hours=12):
        return "critical"
    if found.denied or found.behind >= 3 or age >= timedelta(hours=6):
        return "warning"
    return "info"


def oracle(chapters: Sequence[Chapter], looks: Sequence[int]) -> Iterator[Expected]:
    """The incidents that these looks find, the numbers of which are given."""
    for service in SERVICES:
        own = [each for each in chapters if each.service == service]
        incident: Expected | None = None
        for number in looks:
            at = look_at(number)
            chapter = next((each for each in own if each.first <= number < each.after), None)
            if chapter and (found := chapter.trouble.found):
                landed_at = chapter.begins if chapter.trouble.lands else None
                age = at - landed_at if landed_at else timedelta()
                if incident is None:
                    grade = severity(found, age)
                    incident = Expected(service, landed_at, at, grade, steps=[("held", at)])
                incident.see(at, found, age)
            elif incident:
                incident.resolved = at
                incident.steps.append(("resolved", at))
                yield incident
                incident = None
