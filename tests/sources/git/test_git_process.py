"""Git is started with nothing of the caller's that matters, ends in time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.limits import ENOUGH_S, in_time

from drift_gate.errors import Cause, SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.errors import message_of, refused
from drift_gate.sources.git.fixed import clean_environment
from drift_gate.sources.git.process import Git
from drift_gate.testing import HistoryBuilder

FakeGit = Callable[[str], Git]
#: Each word of a command line on a line of its own.
_TELL = 'printf "%s\\n" "$@"'


@pytest.fixture
def git(tmp_path: Path) -> Git:
    h = HistoryBuilder(tmp_path / "repo")
    h.commit({"a": "1"})
    return Git(cwd=str(h.path), git_dir=str(h.path / ".git"), environ=dict(os.environ), deadline=Deadline(60))


@pytest.fixture
def fake(tmp_path: Path) -> FakeGit:
    """A program called git that runs a shell script: what real git does only when a network fails."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(script: str) -> Git:
        (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "git").chmod(0o755)
        environ = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TMP_DIR": str(tmp_path)}
        return Git(cwd=str(tmp_path), environ=environ, deadline=Deadline(30))

    return install


def within(git: Git, seconds: float) -> Git:
    return Git(cwd=git.cwd, environ=git.environ, deadline=Deadline(seconds), git_dir=git.git_dir)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def gone(pid: int) -> bool:
    """Whether the process ends; what we did not start ourselves is collected by init."""
    until = time.monotonic() + ENOUGH_S
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


class TestAnswer:
    def test_stdout_comes_back(self, git: Git) -> None:
        assert git.run("rev-list", "--count", "main") == b"1\n"

    @pytest.mark.heavy
    def test_stdin_of_any_size_is_fed_while_stdout_is_read(self, git: Git) -> None:
        names = b"main\n" * 20_000
        assert git.run("cat-file", "--batch-check=%(objecttype)", stdin=names) == b"commit\n" * 20_000

    def test_a_git_that_does_not_read_its_stdin_is_no_error(self, fake: FakeGit) -> None:
        assert fake("exec <&-; sleep 0.1; echo done").run("x", stdin=b"n" * 1_000_000) == b"done\n"

    def test_without_stdin_git_reads_an_end(self, fake: FakeGit) -> None:
        assert fake("cat; echo end").run("x") == b"end\n"

    def test_stderr_of_any_size_blocks_nobody(self, fake: FakeGit) -> None:
        noisy = fake("head -c 3000000 /dev/zero | tr '\\0' w >&2; echo out; head -c 300000 /dev/zero >&2")
        assert noisy.run("x") == b"out\n"

    def test_it_is_streamed_and_not_held(self, fake: FakeGit) -> None:
        """The first chunk is there while git still runs."""
        with fake("echo first; sleep 20").stream("x") as chunks:
            assert next(chunks) == b"first\n"

    def test_an_answer_over_the_limit_is_refused(self, git: Git) -> None:
        with pytest.raises(SourceError, match="over 10 bytes") as caught:
            git.run("cat-file", "-p", "main", limit=10)
        assert caught.value.cause == "history-unavailable"


class TestFailure:
    def test_gits_own_words_are_kept(self, git: Git) -> None:
        with pytest.raises(SourceError) as caught:
            git.run("rev-list", "--end-of-options", "nosuch")
        assert caught.value.cause == "history-unavailable"
        assert str(caught.value).startswith("`git rev-list` failed: fatal: ")
        assert "nosuch" in str(caught.value)

    def test_a_status_may_be_accepted(self, fake: FakeGit) -> None:
        assert fake("echo none; exit 1").run("x", accept=(0, 1)) == b"none\n"

    @pytest.mark.parametrize(
        ("script", "said"), [("exit 3", "exit status 3"), ("kill -9 $$", "exit status -9")]
    )
    def test_without_words_the_status_is_told(self, fake: FakeGit, script: str, said: str) -> None:
        with pytest.raises(SourceError, match=said):
            fake(script).run("x")

    def test_a_stream_that_fails_at_its_end_says_so(self, fake: FakeGit) -> None:
        with fake("echo some; echo 'fatal: disk on fire' >&2; exit 128").stream("x") as chunks:
            assert next(chunks) == b"some\n"
            with pytest.raises(SourceError, match="disk on fire"):
                next(chunks)

    def test_no_git_is_one_clear_sentence(self, tmp_path: Path) -> None:
        git = Git(cwd=str(tmp_path), environ={"PATH": str(tmp_path)}, deadline=Deadline(60))
        with pytest.raises(SourceError, match="git is not installed") as caught:
            git.run("version")
        assert (caught.value.cause, caught.value.retryable) == ("history-unavailable", False)

    def test_a_git_that_cannot_be_run_is_named(self, fake: FakeGit, tmp_path: Path) -> None:
        git = fake("exit")
        (tmp_path / "bin" / "git").write_bytes(b"\x7fELF broken")
        with pytest.raises(SourceError, match="could not be started"):
            Git(cwd=git.cwd, environ={"PATH": str(tmp_path / "bin")}, deadline=git.deadline).run("x")

    def test_a_folder_that_is_gone_is_not_a_missing_git(self, git: Git) -> None:
        with pytest.raises(SourceError, match=r"the folder /nowhere does not exist"):
            Git(cwd="/nowhere", environ=git.environ, deadline=git.deadline).run("version")


class TestDeadline:
    def test_no_time_left_starts_nothing(self, fake: FakeGit, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no time left for `git x`") as caught:
            within(fake('touch "$TMP_DIR/started"'), 0).run("x")
        assert caught.value.cause == "timeout"
        assert not (tmp_path / "started").exists()

    @pytest.mark.parametrize(
        "script",
        [
            "sleep 600",
            "while :; do echo more >&2; sleep 0.01; done",
            "exec >&-; sleep 600",
            "exec >&- 2>&-; sleep 600",
            "trap '' TERM INT HUP; sleep 600",
        ],
        ids=["silent", "chatty", "no stdout", "no pipe", "stubborn"],
    )
    def test_at_the_deadline_git_and_its_helpers_are_killed(
        self, fake: FakeGit, tmp_path: Path, script: str
    ) -> None:
        git, pids = fake(f'sleep 600 & echo $$ $! > "$TMP_DIR/pids"\n{script}'), tmp_path / "pids"

        def ended(seconds: float) -> SourceError:
            with pytest.raises(SourceError, match=r"`git x` did not end within [\d.]+ s") as caught:
                within(git, seconds).run("x")
            return caught.value

        error = in_time(ended, late=lambda _: not pids.exists())
        assert (error.cause, error.retryable) == ("timeout", True)
        assert all(gone(int(pid)) for pid in pids.read_text().split())

    def test_a_helper_that_lives_on_with_our_stderr_delays_nothing(
        self, fake: FakeGit, tmp_path: Path
    ) -> None:
        """The master process of ssh's ControlPersist does that."""
        assert fake('sleep 600 >&- & echo $! > "$TMP_DIR/pid"; echo out').run("x") == b"out\n"
        helper = int((tmp_path / "pid").read_text())
        assert alive(helper)
        os.kill(helper, signal.SIGKILL)


class TestWithoutASignalForTheExit:
    """Not every system can wait for a process and its pipes at once."""

    @pytest.fixture(autouse=True)
    def no_signal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "pidfd_open")

    def test_the_answer_is_the_same(self, git: Git) -> None:
        assert git.run("rev-list", "--count", "main") == b"1\n"

    def test_the_deadline_is_kept(self, fake: FakeGit) -> None:
        with pytest.raises(SourceError, match=r"did not end within 0.3 s"):
            within(fake("exec >&- 2>&-; sleep 30"), 0.3).run("x")


class TestNothingIsLeft:
    def test_an_abandoned_stream_leaves_no_child_no_thread_and_no_descriptor(
        self, fake: FakeGit, tmp_path: Path
    ) -> None:
        git = fake('echo $$ > "$TMP_DIR/pid"; while :; do echo more; done')
        before = (threading.active_count(), len(os.listdir("/proc/self/fd")))
        with git.stream("x") as chunks:
            next(chunks)
            assert threading.active_count() == before[0]
        assert gone(int((tmp_path / "pid").read_text()))
        assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before

    def test_many_runs_leave_no_descriptor(self, git: Git) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            git.run("rev-parse", "main")
        assert len(os.listdir("/proc/self/fd")) == before

    @pytest.mark.parametrize("ending", ["pass", "raise KeyboardInterrupt"])
    def test_a_process_that_ends_takes_its_gits_along(
        self, fake: FakeGit, tmp_path: Path, ending: str
    ) -> None:
        """Also those on threads that nobody waits for: git has a session of its own, so Ctrl-C misses it."""
        git = fake('echo $$ > "$TMP_DIR/pid.new"; mv "$TMP_DIR/pid.new" "$TMP_DIR/pid"; sleep 30')
        script = f"""
import os, threading, time
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.process import Git
git = Git(cwd={git.cwd!r}, environ={dict(git.environ)!r}, deadline=Deadline(30))
threading.Thread(target=lambda: git.run("x"), daemon=True).start()
while not os.path.exists({str(tmp_path / "pid")!r}): time.sleep(0.01)
{ending}
"""
        subprocess.run([sys.executable, "-c", script], check=False, stderr=subprocess.DEVNULL, timeout=60)
        assert gone(int((tmp_path / "pid").read_text()))

    def test_a_git_that_is_just_being_started_as_the_process_ends_is_ended_too(
        self, fake: FakeGit, tmp_path: Path
    ) -> None:
        """Its process is there before the thread that started it knows; that thread may be slow."""
        git = fake('echo $$ > "$TMP_DIR/pid.new"; mv "$TMP_DIR/pid.new" "$TMP_DIR/pid"; sleep 30')
        script = f"""
import os, threading, time
from drift_gate.sources.git import process as git_process
from drift_gate.runtime.deadline import Deadline
start = git_process._start
def slowly(*args, **more):
    process = start(*args, **more)
    time.sleep(0.3)
    return process
git_process._start = slowly
git = git_process.Git(cwd={git.cwd!r}, environ={dict(git.environ)!r}, deadline=Deadline(30))
threading.Thread(target=lambda: git.run("x"), daemon=True).start()
while not os.path.exists({str(tmp_path / "pid")!r}): time.sleep(0.01)
"""
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
        assert gone(int((tmp_path / "pid").read_text()))

    def test_the_child_of_a_fork_leaves_its_parents_gits_alone(self, fake: FakeGit, tmp_path: Path) -> None:
        git = fake('echo $$ > "$TMP_DIR/pid.new"; mv "$TMP_DIR/pid.new" "$TMP_DIR/pid"; sleep 30')
        script = f"""
import atexit, os, time
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.process import Git
git = Git(cwd={git.cwd!r}, environ={dict(git.environ)!r}, deadline=Deadline(30))
with git.stream("x"):
    while not os.path.exists({str(tmp_path / "pid")!r}): time.sleep(0.01)
    child = os.fork()
    if child == 0:
        atexit._run_exitfuncs()
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.1)
    pid = open({str(tmp_path / "pid")!r}).read().strip()
    assert open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[0] == "S"
"""
        done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def test_git_stands_apart_from_our_terminal(self, fake: FakeGit) -> None:
        pid, _, _, _, group, session, *_ = fake("read -r stat < /proc/$$/stat; echo $stat").run("x").split()
        assert pid == group == session


class TestEnvironment:
    def test_each_hook_of_the_settings_is_off_for_what_changes_something(
        self, git: Git, tmp_path: Path
    ) -> None:
        """From git 2.54 on they stand in the settings; what only reads has none, and asks for none."""
        told = tmp_path / "told"
        config = Path(git.cwd, ".git", "config")
        config.write_text(f'{config.read_text()}[hook "a b"]\nevent = post-commit\n[include]\npath = more\n')
        config.with_name("more").write_text("[hook.C]\nEvent = x\nevent = y\n[hook]\njobs = 2\n")
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "git").write_text(
            f'#!/bin/sh\nPATH="{git.environ["PATH"]}"\n{_TELL} > {told}\nexec git "$@"\n'
        )
        (folder / "git").chmod(0o755)
        git = replace(git, environ={**git.environ, "PATH": f"{folder}{os.pathsep}{git.environ['PATH']}"})
        git.run("read-tree", "HEAD")
        words = told.read_text().splitlines()
        assert [each for each in words if each.startswith("hook.")] == [
            "hook.a b.enabled=false",
            "hook.c.enabled=false",
        ]
        assert words[-2:] == ["read-tree", "HEAD"]
        git.run("ls-tree", "HEAD")
        assert "hook." not in told.read_text()

    def test_a_hook_that_cannot_be_named_runs_nothing(self, git: Git) -> None:
        """The name ends at the first equals sign of an option."""
        git.run("config", "hook.a=b.event", "post-index-change")
        with pytest.raises(SourceError, match="the hook 'a=b' of git's configuration cannot be switched off"):
            git.run("read-tree", "HEAD")

    def test_what_says_which_repository_or_how_to_list_is_dropped(self) -> None:
        hostile = ["GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS", "GIT_TRACE"]
        hostile += ["GIT_EXTERNAL_DIFF", "GIT_SHALLOW_FILE", "GIT_CONFIG_COUNTER", "GIT_SSHX"]
        assert not set(clean_environment(dict.fromkeys(hostile, "x"))) & set(hostile)

    def test_what_reaches_a_remote_is_kept(self) -> None:
        kept = {
            "HOME": "/h",
            "SSH_AUTH_SOCK": "s",
            "https_proxy": "p",
            "GIT_SSH": "s",
            "GIT_SSH_COMMAND": "c",
        }
        kept |= {"GIT_SSL_CAINFO": "f", "GIT_HTTP_PROXY_AUTHMETHOD": "basic", "GIT_CONFIG_GLOBAL": "/g"}
        kept |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "k", "GIT_CONFIG_VALUE_0": "v"}
        assert kept.items() <= clean_environment(kept).items()

    def test_no_prompt_and_no_transport_that_runs_commands(self) -> None:
        hostile = {"GIT_TERMINAL_PROMPT": "1", "SSH_ASKPASS": "/evil", "GIT_ALLOW_PROTOCOL": "ext"}
        clean = clean_environment(hostile)
        assert clean["GIT_TERMINAL_PROMPT"] == "0"
        assert clean["SSH_ASKPASS"] == "true"
        assert "ext" not in clean["GIT_ALLOW_PROTOCOL"].split(":")

    def test_a_remote_that_is_a_command_is_not_run(self, git: Git, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="transport 'ext' not allowed"):
            git.run("ls-remote", f"ext::touch {tmp_path}/pwned", failure=refused)
        assert not (tmp_path / "pwned").exists()

    def test_the_process_environment_is_not_looked_at(
        self, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
        assert git.run("rev-list", "--count", "main") == b"1\n"


class TestOwnWords:
    @pytest.mark.parametrize(
        ("stderr", "words"),
        [
            ("fatal: bad object x\n", "fatal: bad object x"),
            ("warning: w\nhint: h\nfatal: one\nfatal: two\n", "fatal: one"),
            ("ssh: no such host\nfatal: Could not read", "ssh: no such host fatal: Could not read"),
            ("first\nlast", "first last"),
            ("fatal: \x1b[31mred\x07", "fatal:  [31mred "),
            ("", ""),
            ("fatal: unable to access 'https://me:pa@ss@h/r/'", "fatal: unable to access 'https://h/r/'"),
            ("fatal: at https://h/r?token=s3cret&x: no", "fatal: at https://h/r no"),
            ("fatal: " + "x" * 999, "fatal: " + "x" * 293 + "…"),
        ],
    )
    def test_one_line_without_secrets(self, stderr: str, words: str) -> None:
        assert message_of(stderr) == words


REFUSALS: Mapping[str, tuple[Cause, bool]] = {
    "fatal: Authentication failed for 'https://h/'": ("credentials", False),
    "fatal: could not read Username for 'https://h': terminal prompts disabled": ("credentials", False),
    "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.": (
        "credentials",
        False,
    ),
    "Host key verification failed.\nfatal: Could not read from remote repository.": ("credentials", False),
    "fatal: unable to access 'https://h/': The requested URL returned error: 403": ("credentials", False),
    "remote: Repository not found.\nfatal: repository 'https://h/r/' not found": ("not-found", False),
    "fatal: '/x' does not appear to be a git repository\nfatal: Could not read": ("not-found", False),
    "fatal: unable to access 'https://h/': Could not resolve host: h": ("unavailable", True),
    "ssh: connect to host h port 22: Connection refused\nfatal: Could not read": ("unavailable", True),
    "fatal: unable to access 'https://h/': The requested URL returned error: 503": ("unavailable", True),
    "fatal: the remote end hung up unexpectedly": ("unavailable", True),
    "fatal: unable to access 'https://h/': The requested URL returned error: 429": ("rate-limited", True),
    "fatal: couldn't find remote ref refs/heads/x": ("target-not-found", False),
    "fatal: something new": ("history-unavailable", False),
}


@pytest.mark.parametrize("stderr", REFUSALS)
def test_a_remotes_refusal_has_its_cause(stderr: str) -> None:
    error = refused("git ls-remote", stderr)
    assert (error.cause, error.retryable) == REFUSALS[stderr]
