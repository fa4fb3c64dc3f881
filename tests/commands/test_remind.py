"""``deployment-drift remind``: what services lack now, as ``affected`` says it, by less."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.heavy import light
from support.repositories import WorkTree
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.commands.remind import command, remembered
from drift_gate.comparison.report import is_affected
from drift_gate.settings.file import load
from drift_gate.wiring import deliveries

ROOT = Path(__file__).parents[2]
TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "released"

[journal]
store = "off"

[services.worker]
dockerfile = "worker/Dockerfile"
builder = "buildah"
image = "registry.example/{service}"

[services.front]
paths = ["front/"]

[services.rules]
entrypoint = ["rules/start.py"]
paths = ["rules/*.txt"]
"""
DOCKERFILE = """
FROM python:3.12
WORKDIR /app
COPY worker/ ./
COPY shared/ shared/
CMD ["python", "main.py"]
"""
FILES = {
    "drift.toml": TOML,
    ".gitignore": ".drift/\n",
    "worker/Dockerfile": DOCKERFILE,
    "worker/main.py": "import helper\nimport shared.odds\n",
    "worker/helper.py": "X = 1\n",
    "worker/idle.py": "X = 1\n",
    "worker/notes.txt": "1\n",
    "shared/__init__.py": "",
    "shared/odds.py": "X = 1\n",
    "shared/other.py": "X = 1\n",
    "front/page.html": "1\n",
    "rules/start.py": "from rules import first\n",
    "rules/table.txt": "1\n",
    "rules/first.py": "X = 1\n",
    "rules/second.py": "X = 1\n",
    "docs/guide.md": "1\n",
}


class Reminded:
    """A work tree whose reminders are asked for in this process."""

    def __init__(self, tree: WorkTree) -> None:
        self.tree = tree
        self.tree.commit(FILES, "begin")
        self.tree.git("branch", "released")

    def __call__(self, *words: str) -> list[str]:
        return list(command.reminder(self.tree.environ, words))

    @property
    def memory(self) -> bytes:
        """What is remembered."""
        path = Path(self.tree.git("rev-parse", "--absolute-git-dir"), "drift-gate", "remind.json")
        return path.read_bytes() if path.exists() else b""


@pytest.fixture
def reminded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reminded:
    made = Reminded(WorkTree(tmp_path / "repo"))
    monkeypatch.chdir(made.tree.folder)
    return made


def test_a_commit_that_counts_is_told_with_the_line_that_deploys_it(reminded: Reminded) -> None:
    reminded.tree.git("checkout", "-qb", "feature")
    reminded.tree.commit({"shared/odds.py": "X = 2\n"}, "Fix the odds")
    short = reminded.tree.head[:8]
    assert reminded() == [
        f"drift: worker is made stale by {short} Fix the odds",
        "  once merged: deployment-drift deploy worker",
    ]


def test_what_changes_nothing_relevant_is_passed_over_in_silence(reminded: Reminded) -> None:
    """A file that is never imported, one of the docs, a comment: known without asking again."""
    reminded.tree.commit({"worker/idle.py": "X = 2\n"})
    assert reminded() == []
    before = reminded.memory
    reminded.tree.commit({"docs/guide.md": "2\n", "worker/idle.py": "X = 3\n"})
    assert reminded() == []
    assert reminded.memory == before != b""
    reminded.tree.commit({"shared/odds.py": "X = 1  # one\n"})
    assert reminded() == []


def test_more_commits_are_named_without_asking_again(reminded: Reminded) -> None:
    """The newest two by name, the others as a number, and none that does not count."""
    reminded.tree.commit({"docs/guide.md": "2\n"})
    assert reminded() == []
    before = reminded.memory
    shas = []
    for number in range(2, 6):
        reminded.tree.commit({"worker/helper.py": f"X = {number}\n"}, f"Helper {number}")
        shas.append(reminded.tree.head[:8])
        reminded.tree.commit({"docs/guide.md": f"about {number}\n"})
    assert reminded()[0] == (
        f"drift: worker is made stale by {shas[3]} Helper 5, {shas[2]} Helper 4 and 2 more"
    )
    assert reminded.memory == before


def test_the_journal_says_what_is_live(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check has kept it; from then on the reminder knows what is missing, and what no longer is."""
    world.toml += '\n[journal]\nstore = ".drift/journal.sqlite"\n'
    world.toml += '[batch]\ndeploy = "make deploy-{service} AT={commit}"\n'
    world.cloud.deploy(WORKER, commit=world.first)
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    monkeypatch.chdir(world.folder)
    world.settings()
    missing = world.history.commit({"shared/odds.py": "1\n"}, subject="fix the odds")
    world.history.check_out("main")
    assert main.main(["check"]) == 0
    capsys.readouterr()
    assert main.main(["remind"]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines() == [
        f"drift: {WORKER} lacks {missing[:8]} fix the odds",
        f"  make deploy-{WORKER} AT={missing}",
    ]
    world.cloud.deploy(WORKER, commit=missing)
    assert main.main(["check"]) == 0
    capsys.readouterr()
    assert main.main(["remind"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"no database", None])
def test_a_journal_that_cannot_be_read_is_as_none(reminded: Reminded, content: bytes | None) -> None:
    """A file that is none, or a folder in its place: held against the target instead."""
    reminded.tree.commit({"drift.toml": TOML.replace('"off"', '".drift/journal.sqlite"')})
    journal = reminded.tree.folder / ".drift" / "journal.sqlite"
    journal.parent.mkdir(exist_ok=True)
    journal.mkdir() if content is None else journal.write_bytes(content)
    reminded.tree.commit({"front/page.html": "2\n"}, "New page")
    assert reminded()[0].endswith("New page")


def test_a_push_comes_before_a_deploy(reminded: Reminded) -> None:
    """On the branch of the target itself, of which the remote lacks the commit."""
    reminded.tree.git("update-ref", "refs/remotes/origin/main", "HEAD")
    reminded.tree.commit({"drift.toml": TOML.replace('"released"', '"origin/main"')})
    reminded.tree.commit({"front/page.html": "2\n"})
    assert reminded()[1] == "  once pushed: deployment-drift plan front"
    reminded.tree.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert reminded()[1] == "  deployment-drift plan front"


def test_many_services_are_told_in_a_few_lines(reminded: Reminded) -> None:
    more = "".join(f'[services.more-{number}]\npaths = ["front/"]\n' for number in range(4))
    reminded.tree.commit({"drift.toml": TOML + more, "front/page.html": "2\n"})
    lines = reminded()
    assert len(lines) == 7
    assert lines[-1] == "drift: the same of more-2, more-3: see deployment-drift plan"


def test_it_is_silent_where_it_has_nothing_to_say(
    reminded: Reminded, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Switched off; in a repository without settings; before the first commit; outside of any repository."""
    reminded.tree.commit({"front/page.html": "2\n"})
    monkeypatch.setenv("DRIFT_REMIND", "off")
    assert main.main(["remind"]) == 0
    monkeypatch.delenv("DRIFT_REMIND")
    bare = WorkTree(tmp_path / "other")
    empty = WorkTree(tmp_path / "empty")
    empty.write({"drift.toml": TOML})
    bare.commit({"a": "1"})
    for folder in (bare.folder, empty.folder, tmp_path):
        monkeypatch.chdir(folder)
        assert main.main(["remind", "post-commit"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("toml", ["[services", "[services.worker]\npaths = 1\n", "\0"])
def test_a_mistake_in_the_settings_is_a_line_and_no_failure(
    reminded: Reminded, toml: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reminded.tree.write({"drift.toml": toml})
    assert main.main(["remind"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("drift: no reminder: ")


def test_whatever_happens_it_ends_with_0(
    reminded: Reminded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged memory, no git, settings that are a folder."""
    reminded.tree.commit({"front/page.html": "2\n"})
    lines = reminded()
    place = reminded.tree.folder / ".git" / "drift-gate" / "remind.json"
    for text in ("", "[]", '{"key": 1}', place.read_text().replace('"net": [', '"net": [["x"],')):
        place.write_text(text)
        assert reminded() == lines
    place.unlink()
    place.mkdir()
    assert reminded() == lines
    (reminded.tree.folder / "drift.toml").unlink()
    (reminded.tree.folder / "drift.toml").mkdir()
    assert main.main(["remind"]) == 0
    monkeypatch.setenv("PATH", str(reminded.tree.folder))
    assert main.main(["remind"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("out", light([">&-", ">/dev/full", ">&- 2>&-"], [">/dev/full", ">&- 2>&-"]))
def test_a_stdout_that_is_gone_is_no_failure(reminded: Reminded, out: str) -> None:
    reminded.tree.commit({"front/page.html": "2\n"})
    code = "import sys; from drift_gate.commands.main import main; sys.exit(main())"
    reminded()  # from now on the quick way answers
    line = f'exec "{sys.executable}" -c "{code}" remind {out}'
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=reminded.tree.folder,
        env=reminded.tree.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert not done.stderr or done.stderr.startswith("drift: no reminder: cannot write to stdout")
    assert done.stderr.count("\n") <= 1


def test_pre_commit_finds_a_command_that_exists() -> None:
    """Its own schema says what a manifest may hold; here: that what it names is ours, and fails nobody."""
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, command = hook["entry"].split()
    assert program == main.PROGRAM
    assert command in main.COMMANDS
    assert hook["stages"] == ["post-commit", "post-merge", "pre-push"]
    assert (hook["always_run"], hook["pass_filenames"], hook["verbose"]) == (True, False, True)


def test_what_another_version_or_environment_remembers_is_not_taken(
    reminded: Reminded, tmp_path: Path
) -> None:
    """All that an answer follows from is in the key; the switch alone is not."""
    file = reminded.tree.folder / "drift.toml"
    key = remembered.key_of(file, {})
    assert remembered.key_of(file, {"DRIFT_REMIND": "on", "HOME": "/"}) == key
    assert remembered.key_of(file, {"DRIFT_TARGET_REF": "x"}) != key
    file.write_text(TOML + "\n")
    assert remembered.key_of(file, {}) != key


def loaded_by(reminded: Reminded) -> tuple[list[str], set[str]]:
    """What a reminder in a process of its own says, and the modules that it loads."""
    code = (
        "import sys; from drift_gate.commands.main import main; main(['remind', 'post-commit'])\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=reminded.tree.folder,
        env=reminded.tree.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    *told, loaded = done.stdout.splitlines()
    return told, set(loaded.split())


def test_the_quick_way_loads_no_library(reminded: Reminded) -> None:
    """What the 150 ms rest on: neither pydantic, nor argparse's parsers, nor what reads history."""
    reminded.tree.commit({"docs/guide.md": "2\n"})
    assert reminded() == []
    reminded.tree.commit({"worker/helper.py": "X = 2\n"})
    told, loaded = loaded_by(reminded)
    assert told[0].startswith("drift: worker is made stale by")
    heavy = {"pydantic", "tenacity", "git", "google", "grpc", "httpx", "asyncio", "inspect"}
    assert not heavy & loaded
    assert not [name for name in loaded if name.startswith(("drift_gate.wiring", "drift_gate.gate"))]


@pytest.mark.heavy
def test_the_long_way_loads_nothing_of_google(reminded: Reminded) -> None:
    """It asks git alone, and draws no table: a third of its time would go there."""
    reminded.tree.commit({"worker/new.py": "X = 2\n"})
    _, loaded = loaded_by(reminded)
    assert "drift_gate.gate" in loaded
    assert not {"google", "grpc", "proto", "httpx", "rich"} & loaded


class Person:
    """Somebody who works in a repository, one thing after the other, as ``chance`` has it."""

    def __init__(self, tree: WorkTree, seed: int) -> None:
        self._tree = tree
        self._chance = random.Random(seed)  # noqa: S311 - the same history each time
        self._number = 1
        self._branches = ["main"]

    def does_something(self) -> str:
        """What was done."""
        deeds = {
            self._edit: 10,
            self._remark: 2,
            self._import: 3,
            self._add: 1,
            self._remove: 1,
            self._amend: 2,
            self._branch: 2,
            self._switch: 3,
            self._merge: 2,
            self._rebase: 2,
            self._take_back: 1,
            self._release: 2,
            self._rebuild: 1,
        }
        [deed] = self._chance.choices([*deeds], [*deeds.values()])
        self._number += 1
        deed()
        return deed.__name__

    def _some(self, pattern: str = "") -> str:
        """A tracked file."""
        kept = (".gitignore", "drift.toml", "Dockerfile")
        names = [name for name in self._tree.git("ls-files").split("\n") if not name.endswith(kept)]
        return self._chance.choice([name for name in names if re.search(pattern, name)])

    def _edit(self) -> None:
        name = self._some()
        own = self._tree.folder / name
        lines = own.read_text().splitlines()
        kept = [line for line in lines if "import" in line]
        text = f"X = {self._number}" if name.endswith(".py") else str(self._number)
        self._tree.commit({name: "\n".join([*kept, text, ""])})

    def _remark(self) -> None:
        name = self._some(r"\.py$")
        own = self._tree.folder / name
        self._tree.commit({name: f"{own.read_text()}# {self._number}\n"})

    def _import(self) -> None:
        name = self._some(r"^(worker/main|rules/first|shared/odds|worker/helper)\.py$|guide.md")
        what = self._chance.choice(["import idle", "import shared.other", "from rules import second", "pass"])
        self._tree.commit({name: f"{what}\nX = {self._number}\n"})

    def _add(self) -> None:
        folder = self._chance.choice(["worker", "front", "docs", "rules"])
        self._tree.commit({f"{folder}/new{self._number}.py": "X = 1\n"})

    def _remove(self) -> None:
        self._tree.commit({self._some(r"new|idle|second|notes|guide"): None})

    def _amend(self) -> None:
        self._tree.commit(
            {self._some(r"odds|guide|page|helper"): f"X = {self._number}\n"}, "amended", "--amend"
        )

    def _branch(self) -> None:
        name = f"branch{self._number}"
        self._tree.git("checkout", "-qb", name)
        self._branches.append(name)

    def _switch(self) -> None:
        self._tree.git("checkout", "-q", self._chance.choice(self._branches))

    def _merge(self) -> None:
        options = self._chance.choice([["--no-ff"], []])
        self._tree.git(
            "merge", "-q", "-X", "ours", *options, self._chance.choice(self._branches), check=False
        )
        self._settle("merge")

    def _rebase(self) -> None:
        self._tree.git("rebase", "-q", "-X", "ours", self._chance.choice(self._branches), check=False)
        self._settle("rebase")

    def _settle(self, what: str) -> None:
        if self._tree.git("status", "--porcelain"):
            self._tree.git(what, "--abort", check=False)
            self._tree.git("reset", "-q", "--hard")

    def _take_back(self) -> None:
        if self._tree.git(
            "rev-parse", "-q", "--verify", "HEAD^", check=False
        ):  # all files came with the first
            self._tree.done("revert", "--no-edit", "HEAD", check=False)
        self._settle("revert")

    def _release(self) -> None:
        self._tree.git("update-ref", "refs/heads/released", self._chance.choice(["HEAD", "HEAD~1", "main"]))

    def _rebuild(self) -> None:
        changed = DOCKERFILE.replace("COPY shared/ shared/\n", "COPY . all/\nCOPY shared/ shared/\n")
        self._tree.commit(
            {"worker/Dockerfile": self._chance.choice([DOCKERFILE, changed])}, "x", "--allow-empty"
        )


def expected(tree: WorkTree) -> set[str] | None:
    """What ``affected`` says of HEAD against what it is to be held against; None: against nothing."""
    head, base = tree.head, tree.git("merge-base", "HEAD", "released", check=False)
    if base in ("", head):
        before = tree.git("rev-parse", "-q", "--verify", "HEAD@{1}", check=False)
        older = before and before != head and tree.git("merge-base", "HEAD", before, check=False) == before
        base = before if older else tree.git("rev-parse", "-q", "--verify", "HEAD^", check=False)
    if not base:
        return None
    settings = load(tree.folder, tree.environ)
    reports = deliveries.affected(base, head, settings=settings).reports
    return {name for name, report in reports.items() if is_affected(report)}


def told(lines: list[str]) -> set[str]:
    """The services that a reminder names."""
    return {line.split()[1] for line in lines if line.startswith("drift: ")}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("seed", "deeds"), [(1, 8), *(pytest.param(seed, 80, marks=pytest.mark.heavy) for seed in range(2, 5))]
)
def test_a_reminder_names_whom_affected_names(reminded: Reminded, seed: int, deeds: int) -> None:
    """Over a random history of edits, merges, amends, rebases and releases; some of it by memory alone."""
    person = Person(reminded.tree, seed)
    done, by_memory = [], 0
    for _ in range(deeds):
        done.append(person.does_something())
        before = reminded.memory
        lines = reminded()
        assert told(lines) == (expected(reminded.tree) or set()), (done, lines)
        by_memory += before == reminded.memory
        assert all(
            reminded.tree.git("merge-base", sha, "HEAD") == reminded.tree.git("rev-parse", sha)
            for sha in re.findall(r"\b[0-9a-f]{8}\b", "\n".join(lines))
        )
    assert by_memory > deeds // 4
