"""The doctor names the first thing that is wrong, and the line that mends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from grpc import StatusCode
from support.fault_server import dead_port
from support.heavy import light
from support.limits import OVER_S
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.commands.doctor import examination
from drift_gate.commands.doctor.steps import Step, evidence_line, exit_code, history_line, live_line
from drift_gate.errors import Cause
from drift_gate.facts import Unknown
from drift_gate.runtime import child_process
from drift_gate.runtime.child_process import MOST
from drift_gate.runtime.deadline import Deadline


def steps(world: World, **environ: str) -> list[Step]:
    """What the doctor finds; the configuration may be invalid, so nothing reads it before."""
    (world.folder / "drift.toml").write_text(world.toml)
    usual = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.folder),
        "CLOUD_RUN_EMULATOR_HOST": world.cloud.host,
    }
    return list(examination.examine(start=world.folder, environ={**usual, **environ}))


def of(found: list[Step], name: str) -> Step:
    """The worst step of that name."""
    order = ("skipped", "ok", "warn", "fail")
    return max((step for step in found if step.name == name), key=lambda step: order.index(step.state))


def replaced(world: World, old: str, new: str) -> None:
    assert old in world.toml
    world.toml = world.toml.replace(old, new)


def test_more_services_than_processes_that_read(world: World) -> None:
    """Each is read to its end, and gives back what it was read with."""
    names = [f"worker-{number}" for number in range(MOST + 2)]
    table = world.toml.partition("[services.")[2].partition("\n")[2]
    world.toml += "".join(f"[services.{name}]\n{table}" for name in names)
    for name in (WORKER, *names):
        world.cloud.deploy(name, commit=world.first)
    found = steps(world)
    assert [(step.about, step.says) for step in found if step.state == "fail"] == []
    with ExitStack() as taken:
        for _ in range(MOST):
            taken.callback(child_process.pool().give, child_process.pool().take(Deadline(60)))


def test_a_healthy_set_up(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step is ok, nothing to paste, exit 0, one line per step, and nothing was changed."""
    world.cloud.deploy(WORKER, commit=world.first)
    replaced(world, "[services.", '[journal]\nstore = "kept/journal.sqlite"\n[services.')
    found = steps(world)
    assert [(step.name, step.state, step.line) for step in found] == [
        (name, "ok", "")
        for name in (
            "configuration",
            "git",
            "repository",
            "target ref",
            "credentials",
            "Cloud Run",
            "service",
            "evidence",
            "paths",
            "journal",
            "clock",
        )
    ]
    assert "label and tag agree" in of(found, "evidence").says
    assert "/predictions/worker/ 1, /shared/ 1" in of(found, "paths").says
    before = sorted((path, path.stat().st_mtime_ns) for path in world.folder.rglob("*"))
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    assert main.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == len(found) + 1
    assert shown.splitlines()[-1] == f"all {len(found)} are well"
    assert "\x1b" not in shown
    assert sorted((path, path.stat().st_mtime_ns) for path in world.folder.rglob("*")) == before
    assert {call.method for call in world.cloud.calls} == {"GetService", "GetRevision"}


def test_the_last_line_says_how_many_need_somebody(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And which one to begin with."""
    world.settings()
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    assert main.main(["doctor"]) == 1
    shown = capsys.readouterr().out.splitlines()
    needing = [line for line in shown if line.startswith(("warn", "fail"))]
    every = [line for line in shown[:-1] if not line.startswith(" ")]
    first = needing[0].split(None, 1)[1]
    assert shown[-1].startswith(f"{len(needing)} of {len(every)} need you; first: ")
    assert first.startswith(shown[-1].partition("first: ")[2].split()[0])


def test_the_command_that_is_proposed_writes_a_good_file(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasted as it stands it writes one that loads, and a check by it answers."""
    (world.folder / "drift.toml").unlink(missing_ok=True)
    clone = world.history.clone(world.folder.parent / "adopter")
    (step,) = examination.examine(start=clone.path, environ={})
    monkeypatch.chdir(clone.path)
    world.cloud.deploy(WORKER, commit=world.first)
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "test-project")
    monkeypatch.setenv("CLOUDSDK_RUN_REGION", "us-west2")
    program, *argv = step.line.split()
    assert (program, main.main(argv)) == (main.PROGRAM, 0)
    capsys.readouterr()
    assert main.main(["check"]) == 0
    assert "ALLOW" in capsys.readouterr().out


@dataclass(frozen=True)
class Broken:
    """A way to break the set-up, the step that has to tell, its state, and words of sentence and line."""

    name: str
    by: Callable[[World], object]
    step: str
    state: str
    says: str
    line: str
    skips: tuple[str, ...] = ()


def shallow(world: World) -> None:
    world.change()
    clone = world.history.clone(world.folder.parent / "cut", depth=1)
    replaced(world, "[defaults]", f'[defaults]\nrepository = "{clone.path}"')


def incomplete(world: World) -> None:
    files: dict[str, str | bytes | None] = {
        "Dockerfile": "FROM python:3.11\nWORKDIR /app\nCOPY predictions/ predictions/\n"
        'CMD ["python", "predictions/worker/worker.py"]\n',
        "predictions/worker/worker.py": "import shared.odds\n",
    }
    world.cloud.deploy(WORKER, commit=world.history.commit(dict(files)))
    replaced(world, "paths = [", "dockerfile = 'Dockerfile'\nimport_roots = ['/app']\n#")


def no_dockerfile(world: World) -> None:
    replaced(world, "paths = [", "dockerfile = 'Dockerfle'\n#")


def in_the_future(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first, created_at=datetime.now(UTC) + timedelta(hours=2))


def committed_ahead(world: World) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    world.history.commit({"docs/readme.md": "x"}, when=ahead)


def no_sqlite(world: World) -> None:
    (world.folder / "kept").write_text("this is no store")
    world.toml += '\n[journal]\nstore = "kept"\n'


def a_file_for_a_folder(world: World) -> None:
    (world.folder / "kept").write_text("")
    world.toml += '\n[journal]\nstore = "kept/journal.sqlite"\n'


def behind_upstream(world: World) -> None:
    world.change()
    clone = world.history.clone(world.folder.parent / "mine")
    clone.check_out("main")
    clone.git("reset", "-q", "--hard", "HEAD~1")
    replaced(world, "[defaults]", f'[defaults]\nrepository = "{clone.path}"')


def deployed(**how: object) -> Callable[[World], object]:
    return lambda world: world.cloud.deploy(WORKER, **how)  # type: ignore[arg-type]  # as the case says


def fault(method: str, **how: object) -> Callable[[World], object]:
    return lambda world: world.cloud.fault(method, **how)  # type: ignore[arg-type]  # as the case says


def toml(old: str, new: str) -> Callable[[World], object]:
    return lambda world: replaced(world, old, new)


HIDES = ("service", "evidence")
CASES = [
    Broken("invalid", toml("60s", "soon"), "configuration", "fail", "deadline", '"${EDITOR:-vi}" '),
    Broken("unknown key", toml("ignore", "ignroe"), "configuration", "fail", "did you mean", "drift.toml"),
    Broken(
        "no repository",
        toml("[defaults]", '[defaults]\nrepository = "/nowhere/at/all"'),
        "repository",
        "fail",
        "does not exist",
        "git -C /nowhere/at/all status",
        ("target ref", "evidence", "paths"),
    ),
    Broken("shallow", shallow, "repository", "fail", "shallow", "fetch --unshallow", ("evidence", "paths")),
    Broken(
        "no such ref",
        toml('"main"', '"mian"'),
        "target ref",
        "fail",
        "did you mean main?",
        "for-each-ref",
        ("evidence", "paths"),
    ),
    Broken(
        "HEAD", toml('"main"', '"HEAD"'), "target ref", "warn", "checked out", 'target_ref = "origin/main"'
    ),
    Broken("behind its upstream", behind_upstream, "target ref", "warn", "lacks 1 commits", "pull --ff-only"),
    Broken(
        "gone",
        lambda world: world.cloud.services.clear(),
        "service",
        "fail",
        "does not exist",
        "gcloud run services list --project=test-project --region=us-west2",
        ("evidence",),
    ),
    Broken(
        "denied",
        fault("GetService", code=StatusCode.PERMISSION_DENIED),
        "service",
        "fail",
        "run.services.get",
        "gcloud projects add-iam-policy-binding test-project",
        ("evidence",),
    ),
    Broken(
        "revision denied",
        fault("GetRevision", code=StatusCode.PERMISSION_DENIED),
        "service",
        "fail",
        "run.revisions.get",
        "gcloud projects add-iam-policy-binding test-project",
    ),
    Broken(
        "refused by Google",
        fault("GetService", code=StatusCode.UNAUTHENTICATED),
        "credentials",
        "fail",
        "credentials",
        "gcloud auth application-default login",
        ("Cloud Run", *HIDES),
    ),
    Broken(
        "out of order",
        fault("GetService", code=StatusCode.INTERNAL),
        "Cloud Run",
        "fail",
        "could not be asked",
        "unset CLOUD_RUN_EMULATOR_HOST",
        HIDES,
    ),
    Broken(
        "no evidence", deployed(labels={}), "evidence", "fail", "names a commit", '--labels="commit-sha=$SHA"'
    ),
    Broken("unknown commit", deployed(commit="a" * 40), "evidence", "fail", "a" * 12, "fetch --all"),
    Broken(
        "tag alone",
        lambda world: world.cloud.deploy(WORKER, commit=world.first, labels={}),
        "evidence",
        "warn",
        "a tag can be moved",
        '--image="$IMAGE"',
    ),
    Broken(
        "variable alone",
        lambda world: world.cloud.deploy(WORKER, env={"GIT_SHA": world.first}),
        "evidence",
        "warn",
        "a variable outlives deploys",
        "gcloud run deploy",
    ),
    Broken(
        "dirty",
        lambda world: world.cloud.deploy(
            WORKER, commit=world.first, labels={"commit-sha": f"{world.first}-dirty"}
        ),
        "evidence",
        "fail",
        "dirty-build",
        "gcloud run deploy",
    ),
    Broken(
        "conflict",
        lambda world: world.cloud.deploy(WORKER, commit=world.first, labels={"commit-sha": world.change()}),
        "evidence",
        "fail",
        "evidence-conflict",
        "gcloud run deploy",
    ),
    Broken(
        "one idle pattern",
        toml('"/shared/"', '"/sharde/"'),
        "paths",
        "warn",
        "did you mean shared?",
        "grep sharde",
    ),
    Broken(
        "idle patterns",
        toml('["/predictions/worker/", "/shared/"]', '["/wroker/"]'),
        "paths",
        "fail",
        "'/wroker/' matches no file",
        "ls-tree -r --name-only",
    ),
    Broken(
        "no Dockerfile",
        no_dockerfile,
        "image",
        "fail",
        "there is no Dockerfle",
        f"deployment-drift files {WORKER}",
    ),
    Broken(
        "image incomplete",
        incomplete,
        "image",
        "fail",
        "image-incomplete: the image lacks shared/odds.py",
        "COPY shared/odds.py shared/odds.py",
    ),
    Broken("no store", no_sqlite, "journal", "fail", "is no SQLite file", "store = "),
    Broken(
        "no folder for the store",
        a_file_for_a_folder,
        "journal",
        "fail",
        "kept is no folder",
        "store = ",
    ),
    Broken(
        "clock behind Google's",
        in_the_future,
        "clock",
        "fail",
        "lies ahead of this machine's",
        "timedatectl set-ntp true",
    ),
    Broken("clock behind a commit's", committed_ahead, "clock", "warn", "was committed at", "timedatectl"),
]


#: Those that take the way of another.
ALIKE = {
    *("unknown key", "denied", "unknown commit", "variable alone", "conflict", "one idle pattern"),
    *("no folder for the store", "clock behind a commit's"),
}
KEPT = [each for each in CASES if each.name not in ALIKE]


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize("case", light(CASES, KEPT), ids=lambda case: case.name)
def test_what_is_broken_is_named_with_its_line(world: World, case: Broken) -> None:
    """The step, its state, the sentence and the line; what it hides is skipped, and no other step fails."""
    world.cloud.deploy(WORKER, commit=world.first)
    case.by(world)
    found = steps(world)
    step = of(found, case.step)
    assert step.state == case.state, found
    assert case.says in step.says
    assert case.line in step.line
    assert {one.name for one in found if one.state == "skipped"} == set(case.skips)
    assert {one.name for one in found if one.state in ("warn", "fail")} == {case.step}, found
    assert exit_code(found) == {"warn": 0, "fail": 2 if case.step == "configuration" else 1}[case.state]
    assert all(bool(one.line) == (one.state in ("warn", "fail")) for one in found)


NEWER, OLDER = ("ARG PYTHON=3.99\nFROM python:$PYTHON", "warn"), ("FROM mine/cpython:3.99", "ok")


@pytest.mark.parametrize(
    ("lines", "state"),
    light(
        [
            ("FROM python:3.99-slim", "warn"),
            ("FROM mirror.example/library/python:3.99.1-slim AS base\nFROM base", "warn"),
            NEWER,
            (f"FROM python:3.99 AS build\nFROM python:3.{sys.version_info.minor}", "ok"),
            ("FROM python:3.9", "ok"),
            ("ARG PYTHON\nFROM python:$PYTHON", "ok"),
            OLDER,
            ("FROM python", "ok"),
        ],
        [NEWER, OLDER],
    ),
)
def test_a_python_that_is_newer_than_the_gate_s_is_told(lines: str, state: str, world: World) -> None:
    """It may hold what cannot be parsed here; a warning, so that the exit code stays."""
    files: dict[str, str | bytes | None] = {
        "Dockerfile": f'{lines}\nWORKDIR /app\nCOPY . .\nCMD ["python", "predictions/worker/worker.py"]\n'
    }
    world.cloud.deploy(WORKER, commit=world.history.commit(files))
    replaced(world, "paths = [", "dockerfile = 'Dockerfile'\n#")
    found = steps(world)
    told = of(found, "image")
    assert (told.state, exit_code(found)) == (state, 0)
    assert ("unparsed-module" in told.says, "python3.99 -m venv" in told.line) == (state == "warn",) * 2


def test_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2, and the command that writes one."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main.main(["doctor"]) == 2
    shown = capsys.readouterr().out
    assert "no drift.toml in" in shown
    assert "→ deployment-drift init" in shown


def test_a_variable_that_sets_nothing(world: World) -> None:
    """A slip in a variable's name is a warning with its near miss; a bad value is named by its variable."""
    world.cloud.deploy(WORKER, commit=world.first)
    step = of(steps(world, DRIFT_MAX_COMMIT_BEHIND="0"), "variable")
    assert (step.state, step.line) == ("warn", "unset DRIFT_MAX_COMMIT_BEHIND")
    assert "did you mean DRIFT_MAX_COMMITS_BEHIND" in step.says
    (bad,) = steps(world, DRIFT_MAX_COMMITS_BEHIND="many")
    assert (bad.state, bad.line) == ("fail", "unset DRIFT_MAX_COMMITS_BEHIND")


def test_without_git(world: World) -> None:
    """What serves is still looked at; everything of the repository is skipped."""
    world.cloud.deploy(WORKER, commit=world.first)
    found = steps(world, PATH=str(world.folder / "empty"))
    assert of(found, "git").line == "sudo apt-get install git"
    assert {one.name: one.state for one in found if one.state != "ok"} == {
        "git": "fail",
        "repository": "skipped",
        "target ref": "skipped",
        "evidence": "skipped",
        "paths": "skipped",
    }


def test_no_credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an emulator Google's library is asked; it finds none, and says how to get some."""
    settings = world.settings()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(world.folder / "missing.json"))
    environ = {name: value for name, value in settings.environ.items() if "EMULATOR" not in name}
    found = list(examination.examine(start=world.folder, environ=environ))
    step = of(found, "credentials")
    assert (step.state, step.line) == ("fail", "gcloud auth application-default login")
    assert {one.name for one in found if one.state == "skipped"} == {"Cloud Run", *HIDES}


def test_when_the_token_ends() -> None:
    """Known: said, and a warning when it is over or almost; not known: said too."""
    now = datetime(2026, 2, 5, 12, tzinfo=UTC)
    later = examination._token("user:ann@example.com", now + timedelta(hours=1), now)
    assert (later.state, "ends 2026-02-05 13:00:00 UTC" in later.says) == ("ok", True)
    soon = examination._token("user:ann@example.com", now + timedelta(minutes=1), now)
    assert (soon.state, bool(soon.line)) == ("warn", True)
    assert "not known" in examination._token("user:ann@example.com", None, now).says


def test_a_hanging_service_ends_with_its_deadline(world: World) -> None:
    """One service hangs until its deadline, and its step fails; the other is looked at all the same."""
    world.cloud.deploy(WORKER, commit=world.first)
    hanging = f'[services.hanging]\npaths = ["/shared/"]\ndeadline = "{OVER_S:g}s"\n'
    replaced(world, f"[services.{WORKER}]", f"{hanging}[services.{WORKER}]")
    world.cloud.fault("GetService", hang=True, resource="hanging")
    found = steps(world)
    assert of(found, "Cloud Run").state == "fail"
    other = {step.name: step.state for step in found if step.about == WORKER}
    assert (other["service"], other["paths"]) == ("ok", "ok")


def test_a_ledger_needs_no_google(world: World) -> None:
    """No step speaks of Google; a service that was never recorded fails with the line that records it."""
    world.toml = f'[defaults]\nlive = "ledger"\ntarget_ref = "main"\n[services.{WORKER}]\n'
    found = steps(world)
    assert not {"credentials", "Cloud Run"} & {step.name for step in found}
    assert of(found, "service").line == f'deployment-drift record {WORKER} --commit "$SHA"'


def test_a_mirror_and_its_folder(world: World) -> None:
    """The cache folder is looked at before it is used; a repository that does not answer names a line."""
    world.cloud.deploy(WORKER, commit=world.first)
    served = world.folder.as_uri()
    replaced(world, "[defaults]", f'[defaults]\nrepository = "{served}"')
    found = steps(world)
    assert (of(found, "mirror folder").state, of(found, "target ref").state) == ("ok", "ok")
    assert exit_code(found) == 0
    blocked = world.folder / "cache"
    blocked.write_text("")
    found = steps(world, DRIFT_CACHE_DIR=str(blocked))
    assert "is no folder" in of(found, "mirror folder").says
    assert of(found, "mirror folder").line.startswith("export DRIFT_CACHE_DIR=")
    replaced(world, served, (world.folder.parent / "nowhere").as_uri())
    assert of(steps(world), "target ref").line.startswith("git ls-remote file://")


def test_what_a_stranger_wrote_steers_no_terminal() -> None:
    """Escape sequences and Rich markup of a message stay text."""
    step = Step("service", "x", "fail", "\x1b[2J[bold]gone[/bold]", "line\x1b]0;x")
    drawn = step.drawn().plain
    assert "\x1b" not in drawn
    assert "[bold]gone[/bold]" in drawn


SAFE = "git config --global --add safe.directory /somebody/elses"
LINES = [
    ("", "live", "unavailable", "", "curl --max-time 10 --head https://run.googleapis.com/"),
    (
        "",
        "live",
        "no-serving-revision",
        "",
        "gcloud run services update-traffic prediction-worker --project=",
    ),
    (
        'kind = "worker-pool"',
        "live",
        "no-serving-revision",
        "",
        "gcloud beta run worker-pools update-instance-split",
    ),
    ('kind = "job"', "live", "not-found", "`gcloud evil`", "gcloud run jobs list"),
    ("", "live", "permission-denied", "no line in it", "gcloud run services get-iam-policy"),
    ("", "history", "history-unavailable", f"if you trust it, run `{SAFE}`", SAFE),
    ("", "history", "history-unavailable", "fatal: bad object", "git -C "),
    ("", "history", "commit-not-in-history", f"`{SAFE}`", "git -C "),
    ("", "history", "credentials", "", "git -C "),
    (
        'repository = "https://ann:secret@git.example/x.git"',
        "history",
        "timeout",
        "",
        "deployment-drift warm",
    ),
    ('repository = "https://ann:secret@git.example/x.git"', "history", "credentials", "", "git ls-remote "),
    ('live = "ledger"', "evidence", "no-commit-evidence", "", "deployment-drift record prediction-worker"),
    ('kind = "job"\ncommit_labels = []', "evidence", "no-commit-evidence", "", "gcloud run jobs deploy"),
]


@pytest.mark.parametrize(("declared", "side", "cause", "message", "line"), LINES)
def test_the_line_for_each_cause(
    world: World, declared: str, side: str, cause: Cause, message: str, line: str
) -> None:
    """A stranger's command in a message is never passed on, and no line holds a password."""
    world.toml += declared
    settings = world.settings().model_copy(update={"emulator": None})
    service, unknown = settings.service(WORKER), Unknown(cause=cause, message=message)
    given = {
        "live": lambda: live_line(unknown, WORKER, service, settings),
        "history": lambda: history_line(unknown, service, settings),
        "evidence": lambda: evidence_line(WORKER, service),
    }[side]()
    assert given.startswith(line)
    assert "evil" not in given
    assert "secret" not in given


class TestAJournalThatIsNoFile:
    """It is asked; whether it answers is said."""

    def test_answers(self, world: World, firestore_emulator: str) -> None:
        world.toml += '\n[journal]\nstore = "firestore://p-doctor/drift"\n'
        found = of(steps(world, FIRESTORE_EMULATOR_HOST=firestore_emulator), "journal")
        assert (found.state, found.says) == ("ok", "firestore://p-doctor/drift answers")

    def test_does_not(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(examination, "STORE_SECONDS", OVER_S)
        world.toml += '\n[journal]\nstore = "firestore://p-nobody"\n'
        with dead_port() as port:
            found = of(steps(world, FIRESTORE_EMULATOR_HOST=f"127.0.0.1:{port}"), "journal")
        assert found.state == "fail"
        assert (
            "verdicts are not kept: the journal firestore://p-nobody/(default) cannot be used" in found.says
        )
        assert "store = " in found.line
