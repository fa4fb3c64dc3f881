"""Whatever Cloud Run does, the read ends inside its deadline and names the true cause."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.forkserver import forkserver
from support.heavy import light
from support.limits import ENOUGH_S, OVER_S, in_time

from drift_gate.errors import Cause, SourceError
from drift_gate.facts import Kind, Live
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.runtime.forks import CALLS
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.testing.cloud_run import FakeCloudRun

W = "prediction-worker"
A, B = "a" * 40, "b" * 40


def source(
    cloud: FakeCloudRun,
    *,
    name: str = W,
    kind: Kind = "service",
    clients: Clients | None = None,
    seconds: float = ENOUGH_S,
) -> CloudRun:
    return CloudRun(
        service=name,
        kind=kind,
        project=cloud.project,
        region=cloud.region,
        deadline=Deadline(seconds),
        clients=clients or Clients(cloud.host),
    )


def failure(cloud: FakeCloudRun, **settings: object) -> SourceError:
    """The error that a read ends with."""
    asked = source(cloud, **settings)  # type: ignore[arg-type]  # passed through as they are
    with pytest.raises(SourceError) as caught:
        asked.read()
    return caught.value


def read(cloud: FakeCloudRun, seconds: float = ENOUGH_S) -> Live:
    return source(cloud, seconds=seconds).read()


def until_told(fail: Callable[[float], SourceError], cause: Cause) -> SourceError:
    """The error of a read that had the time to be told this ``cause``."""
    return in_time(fail, late=lambda error: error.cause == "timeout" != cause)


def gathered(cloud: FakeCloudRun, seconds: float) -> Live | SourceError:
    """What reaches a caller who waits no longer than the deadline."""
    asked = source(cloud, seconds=seconds)
    return gather({W: asked.read}, Deadline(seconds))[W]


def causes(live: Live | SourceError) -> list[Cause | None]:
    """Why nothing is known of a revision, for each of them; None: it is known."""
    if isinstance(live, SourceError):
        return ["timeout"]
    return [each.unknown.cause if each.unknown else None for each in live.revisions]


FAULTS: list[tuple[str, dict[str, object], Cause, bool]] = [
    ("denied", {"code": "PERMISSION_DENIED"}, "permission-denied", False),
    ("refused credentials", {"code": "UNAUTHENTICATED"}, "credentials", False),
    ("gone", {"code": "NOT_FOUND"}, "not-found", False),
    ("not served there", {"code": "UNIMPLEMENTED"}, "not-found", False),
    ("malformed name", {"code": "INVALID_ARGUMENT"}, "not-found", False),
    ("unavailable for ever", {"code": "UNAVAILABLE"}, "unavailable", True),
    ("internal for ever", {"code": "INTERNAL"}, "unavailable", True),
    ("quota used up", {"code": "RESOURCE_EXHAUSTED"}, "rate-limited", True),
    ("given up by the server", {"code": "DEADLINE_EXCEEDED"}, "timeout", True),
    ("hang", {"hang": True}, "timeout", True),
    ("too slow", {"delay": 3600.0}, "timeout", True),
    ("garbage", {"garbage": True}, "invalid-response", False),
]


@pytest.mark.parametrize(
    ("fault", "cause", "retryable"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS]
)
def test_a_failing_service_read_is_an_error_with_its_cause(
    fault: dict[str, object], cause: Cause, retryable: bool
) -> None:
    with FakeCloudRun() as cloud:
        cloud.deploy(W, commit=A)
        cloud.fault("GetService", **fault)  # type: ignore[arg-type]  # rows mix types
        error = until_told(lambda seconds: failure(cloud, seconds=seconds if retryable else ENOUGH_S), cause)
    assert (error.cause, error.retryable) == (cause, retryable)
    assert W in error.message


@pytest.mark.parametrize(
    ("fault", "cause", "retryable"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS]
)
def test_a_failing_revision_read_keeps_what_is_known_of_the_others(
    fault: dict[str, object], cause: Cause, retryable: bool
) -> None:
    """The other revision's evidence, the split and its finding survive, also when the one read hangs."""
    with FakeCloudRun() as cloud:
        first, second = cloud.deploy(W, commit=A), cloud.deploy(W, commit=B)
        cloud.set_traffic(W, {first: 60, second: 40})
        cloud.fault("GetRevision", resource=first, **fault)  # type: ignore[arg-type]  # rows mix types
        live = in_time(
            lambda seconds: gathered(cloud, seconds if retryable else ENOUGH_S),
            late=lambda live: "timeout" in causes(live) and causes(live) != [cause, None],
        )
    assert isinstance(live, Live)
    lost, kept = live.revisions
    assert lost.unknown is not None
    assert (lost.percent, lost.unknown.cause, lost.unknown.retryable) == (60, cause, retryable)
    assert (lost.evidence, lost.image, lost.created_at) == ((), None, None)
    assert (kept.percent, kept.unknown, kept.evidence[0].value) == (40, None, B)
    assert [finding.code for finding in live.findings] == ["traffic-split"]


def test_a_reading_is_handed_over_before_its_caller_stops_waiting() -> None:
    """One hanging read must not cost the caller, who waits until the deadline, what is known besides."""
    with FakeCloudRun() as cloud:
        first, second = cloud.deploy(W, commit=A), cloud.deploy(W, commit=B)
        cloud.set_traffic(W, {first: 60, second: 40})
        cloud.fault("GetRevision", resource=first, hang=True)
        live = in_time(
            lambda seconds: gathered(cloud, seconds), late=lambda live: causes(live) != ["timeout", None]
        )
    assert causes(live) == ["timeout", None]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"])
def test_what_heals_inside_the_deadline_is_no_error(code: str) -> None:
    with FakeCloudRun() as cloud:
        cloud.deploy(W, commit=A)
        cloud.fault("GetService", code=code, times=2)
        cloud.fault("GetRevision", code=code, times=1)
        live = read(cloud)
        asked = [call.method for call in cloud.calls]
    assert live.revisions[0].unknown is None
    assert asked == ["GetService"] * 3 + ["GetRevision"] * 2


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT"])
def test_what_cannot_heal_is_asked_for_once(code: str) -> None:
    with FakeCloudRun() as cloud:
        cloud.deploy(W, commit=A)
        cloud.fault("GetService", code=code)
        failure(cloud)
        assert [call.method for call in cloud.calls].count("GetService") == 1


def test_every_call_has_a_time_limit_inside_the_deadline() -> None:
    """Some reads of the client library wait for ever unless they are told not to."""
    with FakeCloudRun() as cloud:
        first, second = cloud.deploy(W, commit=A), cloud.deploy(W, commit=B)
        cloud.set_traffic(W, {first: 50, second: 50})
        read(cloud)
        failure(cloud, name="prediction-werker")
        for kind in ("worker-pool", "job"):
            failure(cloud, kind=kind)
        limits = {call.method: call.timeout for call in cloud.calls}
    assert set(limits) == {
        "GetService", "GetRevision", "ListServices", "GetWorkerPool", "ListWorkerPools", "GetJob", "ListJobs",
    }  # fmt: skip
    assert all(limit is not None and 0 < limit < ENOUGH_S for limit in limits.values())


def test_a_read_takes_two_calls_in_sequence_and_the_revisions_side_by_side() -> None:
    with FakeCloudRun() as cloud:
        names = [cloud.deploy(W, commit=A) for _ in range(4)]
        cloud.set_traffic(W, dict.fromkeys(names, 25))
        meeting = threading.Barrier(4, timeout=ENOUGH_S)
        for _ in names:
            cloud.before("GetRevision", meeting.wait)
        read(cloud)
        assert [call.method for call in cloud.calls] == ["GetService"] + ["GetRevision"] * 4
        assert not meeting.broken


def test_a_deleted_revision_is_followed_once_only() -> None:
    """Two rounds, no more: a service that names a revision which is gone for good must not be a loop."""
    with FakeCloudRun() as cloud:
        cloud.deploy(W, commit=A)
        cloud.revisions.clear()
        live = read(cloud)
        assert [call.method for call in cloud.calls] == ["GetService", "GetRevision"] * 2
    assert live.revisions[0].unknown is not None
    assert live.revisions[0].unknown.cause == "not-found"


def test_a_service_that_cannot_be_read_again_leaves_the_first_reading() -> None:
    with FakeCloudRun() as cloud:
        first, second = cloud.deploy(W, commit=A), cloud.deploy(W, commit=B)
        cloud.set_traffic(W, {first: 50, second: 50})
        del cloud.revisions[first]
        cloud.before("GetRevision", lambda: cloud.fault("GetService", code="PERMISSION_DENIED"))
        live = read(cloud)
    assert causes(live) == ["not-found", None]


def test_a_dead_port_is_unavailable() -> None:
    with FakeCloudRun() as cloud:
        pass
    error = until_told(lambda seconds: failure(cloud, seconds=seconds), "unavailable")
    assert (error.cause, error.retryable) == ("unavailable", True)


def test_a_server_that_comes_back_is_found_inside_the_deadline() -> None:
    """gRPC's own pauses before it connects again would eat the deadline."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with FakeCloudRun(port=port) as cloud:
            cloud.deploy(W, commit=A)
        clients = Clients(cloud.host)
        until_told(lambda seconds: failure(cloud, clients=clients, seconds=seconds), "unavailable")
        with FakeCloudRun(port=port) as back:
            back.deploy(W, commit=A)
            live = source(back, clients=clients).read()
    assert live.revisions[0].evidence[0].value == A


def test_a_port_that_accepts_and_says_nothing_is_a_timeout() -> None:
    with FakeCloudRun() as cloud, socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(cloud, clients=Clients(f"127.0.0.1:{silent.getsockname()[1]}"), seconds=OVER_S)
    assert (error.cause, error.retryable) == ("timeout", True)


@contextmanager
def slow_road(host: str, delay: float) -> Iterator[str]:
    """The address of a relay to ``host`` on which the first piece of a connection takes ``delay`` seconds."""
    address, _, port = host.rpartition(":")

    sockets: list[socket.socket] = []

    def carry(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            first = here.recv(65536)
            time.sleep(delay)
            there.sendall(first)
            while piece := here.recv(65536):
                there.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sockets.append(listening.accept()[0])
                sockets.append(socket.create_connection((address, int(port))))
                here, there = sockets[-2:]
                for ends in ((here, there), (there, here)):
                    carriers.append(threading.Thread(target=carry, args=ends))
                    carriers[-1].start()

    carriers: list[threading.Thread] = []
    listening = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        for each in (listening, *sockets):
            with suppress(OSError):  # wakes whoever waits on it; the other side may have closed it
                each.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *carriers):
            thread.join()
        for each in (listening, *sockets):
            each.close()


def test_a_slow_road_is_no_dead_end() -> None:
    """Short pauses between attempts to connect must not mean that an attempt has no time to succeed."""
    with FakeCloudRun() as cloud:
        cloud.deploy(W, commit=A)
        with slow_road(cloud.host, 0.7) as host:
            far = CloudRun(
                service=W,
                project=cloud.project,
                region=cloud.region,
                deadline=Deadline(60),
                clients=Clients(host),
            )
            live = far.read()
    assert live.revisions[0].evidence[0].value == A


class TestNamesThatDoNotExist:
    """`not-found` says what was looked for, where, and what is there instead."""

    def test_near_misses_are_named_from_every_page(self) -> None:
        with FakeCloudRun() as cloud:
            for name in ("aaa", "bbb", "prediction-worker", "zzz"):
                cloud.deploy(name, commit=A)
            cloud.page_size = 1
            error = failure(cloud, name="prediction-woker")
            assert [call.method for call in cloud.calls] == ["GetService"] + ["ListServices"] * 4
        assert error.cause == "not-found"
        assert "the service prediction-woker in test-project/us-west2 does not exist" in error.message
        assert error.message.endswith("; did you mean prediction-worker?")

    @pytest.mark.parametrize(("number", "words"), [(0, "are 0 services"), (1, "is 1 service")])
    def test_no_near_miss_is_said_too(self, number: int, words: str) -> None:
        with FakeCloudRun() as cloud:
            for index in range(number):
                cloud.deploy(f"{index}", commit=A)
            assert failure(cloud).message.endswith(f"; there {words}, none of a similar name")

    @pytest.mark.parametrize("fault", [{"code": "PERMISSION_DENIED"}, {"hang": True}])
    def test_a_list_that_fails_leaves_the_answer_as_it_is(self, fault: dict[str, object]) -> None:
        with FakeCloudRun() as cloud:
            cloud.fault("ListServices", **fault)  # type: ignore[arg-type]  # rows mix types
            error = failure(cloud)
        assert error.cause == "not-found"
        assert error.message.endswith("was not found")

    @pytest.mark.parametrize("place", [("other-project", "us-west2"), ("test-project", "mars-west1")])
    def test_another_project_or_region_has_no_such_service(self, place: tuple[str, str]) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy(W, commit=A)
            project, region = place
            elsewhere = CloudRun(
                service=W,
                project=project,
                region=region,
                deadline=Deadline(ENOUGH_S),
                clients=Clients(cloud.host),
            )
            with pytest.raises(SourceError) as caught:
                elsewhere.read()
        assert caught.value.cause == "not-found"
        assert f"{project}/{region}" in caught.value.message


class TestCredentials:
    """Real look-ups by google-auth, each in a fork that has not loaded what reads its environment once."""

    SCRIPT = """
import sys
from drift_gate.runtime.deadline import Deadline
from drift_gate.errors import SourceError
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.sources.cloud_run.clients import Clients
try:
    deadline = Deadline(float(sys.argv[1]))
    CloudRun(service="w", project="p", region="r", deadline=deadline, clients=Clients()).read()
except SourceError as error:
    print(error.cause, error.retryable, error.message, sep="|")
"""

    def look_up(self, home: Path, seconds: float = ENOUGH_S, **environment: str) -> list[str]:
        environ = {"HOME": str(home), "CLOUDSDK_CONFIG": str(home), **environment}
        done = forkserver().run(self.SCRIPT, [f"{seconds}"], cwd=home, env=environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().split("|")

    @pytest.mark.heavy
    def test_a_file_that_does_not_exist(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "missing.json")
        cause, retryable, message = self.look_up(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=missing)
        assert (cause, retryable) == ("credentials", "False")
        assert "gcloud auth application-default login" in message
        assert "attach a service account" in message

    @pytest.mark.parametrize(
        "content", light(["", "{}", "no json", '{"type": "authorized_user"}'], ["no json"])
    )
    def test_a_file_that_makes_no_sense(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "bad.json").write_text(content)
        cause, retryable, _ = self.look_up(
            tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "bad.json")
        )
        assert (cause, retryable) == ("credentials", "False")

    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        """A folder in its place, since root may read every file."""
        cause, *_ = self.look_up(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path))
        assert cause == "credentials"

    def test_none_anywhere(self, tmp_path: Path) -> None:
        cause, _, message = self.look_up(tmp_path, NO_GCE_CHECK="true")
        assert cause == "credentials"
        assert "the service w in p/r" in message

    def test_a_metadata_server_that_never_answers_holds_neither_the_check_nor_the_process(
        self, tmp_path: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            host = f"127.0.0.1:{silent.getsockname()[1]}"
            cause, retryable, message = in_time(
                lambda seconds: self.look_up(tmp_path, seconds, GCE_METADATA_HOST=host, GCE_METADATA_IP=host),
                late=lambda told: told[0] == "timeout",  # before it began to look for any
            )
        assert (cause, retryable) == ("credentials", "True")
        assert "no Google credentials were found within" in message


@pytest.mark.parametrize("needed", [False, True], ids=["none are needed", "they are there"])
def test_a_client_that_is_late_is_no_lack_of_credentials(
    needed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever holds it up, a busy machine or, as here, a fork that is under way."""
    (tmp_path / "adc.json").write_text(
        '{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "t"}'
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")  # or Google's library asks gcloud
    with FakeCloudRun() as cloud:
        clients = Clients(None if needed else cloud.host)
        CALLS.before_fork()
        try:
            error = failure(cloud, clients=clients, seconds=OVER_S)
        finally:
            CALLS.after_fork()
    assert (error.cause, error.retryable) == ("timeout", True)
    assert "Google's client was not ready within" in error.message


def test_a_failed_look_up_is_started_anew_by_the_next_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A long-lived coordinator must not need a restart because the credentials came a minute late."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    clients = Clients()
    with FakeCloudRun() as cloud:
        first = failure(cloud, clients=clients)
        (tmp_path / "adc.json").write_text("{}")
        second = failure(cloud, clients=clients)
    assert (first.cause, second.cause) == ("credentials", "credentials")
    assert "was not found" in first.message
    assert "was not found" not in second.message


@pytest.mark.parametrize(
    ("act", "seconds"),
    [(lambda cloud: None, ENOUGH_S), (lambda cloud: cloud.fault("*", hang=True), OVER_S)],
    ids=["healthy", "hanging"],
)
def test_many_reads_share_one_connection(act: Callable[[FakeCloudRun], object], seconds: float) -> None:
    """One ``Clients`` serves reads side by side, also while all of them hang."""
    with FakeCloudRun() as cloud:
        names = [f"w-{index}" for index in range(8)]
        for name in names:
            cloud.deploy(name, commit=A)
        act(cloud)
        clients = Clients(cloud.host)
        within = Deadline(seconds)
        answers = gather({name: source(cloud, name=name, clients=clients).read for name in names}, within)
    assert len(answers) == 8
    assert {type(answer) for answer in answers.values()} == {Live if seconds == ENOUGH_S else SourceError}
