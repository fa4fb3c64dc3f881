"""Whatever happens to a mirror or its remote: a right answer or a clear cause, in time, and nothing half."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from support.github import BASIC, TOKEN, Hosts, hosts, response
from support.limits import ENOUGH_S, OVER_S, in_time, told_in_time
from support.mirrors import Remoted, serving
from support.processes import left_running

from drift_gate.errors import SourceError
from drift_gate.facts import Target
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.git.mirror_store import RETIRED_S
from drift_gate.testing import HistoryBuilder
from drift_gate.testing.git_server import Answer, GitServer, Request

ROOT = Path(__file__).parents[3]
HTML: Answer = (200, {"Content-Type": "text/html"}, b"<html>\n<p>Please log in\n</html>\n")
HTML_LINE: Answer = (200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")


@pytest.fixture
def w(tmp_path: Path) -> Remoted:
    remote = serving(tmp_path / "remote")
    remote.commit({"a.py": "1\n", "d/b.py": "b\n"}, subject="base")
    remote.commit({"a.py": "2\n"}, subject="more")
    return Remoted(remote, tmp_path / "cache")


@pytest.fixture
def server(w: Remoted, tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path) as server:
        w.address = f"{server.url}/remote/.git"
        yield server


def usable(w: Remoted) -> bool:
    """Whether a check of now gets every answer right."""
    base, tip = w.remote.git("rev-list", "--reverse", "main").split()[0], w.remote.tip("main")
    mirror = w.mirror()
    blobs = {entry.blob for entry in mirror.files([tip])[tip].values()}
    return (
        mirror.target().commit == tip
        and mirror.resolve([base, tip]) == {base: base, tip: tip}
        and [each.sha for each in mirror.walk([base, tip])]
        == w.remote.git("rev-list", f"{base}..{tip}").split()
        and len(mirror.contents(blobs)) == len(blobs)
    )


class TestRemoteMisbehaves:
    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            ((429, {}, b""), "rate-limited"),
            ((500, {}, b""), "unavailable"),
            ((503, {}, b""), "unavailable"),
            ((401, {"WWW-Authenticate": "Basic"}, b""), "credentials"),
            ((403, {}, b""), "credentials"),
            ((404, {}, b""), "not-found"),
            (HTML, "invalid-response"),
            (HTML_LINE, "target-not-found"),
            ((302, {"Location": "/elsewhere/info/refs?service=git-upload-pack"}, b""), "invalid-response"),
        ],
    )
    def test_each_answer_has_its_cause_and_leaves_nothing(
        self, w: Remoted, server: GitServer, answer: Answer, cause: str
    ) -> None:
        server.misbehave = lambda _: answer
        heals = cause in ("rate-limited", "unavailable")
        error = told_in_time(lambda seconds: w.failure(deadline=seconds if heals else ENOUGH_S))
        assert error.cause == cause, str(error)
        assert w.copies() == []
        server.misbehave = None
        assert usable(w)

    def test_a_failure_in_the_middle_of_the_fetch_keeps_what_was_there(
        self, w: Remoted, server: GitServer
    ) -> None:
        old = w.mirror().target().commit
        w.remote.commit({"a.py": "3\n"})

        def cut_off(seconds: float) -> Target | SourceError:
            server.misbehave = nth(3, lambda: (500, {}, b""))
            mirror = w.mirror(later=timedelta(minutes=1), deadline=seconds)
            return gather({"target": mirror.target}, Deadline(ENOUGH_S))["target"]

        def late(target: Target | SourceError) -> bool:
            if isinstance(target, SourceError):
                return target.cause == "timeout"
            return [each.data["cause"] for each in target.findings] == ["timeout"]

        target = in_time(cut_off, late)
        assert isinstance(target, Target)
        assert target.commit == old
        assert [each.code for each in target.findings] == ["target-may-be-stale"]
        server.misbehave = None
        assert usable(w)
        assert len(w.copies()) == 1

    def test_a_pack_that_is_cut_short(self, w: Remoted, server: GitServer) -> None:
        server.misbehave = lambda request: (
            (200, {"Content-Type": "application/x-git-upload-pack-result"}, b"000dpackfile\n0020\1PACK")
            if request.method == "POST" and len(server.requests) > 4
            else None
        )

        def fail(seconds: float) -> SourceError:
            server.requests.clear()
            return w.failure(deadline=seconds)

        error = told_in_time(fail)
        assert error.cause in ("history-unavailable", "unavailable")
        assert w.copies() == []
        server.misbehave = None
        assert usable(w)

    def test_a_passing_failure_is_tried_again(self, w: Remoted, server: GitServer) -> None:
        server.misbehave = nth(1, lambda: (503, {}, b""), only=True)
        assert w.mirror().target().commit == w.remote.tip("main")

    def test_a_remote_that_hangs_costs_the_deadline_and_no_more(self, w: Remoted) -> None:
        with silent() as address:
            w.address = address
            error = w.failure(deadline=OVER_S)
            assert error.cause == "timeout"
            assert left_running(address) == []

    def test_a_first_mirror_that_does_not_fit_names_the_command(self, w: Remoted, server: GitServer) -> None:
        asked = threading.Event()

        def hang_on_fetch(request: Request) -> Answer | None:
            if len(server.requests) > 2:
                asked.wait()
            return None

        server.misbehave = hang_on_fetch

        def fail(seconds: float) -> SourceError:
            server.requests.clear()
            return w.failure(deadline=seconds)

        error = in_time(fail, late=lambda error: "deployment-drift warm" not in str(error))
        asked.set()
        assert error.cause == "timeout"
        assert error.retryable
        assert "deployment-drift warm" in str(error)
        assert w.copies() == []
        server.misbehave = None
        assert usable(w)

    def test_an_unknown_host(self, w: Remoted) -> None:
        w.address = "https://no-such-host.invalid/a/b.git"
        error = w.failure(deadline=OVER_S)
        assert error.cause in ("unavailable", "timeout"), str(error)

    def test_a_remote_that_ignores_the_filter_gives_right_answers(self, w: Remoted) -> None:
        """It sends every file; the mirror is larger, and right."""
        w.remote.git("config", "uploadpack.allowFilter", "false")
        assert usable(w)

    def test_a_remote_that_is_a_shallow_clone_is_refused(self, w: Remoted, tmp_path: Path) -> None:
        """Git 2.39 would fetch for ever, one process inside the other."""
        cut = w.remote.clone(tmp_path / "cut", depth=1)
        for answer in ("true", "false"):
            cut.git("config", "uploadpack.allowFilter", answer)
            error = Remoted(cut, tmp_path / f"cache-{answer}").failure(deadline=ENOUGH_S)
            assert error.cause == "shallow-history", str(error)

    def test_a_remote_that_becomes_shallow_never_passes_for_current(self, w: Remoted, tmp_path: Path) -> None:
        w.mirror().target()
        address = w.remote.path.as_uri()
        for number in range(3):
            w.remote.commit({"a.py": f"more {number}\n"})
        cut = w.remote.clone(tmp_path / "cut", depth=1)
        w.remote.path.rename(tmp_path / "away")
        cut.path.rename(w.remote.path)
        w.address = address
        target_or_cause = w.failure(deadline=ENOUGH_S, later=timedelta(hours=2)).cause
        assert target_or_cause == "shallow-history"

    def test_an_empty_repository(self, tmp_path: Path) -> None:
        w = Remoted(HistoryBuilder(tmp_path / "empty", bare=True), tmp_path / "cache")
        for ref in ("main", "HEAD"):
            assert w.failure(ref).cause == "target-not-found"


def nth(
    number: int, answer: Callable[[], Answer], *, only: bool = False
) -> Callable[[Request], Answer | None]:
    """Misbehaves from the ``number``-th request on, or at that one ``only``."""
    seen = iter(range(1, 1_000_000))

    def misbehave(_: Request) -> Answer | None:
        now = next(seen)
        return answer() if (now == number if only else now >= number) else None

    return misbehave


@contextmanager
def silent() -> Iterator[str]:
    """A host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.git"


class TestToken:
    """GITHUB_TOKEN goes to https://github.com, and to nobody else, and is seen nowhere."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[Hosts]:
        with hosts(tmp_path) as world:
            yield world

    def failing(self, world: Hosts, address: str, tmp_path: Path, **more: str) -> SourceError:
        environ = {**world.environ(), "GITHUB_TOKEN": TOKEN, **more}
        w = Remoted(HistoryBuilder(tmp_path / "none"), tmp_path / "cache", address, environ)
        error = w.failure(deadline=ENOUGH_S)
        assert TOKEN not in str(error)
        assert TOKEN not in "".join(
            path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
        )
        return error

    def test_github_gets_it_when_it_asks(self, world: Hosts, tmp_path: Path) -> None:
        assert self.failing(world, "https://github.com/a/b.git", tmp_path).cause == "not-found"
        given = [given for host, _, given in world.seen if host == "github.com"]
        assert given == [None, BASIC]

    @pytest.mark.parametrize("address", ["https://gitlab.com/a/b.git", "https://github.com.evil.org/a/b.git"])
    def test_nobody_else_gets_it(self, world: Hosts, tmp_path: Path, address: str) -> None:
        assert self.failing(world, address, tmp_path).cause == "credentials"
        assert world.seen
        assert BASIC not in {given for _, _, given in world.seen}

    def test_a_redirect_to_another_host_does_not_take_it_along(self, world: Hosts, tmp_path: Path) -> None:
        where = "Location: https://evil.org/a/b.git/info/refs?service=git-upload-pack"
        world.replies["github.com"] = response("302 Found", where)
        self.failing(world, "https://github.com/a/b.git", tmp_path)
        assert ("github.com", BASIC) in {(host, given) for host, _, given in world.seen}
        assert {given for host, _, given in world.seen if host == "evil.org"} == {None}

    def test_the_users_helpers_are_not_told_to_store_it(self, world: Hosts, tmp_path: Path) -> None:
        (tmp_path / ".gitconfig").write_text(f"[credential]\nhelper = store --file={tmp_path}/stored\n")
        world.replies["github.com"] = response("200 OK", "Content-Type: text/html")
        self.failing(world, "https://github.com/a/b.git", tmp_path)
        assert not (tmp_path / "stored").exists()

    def test_without_it_the_users_helpers_are_asked(self, world: Hosts, tmp_path: Path) -> None:
        helper = tmp_path / "helper"
        helper.write_text("#!/bin/sh\necho username=x-access-token\necho password=ghs_'5ecret'\n")
        helper.chmod(0o755)
        (tmp_path / ".gitconfig").write_text(f"[credential]\nhelper = {helper}\n")
        self.failing(world, "https://gitlab.com/a/b.git", tmp_path, GITHUB_TOKEN="")
        assert ("gitlab.com", BASIC) in {(host, given) for host, _, given in world.seen}


class TestDamage:
    @pytest.mark.heavy
    def test_every_file_of_the_copy_may_be_cut_or_lost(self, w: Remoted) -> None:
        """Each file in turn, emptied, halved and removed: the check heals the mirror or never needed it."""
        w.mirror().target()
        names = [str(path.relative_to(w.current())) for path in w.current().rglob("*") if path.is_file()]
        assert len(names) > 6
        wrong = []
        for name in sorted(re_named(names)):
            for harm in (empty, halve, Path.unlink):
                file = next((path for path in w.current().rglob(name) if path.is_file()), None)
                if file is None:
                    continue
                file.chmod(0o644)
                harm(file)
                try:
                    right = usable(w)
                except SourceError as error:
                    wrong.append(f"{name}: {harm.__name__}: {error}")
                else:
                    wrong += [] if right else [f"{name}: {harm.__name__}: another answer"]
        assert wrong == []

    def test_a_commit_fetched_by_id_survives_the_healing(self, w: Remoted) -> None:
        fix = w.remote.commit({"a.py": "hot\n"}, branch="fix", parents=[])
        mirror = w.mirror()
        mirror.resolve([fix])
        for pack in w.current().rglob("*.pack"):
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[:40])
        assert sorted(mirror.files([fix])[fix]) == ["a.py"]

    def test_a_copy_that_breaks_in_the_middle_of_a_walk_is_made_anew_by_the_next_check(
        self, w: Remoted
    ) -> None:
        """What was told cannot be taken back, so the walk ends there, and says so."""
        more = w.remote.tip("main")
        newer = [w.remote.commit({"a.py": f"{number}\n"}) for number in range(3, 6)]
        mirror = w.mirror()
        mirror.target()
        before = w.current()
        lose(before, w.remote.git("rev-parse", f"{more}^{{tree}}"))
        walk = mirror.walk([newer[-1], w.remote.git("rev-parse", f"{more}^")])
        assert next(walk).sha == newer[-1]
        with pytest.raises(SourceError):
            list(walk)
        assert usable(w)
        assert w.current() != before

    def test_the_files_of_git_that_a_killed_process_left(self, w: Remoted) -> None:
        w.mirror().target()
        copy = w.current()
        for name in ("refs/drift-gate/refs/heads/main.lock", "packed-refs.lock", "config.lock", "HEAD.lock"):
            (copy / name).touch()
        (copy / "objects/info/commit-graphs/commit-graph-chain.lock").touch()
        (w.place() / "making-leftover").mkdir()
        (w.place() / "making-link-leftover").symlink_to("nowhere")
        w.remote.commit({"a.py": "3\n"})
        assert usable(w)
        assert "making" not in " ".join(w.copies())

    def test_a_lock_file_that_nobody_holds_is_no_lock(self, w: Remoted) -> None:
        w.mirror().target()
        (w.place() / "lock").write_text("12345")
        w.remote.commit({"a.py": "3\n"})
        assert usable(w)

    def test_a_replaced_copy_stays_for_those_who_read_it_and_goes_later(self, w: Remoted) -> None:
        mirror = w.mirror()
        tip = mirror.target().commit
        old = w.current()
        (old / "suspect").touch()
        w.remote.commit({"a.py": "3\n"})
        assert w.mirror().target().commit != tip
        assert sorted(mirror.files([tip])[tip]) == ["a.py", "d/b.py"]
        os.utime(old, (time.time() - RETIRED_S - 60,) * 2)
        w.remote.commit({"a.py": "4\n"})
        w.mirror().target()
        assert not old.exists()


def lose(copy: Path, oid: str) -> None:
    """Takes one object out of the copy."""
    git = ["git", f"--git-dir={copy}"]
    listing = [*git, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]
    every = subprocess.run(listing, capture_output=True, check=True).stdout.split()
    kept = b"\n".join(each for each in every if each.decode() != oid)
    packed = subprocess.run(
        [*git, "pack-objects", "--stdout", "-q"], input=kept, capture_output=True, check=True
    )
    for file in (copy / "objects" / "pack").iterdir():
        file.unlink()
    subprocess.run([*git, "unpack-objects", "-q"], input=packed.stdout, check=True)


def re_named(names: list[str]) -> set[str]:
    """Patterns for files whose names are ids, which a new copy has under another name."""
    return {
        f"*{Path(name).suffix}" if "pack-" in name or "graph-" in name else Path(name).name for name in names
    }


def empty(file: Path) -> None:
    file.write_bytes(b"")


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


class TestFolder:
    def test_a_folder_without_permission_names_the_setting(self, w: Remoted, tmp_path: Path) -> None:
        w.cache = tmp_path / "file" / "cache"
        (tmp_path / "file").touch()
        error = w.failure()
        assert error.cause == "history-unavailable"
        assert "DRIFT_CACHE_DIR" in str(error)
        assert str(w.cache) in str(error)

    def test_a_read_only_folder(self, w: Remoted) -> None:
        with tempfile.TemporaryDirectory() as folder:
            w.cache = Path(folder)
            w.cache.chmod(0o555)
            process = started(w, "os.geteuid() or os.seteuid(65534)")
            answer, _ = process.communicate(timeout=30)
        assert answer.startswith("history-unavailable")
        assert "DRIFT_CACHE_DIR" in answer

    def test_a_disk_that_is_full_keeps_nothing_half_and_the_old_copy(self, w: Remoted) -> None:
        """A limit on the size of files stands for the disk: git is refused the room."""
        w.remote.commit({f"f{n}.py": os.urandom(40).hex() for n in range(500)})
        with no_file_over(4096):
            error = w.failure(deadline=ENOUGH_S)
        assert error.cause == "history-unavailable"
        assert w.copies() == []
        assert usable(w)
        old = w.current()
        w.remote.commit({f"g{n}.py": os.urandom(40).hex() for n in range(500)})
        with no_file_over(4096):
            target = w.mirror(later=timedelta(minutes=5)).target()
        assert [each.code for each in target.findings] == ["target-may-be-stale"]
        assert w.current() == old
        assert usable(w)


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


CODE = """
import os, sys
sys.path.insert(0, {root!r})
from datetime import UTC, datetime
from drift_gate.errors import SourceError
from drift_gate.sources.git.mirror import warm
{first}
try:
    print(warm(repository={address!r}, target_ref="main", cache_dir={cache!r}, clone_timeout=30,
               environ=dict(os.environ), now=lambda: datetime.now(UTC)).commit)
except SourceError as error:
    print(error.cause, error)
"""


def started(w: Remoted, first: str = "") -> subprocess.Popen[str]:
    """A process of its own that makes or refreshes the mirror, after the statement ``first``."""
    address = w.address or w.remote.path.as_uri()
    code = CODE.format(root=str(ROOT), first=first, cache=str(w.cache), address=address)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


class TestProcesses:
    @pytest.mark.heavy
    def test_two_at_once_make_one_mirror(self, w: Remoted, server: GitServer) -> None:
        processes = [started(w) for _ in range(3)]
        answers = [process.communicate(timeout=60)[0].strip() for process in processes]
        assert answers == [w.remote.tip("main")] * 3
        clones = [each for each in server.requests if each.method == "POST"]
        assert len(w.copies()) == 1
        # One each for the question, two for the one fetch.
        assert len(clones) == 3 + 2

    def test_killed_in_the_middle_of_the_first_clone_the_next_check_heals(
        self, w: Remoted, server: GitServer
    ) -> None:
        fetching, go_on = threading.Event(), threading.Event()

        def hold(request: Request) -> Answer | None:
            if len(server.requests) > 4:
                fetching.set()
                go_on.wait(ENOUGH_S)
            return None

        server.misbehave = hold
        process = started(w)
        assert fetching.wait(ENOUGH_S)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert [name.partition("-")[0] for name in w.copies()] == ["making"]
        server.misbehave = None
        assert usable(w)
        go_on.set()
        assert [name.partition("-")[0] for name in w.copies()] == ["repo"]

    def test_a_check_waits_for_another_only_as_long_as_it_may(self, w: Remoted, server: GitServer) -> None:
        fetching, go_on = threading.Event(), threading.Event()

        def hold(request: Request) -> Answer | None:
            if len(server.requests) > 4 and not fetching.is_set():
                fetching.set()
                go_on.wait(ENOUGH_S)
            return None

        server.misbehave = hold
        process = started(w)
        assert fetching.wait(ENOUGH_S)
        error = in_time(
            lambda seconds: w.failure(deadline=seconds),
            late=lambda error: "another process was busy" not in str(error),
        )
        assert error.cause == "timeout"
        assert "another process was busy" in str(error)
        go_on.set()
        assert process.communicate(timeout=60)[0].strip() == w.remote.tip("main")
