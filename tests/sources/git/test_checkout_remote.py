"""A remote's branch is what the remote says now; what it last said stands in for it only for a while."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.limits import ENOUGH_S, OVER_S, in_time, told_in_time

from drift_gate.errors import SourceError
from drift_gate.facts import Target
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.git.checkout import Checkout
from drift_gate.testing import HistoryBuilder

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)


class Clone:
    """A clone of ``remote`` as a user has it, and the gate's look at it."""

    def __init__(self, remote: HistoryBuilder, path: Path, home: Path) -> None:
        self.remote = remote
        self.repo = remote.clone(path)
        self.home = home

    def checkout(
        self, ref: str = "origin/main", *, later: timedelta = timedelta(0), **more: float
    ) -> Checkout:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        return Checkout(
            path=self.repo.path,
            target_ref=ref,
            deadline=Deadline(more.get("deadline", ENOUGH_S)),
            environ=environ,
            now=lambda: NOW + later,
            stale_target_limit=3600,
        )

    def target(self, ref: str = "origin/main", *, later: timedelta = timedelta(0), **more: float) -> Target:
        return self.checkout(ref, later=later, **more).target()

    def failure(
        self, ref: str = "origin/main", *, later: timedelta = timedelta(0), **more: float
    ) -> SourceError:
        with pytest.raises(SourceError) as caught:
            self.target(ref, later=later, **more)
        return caught.value

    def point_to(self, address: str) -> None:
        self.repo.git("remote", "set-url", "origin", address)

    def confirmed(self) -> Path:
        return self.repo.path / ".git" / "drift-gate" / "confirmed.json"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    remote = HistoryBuilder(tmp_path / "remote")
    remote.commit({"a": "1"}, subject="base")
    return Clone(remote, tmp_path / "clone", tmp_path)


def files_below(folder: Path) -> Mapping[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "objects" not in path.parts
    }


class TestConfirmed:
    def test_the_remotes_commit_under_its_full_name(self, clone: Clone) -> None:
        for ref in ("origin/main", "refs/remotes/origin/main"):
            target = clone.target(ref)
            assert (target.ref, target.commit) == ("refs/remotes/origin/main", clone.remote.tip("main"))
            assert (target.confirmed_at, target.findings) == (NOW, ())

    def test_a_commit_that_is_there_is_not_fetched(self, clone: Clone) -> None:
        clone.target()
        assert clone.repo.git("for-each-ref", "refs/drift-gate") == ""

    def test_a_new_commit_is_fetched_with_its_history(self, clone: Clone) -> None:
        base = clone.remote.tip("main")
        new = [clone.remote.commit({"a": str(n)}) for n in range(3)]
        checkout = clone.checkout()
        assert checkout.target().commit == new[-1]
        assert [each.sha for each in checkout.walk([base, new[-1]])] == new[::-1]

    def test_a_force_push_is_followed(self, clone: Clone) -> None:
        clone.remote.commit({"a": "2"})
        clone.target()
        other = clone.remote.commit({"z": "1"}, parents=[])
        assert clone.target().commit == other

    def test_nothing_of_the_users_is_touched(self, clone: Clone) -> None:
        """No tracking ref, tag, FETCH_HEAD, reflog, hook, configuration or work tree."""
        git = clone.repo.path / ".git"
        (git / "hooks").mkdir(exist_ok=True)
        for hook in ("reference-transaction", "post-merge", "pre-auto-gc"):
            (git / "hooks" / hook).write_text(f"#!/bin/sh\ntouch '{git}/{hook}-ran'\n")
            (git / "hooks" / hook).chmod(0o755)
        settings = {"fetch.prune": "true", "fetch.pruneTags": "true", "core.logAllRefUpdates": "always"}
        settings |= {"remote.origin.tagOpt": "--tags", "fetch.writeCommitGraph": "true", "gc.auto": "1"}
        for key, value in settings.items():
            clone.repo.git("config", key, value)
        clone.repo.tag("mine", clone.repo.tip("main"))
        clone.repo.git("update-ref", "refs/remotes/origin/gone", clone.repo.tip("main"))
        clone.repo.git("config", "hook.mine.command", f"touch '{git}/configured-ran' #")  # from git 2.54 on
        clone.repo.git("config", "hook.mine.event", "reference-transaction")
        before = files_below(clone.repo.path)
        new = clone.remote.commit({"a": "2"})
        clone.remote.tag("theirs", new)
        assert clone.target().commit == new
        after = files_below(clone.repo.path)
        assert set(after) - set(before) == {
            ".git/drift-gate/confirmed.json",
            ".git/drift-gate/confirmed.json.lock",
            ".git/refs/drift-gate/origin/main",
        }
        assert {name: after[name] for name in before} == before

    def test_a_bare_clone_and_another_remote_with_a_slash(self, clone: Clone, tmp_path: Path) -> None:
        clone.repo.git("remote", "add", "team/fork", str(clone.remote.path))
        tip = clone.remote.commit({"a": "2"}, branch="topic/x", parents=[])
        target = clone.target("team/fork/topic/x")
        assert (target.ref, target.commit) == ("refs/remotes/team/fork/topic/x", tip)

    def test_a_remote_at_a_relative_path(self, clone: Clone) -> None:
        clone.point_to("../remote")
        tip = clone.remote.commit({"a": "2"})
        assert clone.target().commit == tip

    def test_the_remotes_default_branch(self, clone: Clone) -> None:
        tip = clone.remote.commit({"a": "2"})
        target = clone.target("origin/HEAD")
        assert (target.ref, target.commit) == ("refs/remotes/origin/HEAD", tip)

    def test_only_the_branch_of_that_name_counts(self, clone: Clone) -> None:
        """`git ls-remote` patterns fit the end of a ref's name."""
        other = clone.remote.commit({"z": "1"}, branch="side", parents=[])
        clone.remote.git("update-ref", "refs/x/refs/heads/main", other)
        assert clone.target().commit == clone.remote.tip("main")

    def test_a_fetch_that_lost_a_race_is_no_error(self, clone: Clone) -> None:
        """Another check holds the ref's lock, or an older branch of the gate's is in the way."""
        clone.repo.git("update-ref", "refs/drift-gate/origin/main/old", clone.repo.tip("main"))
        tip = clone.remote.commit({"a": "2"})
        assert clone.target().commit == tip

    def test_a_read_only_repository_that_would_have_to_fetch_is_unavailable(
        self, clone: Clone, read_only: Callable[[Path], object]
    ) -> None:
        clone.target()
        new = clone.remote.commit({"a": "2"})
        read_only(clone.repo.path / ".git")
        error = clone.failure()
        assert error.cause == "history-unavailable"
        assert f"origin/main is at {new[:12]}" in str(error)
        assert "read-only" in str(error)

    def test_a_read_only_repository_that_has_the_commit_is_fine(
        self, clone: Clone, read_only: Callable[[Path], object]
    ) -> None:
        tip = clone.remote.tip("main")
        read_only(clone.repo.path / ".git")
        assert clone.target().commit == tip
        assert not clone.confirmed().exists()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], object]]:
    """Makes a folder read-only for this process, which gives up being root for the rest of the test."""
    user = os.geteuid()
    opened_up: list[tuple[Path, int]] = []

    def make(folder: Path) -> None:
        for parent in tmp_path.parents:
            if user == 0 and not parent.stat().st_mode & 0o001:
                opened_up.append((parent, parent.stat().st_mode))
                parent.chmod(0o755)
        tmp_path.chmod(0o755)
        (tmp_path / ".gitconfig").write_text("[safe]\ndirectory = *\n")
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        if user == 0:
            os.seteuid(65534)

    yield make
    os.seteuid(user)
    for path, mode in opened_up:
        path.chmod(mode)
    for path in tmp_path.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


class TestNotThere:
    def test_a_branch_that_the_remote_lacks_is_not_found_and_never_replaced(self, clone: Clone) -> None:
        clone.remote.branch("topic", clone.remote.tip("main"))
        clone.target("origin/topic")
        clone.repo.git("update-ref", "refs/remotes/origin/topic", clone.repo.tip("main"))
        clone.remote.git("update-ref", "-d", "refs/heads/topic")
        assert clone.failure("origin/topic").cause == "target-not-found"

    def test_near_misses(self, clone: Clone) -> None:
        error = clone.failure("origin/mian")
        assert error.cause == "target-not-found"
        assert "has no ref origin/mian; did you mean origin/main" in str(error)

    def test_a_remote_that_is_no_repository(self, clone: Clone, tmp_path: Path) -> None:
        clone.point_to(str(tmp_path / "nosuch"))
        assert clone.failure().cause == "not-found"


class TestStale:
    def test_the_last_answer_serves_for_its_time_and_says_so(self, clone: Clone) -> None:
        tip = clone.target().commit
        clone.remote.commit({"a": "2"})
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        target = clone.target(later=timedelta(minutes=59))
        assert (target.commit, target.confirmed_at) == (tip, NOW)
        [finding] = target.findings
        assert finding.code == "target-may-be-stale"
        assert "59 min ago" in finding.message
        assert finding.data["cause"] == "not-found"
        assert clone.failure(later=timedelta(minutes=61)).cause == "not-found"

    def test_serving_does_not_renew_it(self, clone: Clone) -> None:
        clone.target()
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        clone.target(later=timedelta(minutes=50))
        assert clone.failure(later=timedelta(minutes=70)).cause == "not-found"

    def test_what_the_gate_did_not_confirm_itself_never_serves(self, clone: Clone) -> None:
        assert clone.repo.git("rev-parse", "refs/remotes/origin/main") == clone.remote.tip("main")
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        assert clone.failure().cause == "not-found"

    def test_an_answer_from_the_future_or_of_another_address_never_serves(self, clone: Clone) -> None:
        clone.target()
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        assert clone.failure(later=-timedelta(minutes=1)).cause == "not-found"
        clone.point_to("/elsewhere")
        assert clone.failure().cause == "not-found"

    def test_one_branchs_answer_is_not_anothers(self, clone: Clone) -> None:
        clone.remote.branch("topic", clone.remote.tip("main"))
        clone.target("origin/topic")
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        assert clone.failure("origin/main").cause == "not-found"
        assert clone.target("origin/topic").findings

    def test_a_commit_that_is_gone_since_does_not_serve(self, clone: Clone) -> None:
        tip = clone.target().commit
        text = clone.confirmed().read_text()
        clone.confirmed().write_text(text.replace(tip, "1" * 40))
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        assert clone.failure().cause == "not-found"

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', "null", "\xff"])
    def test_a_broken_record_is_none_and_is_written_anew(self, clone: Clone, text: str) -> None:
        clone.target()
        clone.confirmed().write_text(text, encoding="latin-1")
        assert clone.target().findings == ()
        assert json.loads(clone.confirmed().read_text())

    @pytest.mark.parametrize(
        "entry", [None, 1, {}, {"commit": "x"}, {"commit": "x", "confirmed_at": "2026-02-05"}]
    )
    def test_a_broken_entry_never_serves(self, clone: Clone, entry: object) -> None:
        clone.target()
        entries = json.loads(clone.confirmed().read_text())
        clone.confirmed().write_text(json.dumps(dict.fromkeys(entries, entry)))
        clone.remote.path.rename(clone.remote.path.with_name("away"))
        assert clone.failure().cause == "not-found"

    def test_no_secret_of_the_address_is_kept(self, clone: Clone) -> None:
        clone.repo.git("config", f"url.{clone.remote.path}.insteadOf", "https://me:s3cret@host/r")
        clone.point_to("https://me:s3cret@host/r")
        clone.target()
        assert "s3cret" not in clone.confirmed().read_text()

    def test_the_record_is_replaced_in_one_step(self, clone: Clone) -> None:
        for _ in range(3):
            clone.target()
        assert sorted(os.listdir(clone.confirmed().parent)) == ["confirmed.json", "confirmed.json.lock"]


@contextmanager
def web(status: int, headers: Mapping[str, str]) -> Iterator[str]:
    """A web server that answers every question with ``status``; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with served(Answer) as address:
        yield f"{address}/r.git"


@contextmanager
def slow_web(folder: Path) -> Iterator[tuple[str, threading.Event]]:
    """A web server over the files in ``folder`` that stops answering when the event is set."""
    silent, over = threading.Event(), threading.Event()

    class Answer(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def do_GET(self) -> None:
            if silent.is_set():
                over.wait()
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with served(Answer) as address:
        yield address, silent
        over.set()


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address at which ``handler`` answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class TestRefused:
    @pytest.mark.parametrize(
        ("status", "cause", "retryable"),
        [
            (401, "credentials", False),
            (403, "credentials", False),
            (404, "not-found", False),
            (429, "rate-limited", True),
            (503, "unavailable", True),
        ],
    )
    def test_by_a_web_server(self, clone: Clone, status: int, cause: str, retryable: bool) -> None:
        with web(status, {"WWW-Authenticate": 'Basic realm="x"'} if status == 401 else {}) as address:
            clone.point_to(address)
            error = told_in_time(lambda seconds: clone.failure(deadline=seconds if retryable else ENOUGH_S))
        assert (error.cause, error.retryable) == (cause, retryable)

    def test_by_nobody(self, clone: Clone) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            clone.point_to(f"http://127.0.0.1:{closed.getsockname()[1]}/r.git")
            error = told_in_time(lambda seconds: clone.failure(deadline=seconds))
        assert (error.cause, error.retryable) == ("unavailable", True)

    def test_one_that_stops_answering_leaves_time_for_what_it_last_said(self, clone: Clone) -> None:
        clone.remote.git("update-server-info")
        with slow_web(clone.remote.path / ".git") as (address, silent):
            clone.point_to(address)
            tip = clone.target().commit
            silent.set()

            def look(seconds: float) -> Target | SourceError:
                checkout = clone.checkout(later=timedelta(minutes=1), deadline=seconds)
                return gather({"target": checkout.target}, Deadline(ENOUGH_S))["target"]

            target = in_time(look, late=lambda target: isinstance(target, SourceError))
        assert isinstance(target, Target)
        assert (target.commit, target.confirmed_at) == (tip, NOW)
        assert [finding.data["cause"] for finding in target.findings] == ["timeout"]

    def test_one_that_never_answers_is_a_timeout(self, clone: Clone) -> None:
        with slow_web(clone.remote.path / ".git") as (address, silent):
            silent.set()
            clone.point_to(address)
            error = clone.failure(deadline=OVER_S)
        assert (error.cause, error.retryable) == ("timeout", True)

    def test_one_that_answers_no_commit_id(self, clone: Clone) -> None:
        """A SHA-256 remote of a SHA-1 repository: git itself refuses it, in whatever words."""
        other = HistoryBuilder(clone.remote.path.with_name("other"), object_format="sha256")
        other.commit({"a": "1"})
        clone.point_to(str(other.path))
        assert clone.failure().cause in ("invalid-response", "history-unavailable")
