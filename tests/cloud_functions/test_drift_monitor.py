"""The Cloud Function run for real: a message in, a look in the journal, and what a failed one answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest
from support.cloud_function import Function, function, upload
from support.fault_server import FaultServer, relay, slam
from support.limits import ENOUGH_S
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.journal.firestore import Database, FirestoreJournal
from drift_gate.journal.records import Look
from drift_gate.testing import FakeCloudRun
from drift_gate.testing.git_server import GitServer

pytestmark = pytest.mark.heavy  # an environment of its own, and a server started in it


@dataclass
class Deployed:
    """The function with all that it asks, and how its first look ended, whose repository was out of reach."""

    world: World
    remote: GitServer
    function: Function
    project: str
    road: FaultServer
    emulator: str
    toml: str
    cold: tuple[int, str]

    @property
    def looks(self) -> list[Look]:
        """What the journal has, the oldest first."""
        journal = FirestoreJournal(Database(self.project, emulator=self.emulator), busy_s=ENOUGH_S)
        return sorted(journal.looks(), key=lambda each: each.at)

    def look(self, toml: str = "") -> tuple[int, str]:
        """The answer to a message, by settings that are ``toml``, as if it had been deployed."""
        (self.function.folder / "drift.toml").write_text(toml or self.toml)
        return self.function.send()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, firestore_emulator: str) -> Iterator[Deployed]:
    folder, project = tmp_path_factory.mktemp("function"), f"p-{uuid4().hex[:12]}"
    name, _, port = firestore_emulator.partition(":")
    way = relay((name, int(port)))
    with FakeCloudRun() as cloud, GitServer(folder) as remote, FaultServer(way) as road:
        world = World(folder / "repo", cloud)
        cloud.deploy(WORKER, commit=world.first)
        toml = _toml("https://git.example/repo/.git", f"firestore://{project}")
        environ = {
            "CLOUD_RUN_EMULATOR_HOST": cloud.host,
            "FIRESTORE_EMULATOR_HOST": road.host,
            "TMPDIR": str(folder),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{remote.url}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://git.example/",
        }
        with function(upload(folder / "upload", toml), environ) as started:
            remote.misbehave = lambda _: (404, {}, b"")
            cold = started.send()
            remote.misbehave = None
            yield Deployed(world, remote, started, project, road, firestore_emulator, toml, cold)


def _toml(repository: str, store: str) -> str:
    keys = f'[journal]\nstore = "{store}"\n'
    return keys + CLOUD_RUN.replace("[defaults]", f'[defaults]\nrepository = "{repository}"')


def test_a_cold_start_without_the_history_says_so_and_the_next_look_has_it(deployed: Deployed) -> None:
    """Both are kept; what could not be read is unknown, with its cause."""
    assert deployed.cold == (200, "OK")
    said = deployed.function.logged("the history cannot be read from a mirror: not-found: ")
    assert said["severity"] == "ERROR"
    told = deployed.function.logged("looked at only 0 of 1 service, 1 deny")
    assert told["severity"] == "WARNING"
    assert deployed.look() == (200, "OK")
    first, *_, last = deployed.looks
    assert (first.whole, last.whole) == (False, True)
    assert deployed.function.logged("looked at 1 service, ")["severity"] == "INFO"


def test_a_drift_is_found_by_what_the_function_has_of_its_own(deployed: Deployed) -> None:
    """No checkout, no home, and the mirror is asked for what is new."""
    seen = len(deployed.function.entries)
    for _ in range(4):
        deployed.world.change()
    assert deployed.look() == (200, "OK")
    assert deployed.function.logged(f"{WORKER}: incident {WORKER}#", seen)
    verdict = deployed.function.logged(f"drift verdict on {WORKER}: deny", seen)
    assert (verdict["commits_behind"], verdict["event"]) == (4, "drift_verdict")


def test_a_look_that_does_not_read_all_is_done_with(deployed: Deployed) -> None:
    """It stands in the journal with its cause; to bring the message again would cure nothing."""
    seen = len(deployed.function.entries)
    assert deployed.look(deployed.toml + '[services.second]\npaths = ["/shared/"]\n') == (200, "OK")
    assert deployed.looks[-1].read == (WORKER,)
    assert deployed.function.logged("second: not read: not-found: ", seen)


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("journal.sqlite", "is lost with this instance"),
        ("off", "is lost with this instance"),
        (
            "firestore://example-project/(other)",
            "a journal is a SQLite file, or firestore://PROJECT/DATABASE",
        ),
    ],
)
def test_a_journal_that_would_not_last_is_a_failure(deployed: Deployed, store: str, sentence: str) -> None:
    """Pub/Sub brings such a message again, and in the end it lies among the dead letters."""
    seen = len(deployed.function.entries)
    status, _ = deployed.look(deployed.toml.replace(f"firestore://{deployed.project}", store))
    assert status == 500
    said = deployed.function.logged("the look failed: ", seen)
    assert (said["severity"], sentence in said["message"]) == ("ERROR", True)


@pytest.mark.heavy  # a monitor waits half a minute for its journal
def test_a_look_that_cannot_be_kept_is_a_failure(deployed: Deployed) -> None:
    """What was seen stands in the log, whole; and the next message finds the journal again."""
    seen, kept, open_road = len(deployed.function.entries), len(deployed.looks), deployed.road.way
    deployed.road.way = slam
    deployed.road.close_all()
    try:
        status, _ = deployed.look()
    finally:
        deployed.road.way = open_road
    assert status == 500
    assert "cannot be used" in deployed.function.logged("the look failed: ", seen)["message"]
    assert deployed.function.logged("Exception on /", seen)["stack_trace"]
    events = [each["event"] for each in deployed.function.entries[seen:] if "event" in each]
    assert events == ["drift_verdict", "drift_decision"]
    assert deployed.look() == (200, "OK")
    assert len(deployed.looks) == kept + 1


def test_one_look_at_a_time(deployed: Deployed) -> None:
    """The message that comes meanwhile is taken and left out."""
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(ENOUGH_S)

    kept = len(deployed.looks)
    deployed.world.cloud.before("GetService", hold)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(deployed.look)
        assert begun.wait(ENOUGH_S)
        try:
            assert deployed.function.send() == (200, "OK")
            assert deployed.function.logged("is left out: a look is under way")
        finally:
            go_on.set()
        assert first.result(ENOUGH_S) == (200, "OK")
    assert len(deployed.looks) == kept + 1
