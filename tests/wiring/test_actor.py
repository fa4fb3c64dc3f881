"""Who runs a program: the environment says it at once, git or the platform a little later and better."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.limits import ENOUGH_S, OVER_S
from support.web import HEAD, Reply, Web, raw, says, silent
from support.world import WORKER, World

from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import actor, enforcement, rollouts
from drift_gate.wiring.actor import Actor
from drift_gate.wiring.plans import process

EMAIL = "nightly@test-project.iam.gserviceaccount.com"
PATH = "/computeMetadata/v1/instance/service-accounts/default/email"
FLAVOR = {"Metadata-Flavor": "Google"}
ANSWER = HEAD + b"Metadata-Flavor: Google\r\nContent-Length: %d\r\n\r\n" % len(EMAIL) + EMAIL.encode()
PLATFORM = Reply(body=EMAIL.encode(), headers=FLAVOR)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gives up before an answer that a busy machine gives late."""
    monkeypatch.setattr(actor, "ANSWER_S", ENOUGH_S)


@pytest.fixture
def platform() -> Iterator[Web]:
    with Web() as web:
        process().accounts.pop(on(web), None)  # the port of a test before, whose answer this process has kept
        web.replies[PATH] = PLATFORM
        yield web


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}


def on(web: Web | int) -> str:
    return f"127.0.0.1:{web if isinstance(web, int) else web.port}"


def best(environ: dict[str, str], folder: Path) -> str:
    return Actor.of(environ, folder).known(Deadline(ENOUGH_S))


class TestGitSaysWhoAPersonIs:
    def test_in_the_configuration_of_the_user(self, tmp_path: Path) -> None:
        (tmp_path / ".gitconfig").write_text("[user]\nemail = ann@example.com\n")
        who = Actor.of(environment(tmp_path, USER="root"), tmp_path)
        assert who.name == "root"
        assert who.known(Deadline(ENOUGH_S)) == "ann@example.com"

    def test_and_in_that_of_the_repository_before_it(self, tmp_path: Path) -> None:
        (tmp_path / ".gitconfig").write_text("[user]\nemail = ann@example.com\n")
        history = HistoryBuilder(tmp_path / "repository")
        history.git("config", "user.email", "ann@work.example")
        assert best(environment(tmp_path), history.path) == "ann@work.example"

    def test_not_where_the_environment_names_a_person(self, tmp_path: Path) -> None:
        (tmp_path / ".gitconfig").write_text("[user]\nemail = bot@example.com\n")
        assert best(environment(tmp_path, GITHUB_ACTOR="ada"), tmp_path) == "ada"
        assert best(environment(tmp_path, GIT_AUTHOR_EMAIL="eve@example.com"), tmp_path) == "eve@example.com"

    def test_odd_bytes_are_read_as_far_as_they_can_be(self, tmp_path: Path) -> None:
        (tmp_path / ".gitconfig").write_bytes(b'[user]\nemail = "an\xffn\\n\x1b[31m@example.com"\n')
        assert best(environment(tmp_path, USER="ann"), tmp_path) == "an�n [31m@example.com"

    @pytest.mark.parametrize("text", [None, "", "[user]\nemail =\n", "[user\n"])
    def test_where_it_does_not_the_user_of_the_system_remains(self, tmp_path: Path, text: str | None) -> None:
        if text is not None:
            (tmp_path / ".gitconfig").write_text(text)
        assert best(environment(tmp_path, USER="ann"), tmp_path) == "ann"

    def test_nor_where_there_is_no_git(self, tmp_path: Path) -> None:
        assert best({**environment(tmp_path, USER="ann"), "PATH": str(tmp_path)}, tmp_path) == "ann"
        assert best(environment(tmp_path, USER="ann"), tmp_path / "gone") == "ann"


class TestThePlatformSaysWhichServiceAccountAJobHas:
    @pytest.mark.parametrize("variable", ["CLOUD_RUN_JOB", "K_SERVICE"])
    def test_beside_its_name(self, tmp_path: Path, platform: Web, variable: str) -> None:
        environ = environment(tmp_path, **{variable: "nightly"}, GCE_METADATA_HOST=on(platform))
        who = Actor.of(environ, tmp_path)
        assert who.name == "nightly"
        assert who.known(Deadline(ENOUGH_S)) == f"nightly ({EMAIL})"
        assert platform.seen[0][1]["metadata-flavor"] == "Google"

    def test_once_in_a_process(self, tmp_path: Path, platform: Web) -> None:
        environ = environment(tmp_path, CLOUD_RUN_JOB="nightly", GCE_METADATA_HOST=on(platform))
        assert [best(environ, tmp_path) for _ in range(3)] == [f"nightly ({EMAIL})"] * 3
        assert len(platform.seen) == 1

    def test_again_after_a_failure(self, tmp_path: Path, platform: Web) -> None:
        platform.replies[PATH] = [Reply(404, b"no", FLAVOR), PLATFORM]
        environ = environment(tmp_path, CLOUD_RUN_JOB="nightly", GCE_METADATA_HOST=on(platform))
        assert [best(environ, tmp_path) for _ in range(2)] == ["nightly", f"nightly ({EMAIL})"]

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(body=EMAIL.encode()),
            Reply(body=b"", headers=FLAVOR),
            Reply(body=b"<html>Sign in</html>", headers=FLAVOR),
            Reply(body=b"a@b.example\nb@b.example", headers=FLAVOR),
            Reply(body=b"a" * 400 + b"@b.example", headers=FLAVOR),
            Reply(302, b"", {**FLAVOR, "Location": "http://127.0.0.1:1/"}),
        ],
        ids=["not the platform's", "nothing", "no address", "two", "endless", "elsewhere"],
    )
    def test_what_is_no_answer_of_the_platform_names_nobody(
        self, tmp_path: Path, platform: Web, reply: Reply
    ) -> None:
        platform.replies[PATH] = reply
        environ = environment(tmp_path, CLOUD_RUN_JOB="nightly", GCE_METADATA_HOST=on(platform))
        assert best(environ, tmp_path) == "nightly"

    def test_and_one_that_never_answers_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(actor, "ANSWER_S", OVER_S)
        with raw(silent) as port:
            environ = environment(tmp_path, CLOUD_RUN_JOB="nightly", GCE_METADATA_HOST=on(port))
            assert best(environ, tmp_path) == "nightly"


class TestNobodyWaitsForIt:
    def test_what_is_not_there_yet_is_not_waited_for(self, tmp_path: Path) -> None:
        with raw(silent) as port:
            environ = environment(tmp_path, CLOUD_RUN_JOB="nightly", GCE_METADATA_HOST=on(port))
            assert Actor.of(environ, tmp_path).known() == "nightly"

    def test_a_thread_that_cannot_be_started_is_no_obstacle(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refused)
        assert Actor.of(environment(tmp_path, USER="ann"), tmp_path).known() == "ann"

    def test_a_bypass_is_logged_at_once_and_its_trace_names_the_account(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = threading.Event()

        def late(connection: socket.socket, over: threading.Event) -> None:
            asked.wait(ENOUGH_S)
            says(ANSWER)(connection, over)

        told = list[Verdict]()
        with raw(late) as port:
            world.environ = {"CLOUD_RUN_JOB": "nightly", "GCE_METADATA_HOST": on(port)}
            first = enforcement.require(
                None, skip=True, reason="fire", actor=None, settings=journaled(world), later=told.append
            )
            assert first.break_glass is not None
            assert first.break_glass.actor == "nightly"
            assert f"bypassed for {WORKER} by nightly via" in caplog.text
            asked.set()
            background.finish()
        assert told[0].break_glass is not None
        assert told[0].break_glass.actor == f"nightly ({EMAIL})"
        assert f"drift gate bypass of {WORKER} by nightly ({EMAIL}); overridden" in caplog.text
        assert kept(world) == [(f"nightly ({EMAIL})", f"nightly ({EMAIL})")]


def test_a_check_is_kept_under_the_better_name(world: World, platform: Web) -> None:
    """It is there by the time of the verdict: Cloud Run answers after the platform has."""
    others = set(threading.enumerate())  # one may still ask a platform that never answers

    def told_who() -> None:
        for thread in set(threading.enumerate()) - others:
            if thread.name == "drift-gate actor":
                thread.join(ENOUGH_S)

    world.cloud.before("GetService", told_who)
    world.cloud.deploy(WORKER, commit=world.first)
    world.environ = {"CLOUD_RUN_JOB": "nightly", "GCE_METADATA_HOST": on(platform)}
    assert not rollouts.check(wait=0, settings=journaled(world)).services[0].refuses
    assert kept(world) == [(f"nightly ({EMAIL})", None)]


def journaled(world: World) -> Settings:
    world.toml += '\n[journal]\nstore = ".drift/journal.sqlite"\n'
    return world.settings()


def kept(world: World) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(world.folder / ".drift" / "journal.sqlite")) as rows:
        return rows.execute("SELECT by, bypass_actor FROM decisions").fetchall()
