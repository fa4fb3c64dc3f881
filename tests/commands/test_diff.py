"""``deployment-drift diff``: what the live revision lacks, of the files that count; harmless anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.questions import DIFFERENCE_LIMIT, MOST_PATHS

CODE = "predictions/worker/worker.py"


class Asked:
    """The command line in this process, over a world whose worker runs its first commit."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.world = world
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.revision = world.cloud.deploy(WORKER, commit=world.first)
        for name, value in {
            "CLOUD_RUN_EMULATOR_HOST": world.cloud.host,
            "HOME": str(world.folder),
            "DRIFT_CACHE_DIR": str(world.folder.with_name("mirrors")),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(world.folder)

    def __call__(self, *args: str) -> tuple[int, list[str], str]:
        self.world.settings()
        self._capsys.readouterr()
        code = main.main(["diff", WORKER, *args])
        out, err = self._capsys.readouterr()
        assert not out or out.endswith("\n")
        return code, out.split("\n")[:-1], err

    def head(self, target: str, differ: str) -> str:
        live = f"{self.revision} runs {self.world.first[:12]}"
        return f"{WORKER}: {live}, refs/heads/main is {target[:12]}: {differ}"


@pytest.fixture
def diff(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(world, monkeypatch, capsys)


def test_only_what_counts_is_shown(diff: Asked) -> None:
    """From the live commit to the target, and nothing of the files that do not count."""
    diff.world.history.commit({CODE: "VERSION = 1\n", "docs/readme.md": "words\n"})
    target = diff.world.history.commit({"shared/notes.md": "words\n", "shared/new.txt": "1\n"})
    code, lines, err = diff()
    assert (code, err) == (0, "")
    assert lines == [
        diff.head(target, "2 files that count differ"),
        f"diff --git a/{CODE} b/{CODE}",
        *lines[2:3],
        f"--- a/{CODE}",
        f"+++ b/{CODE}",
        "@@ -1 +1 @@",
        "-VERSION = 0",
        "+VERSION = 1",
        "diff --git a/shared/new.txt b/shared/new.txt",
        "new file mode 100644",
        *lines[10:11],
        "--- /dev/null",
        "+++ b/shared/new.txt",
        "@@ -0,0 +1 @@",
        "+1",
    ]
    assert lines[2].startswith("index ")


def test_a_summary(diff: Asked) -> None:
    path = f"shared/{'long/' * 40}new.txt"
    target = diff.world.history.commit({CODE: "VERSION = 1\n", path: "1\n2\n", "docs/readme.md": "words\n"})
    code, lines, _ = diff("--stat")
    assert (code, lines[0]) == (0, diff.head(target, "2 files that count differ"))
    assert [line.split() for line in lines[1:3]] == [[CODE, "|", "2", "+-"], [path, "|", "2", "++"]]
    assert lines[3:] == [" 2 files changed, 3 insertions(+), 1 deletion(-)"]


def test_nothing_is_missing(diff: Asked) -> None:
    """Neither where the target is live, nor where all that differs counts for nothing."""
    assert diff() == (0, [diff.head(diff.world.first, "nothing that counts differs")], "")
    target = diff.world.history.commit({"docs/readme.md": "words\n", CODE: "# why\nVERSION = 0\n"})
    assert diff() == (0, [diff.head(target, "nothing that counts differs")], "")
    assert diff("--stat") == (0, [diff.head(target, "nothing that counts differs")], "")


def test_the_worst_revision_is_the_one_that_is_shown(diff: Asked) -> None:
    between = diff.world.change()
    new = diff.world.cloud.deploy(WORKER, commit=between)
    target = diff.world.change("shared/odds.py")
    diff.world.cloud.set_traffic(WORKER, {diff.revision: 1, new: 99})
    assert diff()[1][0] == diff.head(target, "2 files that count differ")


def test_what_is_live_is_not_known(diff: Asked) -> None:
    """3 and the cause, though one revision of two is known; nothing is shown that may be too little."""
    new = diff.world.cloud.deploy(WORKER, image="r/w:latest")
    diff.world.cloud.set_traffic(WORKER, {diff.revision: 50, new: 50})
    code, lines, err = diff()
    assert (code, lines) == (3, [])
    assert "commit" in err


def test_a_service_that_is_not_declared(diff: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    diff.world.settings()
    assert main.main(["diff", "predicton-worker"]) == 2
    assert f"did you mean {WORKER}" in capsys.readouterr().err


@pytest.mark.parametrize("history", ["checkout", "mirror"])
def test_nothing_that_somebody_has_set_is_run(
    diff: Asked, history: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No diff program, text converter, pager or order file; a mirror fetches what it lacks."""
    world = diff.world
    world.toml = world.toml.replace("[defaults]", f'[defaults]\nhistory = "{history}"')
    world.history.commit({".gitattributes": "*.py diff=evil\n", CODE: "VERSION = 1\n"})
    (world.folder / ".git/info").mkdir(exist_ok=True)
    (world.folder / ".git/info/attributes").write_text("*.py diff=evil\n")
    ran = tmp_path / "ran"
    evil = f"touch {ran};"
    for key in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.pager", "pager.diff-tree"):
        world.history.git("config", key, evil)
    world.history.git("config", "diff.orderFile", "/nowhere")
    world.history.git("config", "diff.noprefix", "true")
    world.history.git("config", "color.ui", "always")
    (world.folder / ".gitconfig").write_text(f'[diff]\nexternal = "{evil}"\n')
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "PAGER"):
        monkeypatch.setenv(name, evil)
    for args in ((), ("--stat",)):
        code, lines, _ = diff(*args)
        assert (code, ran.exists()) == (0, False)
        assert any(CODE in line for line in lines[1:])
        assert not any("\x1b" in line for line in lines)
    assert "+VERSION = 1" in diff()[1]


def test_nothing_of_it_steers_a_terminal(diff: Asked) -> None:
    """A tab stays one; bytes that are no UTF-8 are told by their numbers."""
    text = b"\tone\x1b[31m\x07\r\n\xff\xe2\x80\xaetwo\x0bthree\n"
    name = "shared/a\x1b[2Jb\u202e.txt"
    diff.world.history.commit({name: text})
    code, lines, _ = diff()
    assert code == 0
    assert lines[-2:] == ["+\tone\ufffd[31m\ufffd\ufffd", "+\\xff\ufffdtwo\ufffdthree"]
    for line in [*lines, *diff("--stat")[1]]:
        assert line.replace("\t", "").isprintable()


def test_a_file_that_is_no_text(diff: Asked) -> None:
    diff.world.history.commit({"shared/model.bin": os.urandom(64) + b"\0"})
    code, lines, _ = diff()
    assert (code, lines[-1]) == (0, "Binary files /dev/null and b/shared/model.bin differ")


@pytest.mark.heavy
def test_what_is_too_long_is_cut_and_said(diff: Asked) -> None:
    """Whole lines up to the limit; the last line counts what is left out."""
    line = "x" * 99 + "\n"
    count = DIFFERENCE_LIMIT // 200 * 2
    files = {"shared/a": "1\n", "shared/b": line * count, "shared/c": line, "shared/d": line}
    diff.world.history.commit(files)
    code, lines, _ = diff()
    assert (code, lines[-1]) == (0, "left out: the end of what is shown last and 2 more files of 4")
    assert lines[-2] == "+" + line.rstrip()
    assert sum(len(each) + 1 for each in lines[1:-1]) <= DIFFERENCE_LIMIT
    assert "left out" not in "".join(diff("--stat")[1])


def test_too_many_files_are_cut_and_said(diff: Asked) -> None:
    files = {f"shared/{number:04}": "1\n" for number in range(MOST_PATHS + 2)}
    diff.world.history.commit(files)
    for args in ((), ("--stat",)):
        code, lines, _ = diff(*args)
        assert (code, lines[-1]) == (0, "left out: 2 more files of 1,002")
        assert any("shared/0999" in line for line in lines)
        assert not any("shared/1000" in line for line in lines)


def test_a_name_is_no_pattern(diff: Asked) -> None:
    """Only the file itself, not what a pattern or an option of that name would mean."""
    name = "shared/*.txt"
    diff.world.history.commit({name: "1\n", "shared/b.txt": "1\n"})
    diff.world.toml = diff.world.toml.replace('ignore = ["*.md"]', 'ignore = ["b.txt"]')
    assert diff("--stat")[1][1:] == [f" {name} | 1 +", " 1 file changed, 1 insertion(+)"]
