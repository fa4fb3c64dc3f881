"""``why``, ``files`` and ``is-live`` as an operator asks them, on the command line."""

from __future__ import annotations

import pytest
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.errors import SourceError
from drift_gate.runtime import child_process
from drift_gate.wiring import answers

DOCKERFILE = """\
FROM python:3.12
WORKDIR /app
COPY predictions/worker/ ./
COPY shared/ ./shared/
CMD python worker.py
"""


class Asked:
    """The command line in this process, over a world."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.world = world
        self._capsys = capsys
        monkeypatch.chdir(world.folder)
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
        monkeypatch.setenv("HOME", str(world.folder))
        world.toml = world.toml.replace(
            'paths = ["/predictions/worker/", "/shared/"]', 'dockerfile = "Dockerfile"'
        )
        world.first = world.history.commit(
            {
                "Dockerfile": DOCKERFILE,
                "predictions/worker/worker.py": "import shared.odds\n",
                "shared/odds.py": "ODDS = 1\n",
                "shared/unused.py": "X = 1\n",
                "shared/notes.md": "words\n",
            }
        )
        self.revision = world.cloud.deploy(WORKER, commit=world.first)
        world.settings()

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main.main(list(args))
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def ask(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(world, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("shared/odds.py", "shared/odds.py ← predictions/worker/worker.py"),
        ("Dockerfile", "Dockerfile ← Dockerfile: the image is built from it"),
        ("shared/unused.py", "shared/unused.py: does not count: the image holds it, and nothing that"),
        ("shared/notes.md", "shared/notes.md: does not count: ignore: *.md"),
        ("docs/readme.md", "docs/readme.md: does not count: ignore: *.md"),
    ],
)
def test_why_a_path_counts_or_not(ask: Asked, path: str, line: str) -> None:
    """The chain of reasons, or what keeps it out."""
    code, out, _ = ask("why", WORKER, path)
    assert (code, out.startswith(line)) == (0, True), out


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("shared/ods.py", "'shared/ods.py', neither live nor at the target; did you mean shared/odds.py"),
        ("odds.py", "; did you mean shared/odds.py?"),
        ("./shared/odds.py", "; did you mean shared/odds.py?"),
        ("shared/", "; it is a folder: name a file in it"),
        ("setup.cfg", "no file 'setup.cfg', neither live nor at the target\n"),
    ],
)
def test_a_path_that_is_nowhere_is_a_slip(ask: Asked, path: str, hint: str) -> None:
    """Also below a pattern that would take it: whoever reads that it counts would look for it in vain."""
    code, out, err = ask("why", WORKER, path)
    assert (code, out, hint in err) == (2, "", True), err
    ask.world.toml = ask.world.toml.replace('dockerfile = "Dockerfile"', 'paths = ["/shared/"]')
    ask.world.settings()
    assert ask("why", WORKER, path)[0] == 2


def test_why_a_commit_counts(ask: Asked) -> None:
    """Each of its paths with its reason; a commit outside of the drift is said to be one."""
    sha = ask.world.history.commit({"shared/odds.py": "ODDS = 2\n", "shared/unused.py": "X = 2\n"})
    code, out, _ = ask("why", WORKER, sha[:10])
    assert code == 0
    assert out.splitlines()[0] == "shared/odds.py ← predictions/worker/worker.py"
    assert out.splitlines()[1].startswith("shared/unused.py: does not count")
    assert "is not between what is live and refs/heads/main" in ask("why", WORKER, ask.world.first)[1]
    code, _, err = ask("why", WORKER, "abcdef0123")
    assert (code, "abcdef0123" in err) == (3, True)


def test_the_files_that_count(ask: Asked) -> None:
    """By folder with reasons, then the dead weight; ``--at`` looks at another ref."""
    code, out, _ = ask("files", WORKER)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"3 files counted as relevant at {ask.world.first[:12]}"
    assert "shared/" in lines
    assert "  odds.py ← predictions/worker/worker.py" in lines
    assert lines[lines.index("1 file copied into the image and never imported") + 1] == "  shared/unused.py"
    assert "remark: entry point: /app/worker.py" in out
    ask.world.history.commit({"shared/unused.py": "open('shared/grades.csv')", "shared/grades.csv": "1"})
    lines = ask("files", WORKER)[1].splitlines()
    assert lines[lines.index("1 file of data that nothing of the worker names") + 1] == (
        "  shared/grades.csv (shared/unused.py)"
    )
    assert "and only shared/unused.py names it" in ask("why", WORKER, "shared/grades.csv")[1]
    ask.world.history.branch("other", ask.world.first)
    ask.world.history.commit({"shared/odds.py": "import shared.unused\n"}, branch="other")
    assert "4 files counted" in ask("files", WORKER, "--at", "other")[1]
    code, _, err = ask("files", WORKER, "--at", "othr")
    assert (code, "did you mean other?" in err) == (3, True)


def test_whether_a_fix_is_live(ask: Asked) -> None:
    """0 where every revision runs it, 1 with what is missing where one does not, 3 where nobody knows."""
    world = ask.world
    assert ask("is-live", world.first) == (0, f"{WORKER}  100 %  {ask.revision}: {world.first} is live\n", "")
    between = world.history.commit({"shared/odds.py": "ODDS = 2\n"}, subject="first part")
    fix = world.history.commit({"shared/odds.py": "ODDS = 3\n"}, subject="the fix")
    code, out, _ = ask("is-live", fix)
    assert code == 1
    assert out.splitlines() == [
        f"{WORKER}  100 %  {ask.revision}: {fix} is not live",
        "  2 relevant commits up to it missing",
        f"  {fix[:12]}  the fix",
        f"  {between[:12]}  first part",
    ]
    new = world.cloud.deploy(WORKER, commit=fix)
    world.cloud.set_traffic(WORKER, {ask.revision: 20, new: 80})
    code, out, _ = ask("is-live", between, WORKER)
    assert code == 1
    assert f"80 %  {new}: {between} is live" in out
    assert f"20 %  {ask.revision}: {between} is not live" in out
    world.cloud.revisions[new].labels.clear()
    world.cloud.revisions[new].containers[0].image = "r/w:latest"
    code, out, _ = ask("is-live", between, WORKER)
    assert (code, "could not be determined" in out) == (3, True)


def test_a_question_that_fails_does_not_make_the_next_one_fail(ask: Asked) -> None:
    """What read for it is given back, also while somebody still holds its error."""
    settings, held = ask.world.settings(), []
    for _ in range(child_process.MOST):
        with pytest.raises(SourceError) as failed:
            answers.selection_at(WORKER, "mian", settings=settings)
        held.append(failed)
    assert answers.selection_at(WORKER, None, settings=settings)[0] == ask.world.first
    assert {each.value.cause for each in held} == {"target-not-found"}


def test_a_name_stands_for_its_commit(ask: Asked) -> None:
    """HEAD, a branch and a tag of the service's repository, told with what they mean."""
    world, where = ask.world, f"{WORKER}  100 %  {ask.revision}"
    world.history.git("tag", "v1", world.first)
    fix = world.history.commit({"shared/odds.py": "ODDS = 2\n"}, subject="the fix")
    assert ask("is-live", "v1") == (0, f"{where}: v1 ({world.first[:12]}) is live\n", "")
    for name in ("HEAD", "main"):
        code, out, _ = ask("is-live", name, WORKER)
        assert (code, out.splitlines()[0]) == (1, f"{where}: {name} ({fix[:12]}) is not live")
    world.cloud.deploy(WORKER, commit=fix)
    assert ask("is-live", "HEAD")[0] == 0


def test_a_branch_that_lacks_what_its_upstream_has_is_told(ask: Asked) -> None:
    """Whoever asks about a branch means what others call so, too."""
    git = ask.world.history.git
    git("update-ref", "refs/remotes/origin/main", ask.world.history.commit({"x.py": ""}))
    git("config", "remote.origin.url", str(ask.world.history.path))
    git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git("branch", "old", ask.world.first)
    git("branch", "--set-upstream-to=origin/main", "old")
    code, _, err = ask("is-live", "old")
    assert (code, "refs/heads/old lacks 1 commits of its upstream" in err) == (0, True)


@pytest.mark.parametrize("name", ["--output=pwned", "mian", "a..b", ""])
def test_what_names_no_commit_is_usage(ask: Asked, name: str) -> None:
    """Nothing that looks like an option or a range reaches git."""
    code, out, err = ask("is-live", "--", name)
    assert (code, out) == (2, "")
    assert f"{name!r} is no commit id" in err
    assert "--commit" not in err


def test_a_commit_of_which_nothing_counts_is_no_alarm(ask: Asked) -> None:
    """Green for the service that has nothing to deploy for it, red as soon as something below it counts."""
    world, where = ask.world, f"{WORKER}  100 %  {ask.revision}"
    notes = world.history.commit({"docs/readme.md": "words\n", "shared/unused.py": "X = 2\n"})
    assert ask("is-live", notes) == (0, f"{where}: nothing of {notes} counts for {WORKER}\n", "")
    world.history.commit({"shared/odds.py": "ODDS = 2\n"})
    above = world.history.commit({"docs/readme.md": "more words\n"})
    code, out, _ = ask("is-live", above)
    assert (code, "1 relevant commit up to it missing" in out) == (1, True)


def test_verbose_shows_the_chain(ask: Asked) -> None:
    """The table of a check tells for each path why it counts."""
    ask.world.history.commit({"shared/odds.py": "ODDS = 2\n"})
    assert "shared/odds.py ← predictions/worker/worker.py" in ask("check", "--verbose")[1]
