"""The documents say what is true: their code runs, their tables and help texts are the program's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from support.documents import DOCS, DOCUMENTS, ROOT, blocks, rows, words
from support.heavy import light
from support.world import World

from drift_gate.commands import exit_codes, main
from drift_gate.policy import break_glass
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS
from drift_gate.presentation import render
from drift_gate.relevance.patterns import PathRules
from drift_gate.settings import file as settings
from drift_gate.settings import keys
from drift_gate.settings.file import load
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from predictions.coordinator import coordinator
from predictions.coordinator.batches.orders import Order, slate_of
from predictions.coordinator.commands import main as coordinator_cli
from scripts import readme
from shared.utils.deployment_checker import require_current_worker

#: The pages whose code a reader copies.
GUIDES = [
    ROOT / "README.md",
    *(DOCS / f"{name}.md" for name in ("adoption", "bypass", "coordinator", "evidence", "testing")),
]
ADOPTION, SETTINGS, CODES = (
    (DOCS / name).read_text(encoding="utf-8")
    for name in ("adoption.md", "reference/settings.md", "reference/codes.md")
)
LEDGER, SERVICE = '[defaults]\nlive = "ledger"\n', "[services.prediction-worker]\n"


class TestWhatTheCodeKnowsBetter:
    @pytest.mark.parametrize("name", sorted(set(readme.PARTS) - readme.SHOWN))
    def test_a_generated_part_is_what_the_code_says_now(self, name: str) -> None:
        """Otherwise: python scripts/readme.py."""
        shown, made = readme.committed(name), readme.PARTS[name].make()
        assert readme.same(name, shown, made), f"shown:\n{shown}\nmade:\n{made}"

    @pytest.mark.parametrize("file", readme.FILES, ids=lambda file: file.name)
    def test_a_generated_file_is_what_the_code_says_now(self, file: Path) -> None:
        """Otherwise: python scripts/readme.py."""
        assert file.read_text(encoding="utf-8") == readme.FILES[file]()

    @pytest.mark.heavy
    def test_the_demo_prints_what_is_shown(self, tmp_path: Path) -> None:
        """The whole demo, run on a terminal; only ids and times may differ."""
        for program, module in (("deployment-drift", main), ("prediction-coordinator", coordinator_cli)):
            code = f"import sys; from {module.__name__} import main; sys.exit(main())"
            script = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "{code}" "$@"\n'
            (tmp_path / program).write_text(script)
            (tmp_path / program).chmod(0o755)
        for name, shows in (("demo", readme.demo), ("refusal", readme.refusal)):
            shown, printed = readme.committed(name), shows(str(tmp_path))
            assert readme.same(name, shown, printed), f"shown:\n{shown}\nprinted:\n{printed}"

    @pytest.mark.parametrize("name", sorted(set(readme.PARTS) - readme.SHOWN))
    def test_the_generator_mends_a_part_and_nothing_else(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page, make = readme.PARTS[name]
        text = page.read_text(encoding="utf-8")
        shown = readme.committed(name)
        for before in (text.replace(shown, "| old |"), text):
            (tmp_path / "page.md").write_text(before, encoding="utf-8")
            monkeypatch.setitem(readme.PARTS, name, readme.Part(tmp_path / "page.md", make))
            readme.write(name)
            mended = (tmp_path / "page.md").read_text(encoding="utf-8")
            assert readme.same("help", text, mended)

    def test_every_default_in_the_settings_table_is_the_one_in_force(self, tmp_path: Path) -> None:
        """The shown defaults, written into a file, change nothing."""
        tables: dict[str, str] = {"[defaults]": 'live = "ledger"\n', "[policy]": "", "[services.NAME]": ""}
        for table, key, _, default, _ in rows(SETTINGS, "table"):
            if default != "none" and table in tables and key != "`live`":
                tables[table] += f"{words(key)[0]} = {words(default)[0]}\n"
        written = "".join(f"{table}\n{lines}" for table, lines in tables.items())
        (tmp_path / "drift.toml").write_text(written.replace("services.NAME", "services.prediction-worker"))
        spelt_out = load(tmp_path, {}).service("prediction-worker")
        (tmp_path / "drift.toml").write_text(LEDGER + SERVICE)
        assert spelt_out == load(tmp_path, {}).service("prediction-worker")

    def test_every_key_is_in_the_settings_table(self) -> None:
        shown = {words(row[1])[0] for row in rows(SETTINGS, "table")}
        models = (keys.ServiceSettings, keys.Batch, keys.Sinks)
        assert shown >= {key for model in models for key in model.model_fields}

    @pytest.mark.parametrize("code", [*REASONS, *CAUSE_MEANINGS])
    def test_every_code_is_explained(self, code: str) -> None:
        assert f"\n| `{code}` | " in CODES

    def test_every_exit_code_is_listed_and_no_other(self) -> None:
        shown = {
            int(row[0])
            for row in rows((DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8"), "exit code")
        }
        own = set(exit_codes.EXIT_CODES.values()) | {exit_codes.OK}
        assert shown == own | set(coordinator_cli.EXIT_CODES.values())

    @pytest.mark.parametrize(
        "name",
        [
            "DRIFT_CONFIG",
            "DRIFT_<KEY>",
            settings.CACHE_DIR,
            break_glass.SWITCH,
            break_glass.UNTIL,
            settings.EMULATOR,
            settings.LOGINS,
            settings.HEARTBEAT,
        ],
    )
    def test_every_variable_is_explained(self, name: str) -> None:
        assert [name] in [words(row[0]) for row in rows(SETTINGS, "variable")]

    def test_the_carriers_look_where_the_settings_say(self) -> None:
        """The built-in labels and variables, in the table of evidence."""
        shown = {
            row[0].strip("`"): words(row[1])
            for row in rows((DOCS / "evidence.md").read_text(encoding="utf-8"), "carrier")
        }
        defaults = keys.Defaults()
        assert shown["revision-label"] == list(defaults.commit_labels)
        assert shown["env"] == list(defaults.commit_env)

    def test_the_patterns_match_what_the_table_says(self) -> None:
        for pattern, matched, others in rows(SETTINGS, "pattern"):
            relevant = PathRules(words(pattern)).relevant
            assert all(map(relevant, words(matched)))
            assert not any(map(relevant, words(others)))


@pytest.fixture
def there(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A reader's shell: in a repository with a drift.toml, the worker one commit behind."""
    world.cloud.deploy("prediction-worker", commit=world.history.tip("main"))
    world.change()
    world.settings()
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv(settings.EMULATOR, world.cloud.host)
    return world


BLOCKS = blocks("python", *GUIDES)


class TestPython:
    def test_the_intended_use_is_in_the_coordinator(self) -> None:
        """Line for line."""
        (shown,) = [block for block in blocks("python", *GUIDES) if "gate(" in block]
        source = Path(coordinator.__file__).read_text(encoding="utf-8")
        assert textwrap.indent(shown, "    ") in source

    @pytest.mark.parametrize(
        "block",
        light(BLOCKS, [block for block in BLOCKS if "def test_" not in block]),
    )
    def test_a_block_runs(
        self, block: str, there: World, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        """As it stands; a block of tests through pytest, and what a block defines is called."""
        if "def test_" in block:
            run_by_pytest(block, tmp_path / "test_shown.py")
            return
        names: dict[str, Any] = {}
        if "gate(" in block:
            order = Order(game_date=date(2026, 2, 5))
            names = vars(coordinator) | {"order": order, "gate": require_current_worker, "tell": print}
            names["read"] = slate_of
        names = names | {"__name__": "shown"}
        exec(block, names)  # noqa: S102 (running the README is the test)
        for start in defined(names):
            start()

    def test_the_blocks_tell_a_stale_worker_from_a_current_one(
        self, there: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the reader of README.md sees printed: the warning, the count, the bypass."""
        for block in blocks("python", ROOT / "README.md"):
            exec(block, {})  # noqa: S102 (running the README is the test)
        printed = capsys.readouterr().out
        assert "warn ['behind-within-limit']" in printed
        assert re.search(r"^behind 1 \d+$", printed, re.MULTILINE)
        assert "False break-glass" in printed


def defined(names: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """The functions that a block defines and that can be called without arguments."""
    for value in list(names.values()):
        if getattr(value, "__module__", None) == "shown" and callable(value):
            assert all(each.default is not each.empty for each in signature(value).parameters.values())
            yield value


def run_by_pytest(block: str, file: Path) -> None:
    """A user's test file, in a process of its own, with our plugin."""
    file.write_text(block)
    plugin = "drift_gate.testing.plugin"
    # Where the package is installed the plugin is there already, and pytest takes it under one name only.
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:drift-gate",
        "-p",
        plugin,
        "-p",
        "no:cacheprovider",
    ]
    argv += ["-c", os.devnull, "--rootdir", str(file.parent), str(file)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{block.count('def test_')} passed", done.stdout, re.MULTILINE)


#: A repository of the reader's own.
OWN = {
    "predictions/worker/Dockerfile": "FROM python:3.13-slim\nWORKDIR /app\n"
    "COPY predictions/worker/ predictions/worker/\nCOPY shared/ shared/\n"
    'CMD ["python", "-m", "predictions.worker.main"]\n',
    "predictions/worker/main.py": "import shared.odds\n",
    "shared/odds.py": "",
    "docs/notes.md": "",
}


class TestFiveMinutes:
    """The lines of README.md, pasted into a repository of the reader's own."""

    @pytest.fixture
    def cloud(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloudRun]:
        history = HistoryBuilder(tmp_path / "own")
        head = history.commit(OWN, subject="Predict")
        history.git("clone", "--quiet", "--bare", str(history.path), str(tmp_path / "origin.git"))
        history.git("remote", "add", "origin", str(tmp_path / "origin.git"))
        history.git("fetch", "--quiet", "origin")
        monkeypatch.chdir(history.path)
        monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "example-project")
        monkeypatch.setenv("CLOUDSDK_RUN_REGION", "us-west2")
        with FakeCloudRun(project="example-project") as cloud:
            cloud.deploy("prediction-worker", commit=head)
            monkeypatch.setenv(settings.EMULATOR, cloud.host)
            yield cloud

    def pasted(self) -> list[int]:
        """The exit code of each line that asks about the reader's own service."""
        lines = "".join(blocks("sh", ROOT / "README.md")).splitlines()
        ours = [line.split()[1:] for line in lines if line.startswith("deployment-drift ")]
        return [main.main(words) for words in ours if "--help" not in words]

    def test_a_stamped_worker_is_allowed(
        self, cloud: FakeCloudRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """And the file that is written is the one that README.md shows."""
        assert self.pasted() == [0, 0, 0, 0]
        out = capsys.readouterr().out
        assert "prediction-worker  ALLOW" in out
        assert "odds.py ← predictions/worker/main.py" in out
        assert "notes.md" not in out
        (shown,) = blocks("toml", ROOT / "README.md")
        written = load(tmp_path / "own", {}).services
        (tmp_path / "own" / "drift.toml").write_text(shown)
        assert load(tmp_path / "own", {}).services == written

    def test_a_worker_without_a_stamp_is_told_what_to_stamp(
        self, cloud: FakeCloudRun, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The first answer that README.md foretells, and the doctor's line for it; nothing is refused."""
        cloud.deploy("prediction-worker")
        assert self.pasted() == [0, 1, 0, 0]
        out = capsys.readouterr().out
        assert "unknown: no-commit-evidence" in out
        assert '--labels="commit-sha=$SHA"' in out


class TestOtherBlocks:
    def test_the_json_has_the_shape_of_the_real_one(self, there: World) -> None:
        """A worker that is one commit behind where none may be missing, as the example says."""
        there.toml += "max_commits_behind = 0\n"
        (shown,) = map(json.loads, blocks("json", DOCS / "reference" / "json.md"))
        real = json.loads(render.json(there.outcome()))
        assert same_shape(shown, real), real
        for each in (shown, real):
            (service,) = each["services"]
            report = service["report"]
            assert report["live"][0]["evidence"]
            assert [len(report["undeployed"][0]["paths"]), len(service["reasons"])] == [1, 1]

    @pytest.mark.parametrize("block", [each for each in blocks("toml", *GUIDES) if "[project." not in each])
    def test_a_table_of_settings_is_accepted(self, block: str, tmp_path: Path) -> None:
        """Alone, or beside a service; what belongs into the reader's pyproject.toml is not ours."""
        ledger = "" if "[defaults]" in block else LEDGER
        service = "" if "[services." in block else SERVICE
        (tmp_path / "drift.toml").write_text(ledger + block + service)
        assert load(tmp_path, {}).batch_service() == "prediction-worker"

    def test_the_shell_lines_parse(self) -> None:
        for block in blocks("sh", *DOCUMENTS):
            done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), block

    def test_every_command_of_ours_takes_the_shown_arguments(self) -> None:
        """Each deployment-drift and prediction-coordinator line in a shell block, read by its parser."""
        parsers: dict[str, Callable[[list[str]], object]] = {
            "deployment-drift": main.parse,
            "prediction-coordinator": coordinator_cli.parser().parse_args,
        }
        lines = "".join(blocks("sh", *DOCUMENTS)).splitlines()
        ours = [re.split(r" [|>]", line)[0] for line in lines if line.split(" ")[0] in parsers]
        assert len(ours) >= 10
        for line in ours:
            program, *arguments = re.findall(r'"[^"]*"|\S+', line)
            with suppress(SystemExit) if "--help" in arguments else nullcontext():
                parsers[program]([argument.strip('"') for argument in arguments])


def same_shape(shown: Any, real: Any) -> bool:
    """The same keys in the same order, and the same kinds; an empty list says nothing of its items."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return [*shown] == [*real] and all(same_shape(shown[key], real[key]) for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return all(same_shape(*pair) for pair in zip(shown, real, strict=False))
    return type(shown) is type(real)


@pytest.mark.heavy
def test_vendored_files_work_beside_a_shared_package_of_the_readers_own(tmp_path: Path) -> None:
    """What docs/adoption.md says to copy is enough, also where ``shared`` has an ``__init__.py``."""
    copied = blocks("", DOCS / "adoption.md")[0]
    for name in re.findall(r"^((?:drift_gate|shared)/\S*)", copied, re.MULTILINE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy: Callable[..., object] = shutil.copytree if name.endswith("/") else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for folder in ("shared", "shared/utils"):
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "shared" / "utils" / "x.py").write_text("ANSWER = 42\n")
    (tmp_path / "drift.toml").write_text('[defaults]\nlive = "ledger"\n[services.worker]\n')
    code = (
        "from shared.utils.x import ANSWER\n"
        "import drift_gate.wiring.checks as ours\n"
        "from shared.utils.deployment_checker import DriftCheckError, check_worker_drift\n"
        "try: check_worker_drift()\n"
        "except DriftCheckError as error: print(ANSWER, error.cause, ours.__file__)\n"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["42", "not-found", str(tmp_path / "drift_gate/wiring/checks.py")], (
        done.stderr
    )
