"""Everything that may stand between a coordinator and its batch, as one table: what, and what it comes to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from typing import Any

import pytest
from support.heavy import light
from support.limits import LONGER_S, in_time
from support.stage import SECRETS, Done, Stage
from support.world import WORKER

from drift_gate.testing import HistoryBuilder

Prepare = Callable[[Stage], object]
#: The deadline of a stage whose obstacle lasts until it ends.
SOON = f"{LONGER_S[0]:g}s"


@dataclass(frozen=True)
class Obstacle:
    """``code`` is the exit code, ``cause`` that of the unknown (None: none), ``words`` stand in the message.

    ``own_process``: what is prepared acts when the libraries load, so the command needs a fresh process.
    """

    name: str
    prepare: Prepare
    code: int
    cause: str | None
    words: Sequence[str]
    own_process: bool = False

    def apart(self, stage: Stage) -> Callable[..., Done]:
        """How to run into it in a process of its own: a fork looks for credentials as a fresh one does."""
        return stage.spawn if self.cause == "credentials" else stage.load


def line(section: str, text: str) -> Prepare:
    """One more line in drift.toml, under ``[section]``."""

    def prepare(stage: Stage) -> None:
        head, found, tail = stage.toml.partition(f"[{section}]\n")
        stage.toml = f"{head}{found}{text}\n{tail}" if found else f"{head}\n[{section}]\n{text}\n"

    return prepare


def target(ref: str) -> Prepare:
    return lambda stage: setattr(
        stage, "toml", stage.toml.replace('target_ref = "main"', f'target_ref = "{ref}"')
    )


def variable(name: str, value: str) -> Prepare:
    return lambda stage: stage.environ.update({name: value})


def label(value: str) -> Prepare:
    return lambda stage: stage.deploy(label=value)


def fault(code: str | None = None, *, hang: bool = False, garbage: bool = False) -> Prepare:
    def prepare(stage: Stage) -> None:
        # The longest of its kind: what a platform says must not fill a screen.
        stage.cloud.fault("*", code=code, message="no, " * 999, hang=hang, garbage=garbage)

    return briefly(prepare) if hang or code else prepare


def briefly(prepare: Prepare) -> Prepare:
    """What may heal, or hangs, is waited for until the deadline: let it be soon, and see ``heard``."""

    def prepared(stage: Stage) -> None:
        stage.deadline = SOON
        prepare(stage)

    return prepared


def heard(obstacle: Obstacle, stage: Stage, run: Callable[[], Done]) -> Done:
    """What ``run`` came to once it had the time to meet the ``obstacle``, where it ends at a deadline."""
    if stage.deadline != SOON:
        return run()

    def late(done: Done) -> bool:
        talk = done.out + done.err
        if obstacle.cause == "timeout":
            return not all(word in talk for word in obstacle.words)
        return "timeout" in talk

    def within(seconds: float) -> Done:
        stage.deadline = f"{seconds:g}s"
        return run()

    done = in_time(within, late)
    stage.deadline = SOON
    return done


def no_config(stage: Stage) -> None:
    stage.toml = ""


def config_bytes(content: bytes) -> Prepare:
    def prepare(stage: Stage) -> None:
        stage.toml = ""
        stage.config.write_bytes(content)

    return prepare


def config_is_gone(stage: Stage) -> None:
    stage.environ["DRIFT_CONFIG"] = str(stage.home / "none.toml")


def no_service(stage: Stage) -> None:
    stage.toml = stage.toml.partition("[services")[0]


def no_revision(stage: Stage) -> None:
    stage.cloud.set_traffic(WORKER, {})


def gone(stage: Stage) -> None:
    stage.cloud.services.clear()


def ambiguous(stage: Stage) -> None:
    stage.deploy(label=twins(stage.history))


def twins(history: HistoryBuilder) -> str:
    """Adds two commits whose ids start alike, and returns the seven digits that they share."""
    contents = _twins(history.git("rev-parse", "main^{tree}"))
    ids = [history.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=each) for each in contents]
    assert ids[0] != ids[1]
    assert ids[0][:7] == ids[1][:7]
    return ids[0][:7]


@cache
def _twins(tree: str) -> tuple[bytes, bytes]:
    seen: dict[bytes, bytes] = {}
    for number in range(200_000):
        who = "A <a@example.com> 1700000000 +0000"
        content = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nnumber {number}\n".encode()
        start = sha1(b"commit %d\0" % len(content) + content).hexdigest()[:7].encode()  # noqa: S324 - git's own hash
        if start in seen:
            return seen[start], content
        seen[start] = content
    raise AssertionError("no two of 200,000 ids start alike")


def branch_like_an_id(stage: Stage) -> None:
    stage.history.branch("deadbee", "main")
    stage.deploy(label="deadbee")


def no_git(stage: Stage) -> None:
    stage.environ["PATH"] = str(stage.home)


def no_repository(stage: Stage) -> None:
    shutil.rmtree(stage.folder / ".git")


def of_another_user(stage: Stage) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository to another user")
    for path in (stage.folder, stage.folder / ".git"):
        os.chown(path, 12345, 12345)


def shallow(stage: Stage) -> None:
    for _ in range(3):
        stage.world.change()
    clone = HistoryBuilder(stage.folder).clone(stage.folder.parent / "clone", depth=1)
    shutil.rmtree(stage.folder / ".git")
    shutil.move(clone.path / ".git", stage.folder / ".git")


def remote(stage: Stage, port: int) -> None:
    """origin/main is wanted, and its server is at ``port``."""
    url = f"http://bot:{SECRETS[0]}@127.0.0.1:{port}/repo.git"
    stage.history.git("remote", "set-url", "origin", url)
    stage.history.git("update-ref", "refs/remotes/origin/main", "main")
    target("origin/main")(stage)


def dead_emulator(stage: Stage) -> None:
    stage.environ["CLOUD_RUN_EMULATOR_HOST"] = f"127.0.0.1:{stage.dead_port()}"


def no_credentials(stage: Stage) -> None:
    del stage.environ["CLOUD_RUN_EMULATOR_HOST"]
    stage.environ["GCE_METADATA_HOST"] = f"127.0.0.1:{stage.dead_port()}"


def broken_credentials(stage: Stage) -> None:
    no_credentials(stage)
    file = stage.home / "key.json"
    file.write_text('{"type": "service_account", "private_key": "%s"}' % SECRETS[1])  # noqa: UP031 - braces
    stage.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)


def drift(stage: Stage) -> None:
    for _ in range(4):
        stage.world.change()


def hostile_texts(stage: Stage) -> None:
    """Four commits whose subjects, authors and paths are what a terminal, JSON or git could trip over."""
    odd = (
        "new\nline.py",
        "quo\"te'.py",
        "k\u00f6ln \u26f9.py",
        "latin-\udce9.py",
        "--output=pwned",
        "\x1b[31mred",
    )
    subjects = (b"caf\xe9", b"\x1b[2J\x07wiped", "\u202eright to left".encode(), b"-n --output=pwned")
    for number, subject in enumerate(subjects):
        files = {f"predictions/worker/{path}": f"{number}\n" for path in odd}
        stage.history.commit(files, subject=subject, author="Zo\udceb \x1b[31m")


def long_message(stage: Stage) -> None:
    """Four commits of ten megabytes each: one endless line, or a line and an endless body."""
    endless = b"lorem ipsum " * (10 * 2**20 // 12)
    for number, message in enumerate((endless, b"short\n\n" + endless) * 2):
        stage.history.commit({"predictions/worker/worker.py": f"V = {number}\n"}, subject=message)


#: A setting is wrong: 2, one sentence that says where, nothing on stdout.
USAGE: list[tuple[Any, ...]] = [
    ("no drift.toml", no_config, "no drift.toml in", "DRIFT_CONFIG names one"),
    ("DRIFT_CONFIG names no file", config_is_gone, "none.toml: cannot be read"),
    ("DRIFT_CONFIG names nobody's home", variable("DRIFT_CONFIG", "~nobody-here/drift.toml"), "~nobody-here"),
    ("a drift.toml that breaks off", config_bytes(b"[defaults\n"), ":1: is no valid TOML", "column 10"),
    ("a drift.toml that is no text", config_bytes(b"\xff\xfe\x00"), ":1: is no valid TOML", "UTF-8"),
    ("a drift.toml nested without end", config_bytes(b"a = " + b"[" * 100_000), "is no valid TOML"),
    ("a number of 5,000 digits", config_bytes(b"a = " + b"9" * 5000), "is no valid TOML"),
    ("a drift.toml without a service", no_service, "no [services.NAME] table: nothing to check"),
    ("a misspelt table", line("polcy", "enforcement = 'deny'"), "unknown key", "did you mean policy?"),
    ("a misspelt key", line("policy", "max_comits_behind = 3"),
     "[policy] max_comits_behind", "unknown key", "did you mean max_commits_behind?"),
    ("a misspelt key of a service", line(f"services.{WORKER}", "pahts = []"),
     f"[services.{WORKER}] pahts", "did you mean paths"),
    ("max_commits_behind = -1", line("policy", "max_commits_behind = -1"),
     "[policy] max_commits_behind", "at least 0"),
    ("max_commits_behind = true", line("policy", "max_commits_behind = true"),
     "[policy] max_commits_behind", "not a boolean"),
    ("max_commits_behind = three, as a variable", variable("DRIFT_MAX_COMMITS_BEHIND", "three"),
     "environment DRIFT_MAX_COMMITS_BEHIND", "a whole number"),
    ("enforcement = flase", line("policy", "enforcement = flase"), "is no valid TOML", "column"),
    ('enforcement = "flase"', line("policy", 'enforcement = "flase"'),
     "[policy] enforcement", '"deny" or "warn"'),
    ("enforcement = flase, as a variable", variable("DRIFT_ENFORCEMENT", "flase"),
     "environment DRIFT_ENFORCEMENT", '"deny" or "warn"'),
    ("failure_policy = false", line("policy", "failure_policy = false"),
     "[policy] failure_policy", '"fail" or "ignore"'),
    ("a deadline of a million years", variable("DRIFT_DEADLINE", "365000000d"),
     "environment DRIFT_DEADLINE", "at most 3155760000"),
    ("a deadline without a unit that exists", variable("DRIFT_DEADLINE", "10 parsecs"),
     "environment DRIFT_DEADLINE", "is no duration"),
    ("an emulator that is no host and port", variable("CLOUD_RUN_EMULATOR_HOST", "http://x"),
     "CLOUD_RUN_EMULATOR_HOST", "is not host:port"),
    ("a batch that requires an unknown service", line("batch", 'requires = ["predction-worker"]'),
     "[batch] requires", "did you mean prediction-worker?"),
]  # fmt: skip

#: It could not be determined: 3, and the cause.
UNKNOWN: list[tuple[Any, ...]] = [
    # What the revision says of its commit
    ("a label that is an option of git", label("--output=pwned"), "no-commit-evidence",
     "commit-sha=--output=pwned"),
    ("a label that is a branch", label("main"), "no-commit-evidence", "commit-sha=main"),
    ("a label that is an expression", label("head~1"), "no-commit-evidence", "commit-sha=head~1"),
    ("a branch named like a short id", branch_like_an_id, "commit-not-in-history", "deadbee"),
    ("a commit that no one has", label("c0ffee" + "0" * 34), "commit-not-in-history", "c0ffee"),
    ("a short id of two commits", ambiguous, "ambiguous-commit", "fits 2 commits"),
    # Cloud Run
    ("NOT_FOUND", gone, "not-found", "prediction-worker in test-project/us-west2 does not exist"),
    ("PERMISSION_DENIED", fault("PERMISSION_DENIED"), "permission-denied",
     "the caller may not read", "run.services.get", "roles/run.viewer"),
    ("UNAVAILABLE for ever", fault("UNAVAILABLE"), "unavailable",
     "could not be asked about", "prediction-worker in test-project/us-west2"),
    ("RESOURCE_EXHAUSTED", fault("RESOURCE_EXHAUSTED"), "rate-limited", "refuses to be asked"),
    ("DEADLINE_EXCEEDED", fault("DEADLINE_EXCEEDED"), "timeout", "did not answer in time"),
    ("a hang", fault(hang=True), "timeout", "prediction-worker"),
    ("garbage", fault(garbage=True), "invalid-response", "makes no sense"),
    ("a dead port", briefly(dead_emulator), "unavailable", "could not be asked"),
    ("no traffic", no_revision, "no-serving-revision", "prediction-worker"),
    # git
    ("no git on the PATH any more", no_git, "history-unavailable",
     "git is not installed, or not on the PATH"),
    ("no repository", no_repository, "history-unavailable", "is no git repository"),
    ("a repository of another user", of_another_user, "history-unavailable",
     "belongs to another user", "safe.directory"),
    ("a target that does not exist", target("mian"), "target-not-found", "no ref mian", "did you mean main?"),
    ("a target that is an option of git", target("--output=pwned"), "target-not-found",
     "is no name of a ref"),
    ("a shallow history", shallow, "shallow-history", "shallow"),
    ("a remote that is down", briefly(lambda stage: remote(stage, stage.dead_port())), "unavailable",
     "git ls-remote"),
    ("a remote that never answers", briefly(lambda stage: remote(stage, stage.silent_port())), "timeout",
     "git ls-remote"),
]  # fmt: skip

#: The same, with what acts when the libraries load: a fresh process has to run into it.
UNKNOWN_FROM_THE_START: list[tuple[Any, ...]] = [
    ("no credentials", no_credentials, "credentials", "gcloud auth application-default login"),
    ("credentials that are none", broken_credentials, "credentials", "no usable Google credentials"),
    ("no git on the PATH", no_git, "history-unavailable", "git is not installed"),
]  # fmt: skip

#: The worker is stale: 1.
DRIFT: list[tuple[Any, ...]] = [
    ("four commits behind", drift, "4 relevant commits behind, more than 3 allowed"),
    ("texts that bite", hostile_texts, "4 relevant commits behind, more than 3 allowed"),
    ("messages of 10 MB", long_message, "4 relevant commits behind, more than 3 allowed"),
]  # fmt: skip

OBSTACLES = [
    *(Obstacle(name, prepare, 2, None, words) for name, prepare, *words in USAGE),
    *(Obstacle(name, prepare, 3, cause, words) for name, prepare, cause, *words in UNKNOWN),
    *(
        Obstacle(name, prepare, 3, cause, words, True)
        for name, prepare, cause, *words in UNKNOWN_FROM_THE_START
    ),
    *(Obstacle(name, prepare, 1, None, words) for name, prepare, *words in DRIFT),
]


#: They take the way of their neighbours: a key that is checked as another one is, a cause that has its row.
ALIKE = (
    *(name for name, *_ in USAGE[3:-2]),
    *(name for name, *_ in UNKNOWN[1:6]),
    *("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "a dead port", "no traffic", "a repository of another user"),
    *("a target that is an option of git", "a remote that is down", "texts that bite", "messages of 10 MB"),
    *("credentials that are none", "no git on the PATH"),
)


def each(*, own_process: bool, heavy: Container[str]) -> pytest.MarkDecorator:
    """Parametrizes ``obstacle`` over those that do, or do not, need a process of their own.

    ``heavy`` are the names of those that ``make test-heavy`` alone asks.
    """
    rows = [obstacle for obstacle in OBSTACLES if obstacle.own_process is own_process]
    chosen = light(rows, [obstacle for obstacle in rows if obstacle.name not in heavy])
    return pytest.mark.parametrize("obstacle", chosen, ids=[obstacle.name for obstacle in rows])
