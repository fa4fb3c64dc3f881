"""What a run loads is noticed, whatever starts it and however it ends."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.limits import OVER_S

from drift_gate import fingerprint
from drift_gate.errors import DriftConfigError
from drift_gate.evidence import trace_hook
from drift_gate.wiring.trace import Traced, run

FILES = {
    "main.py": "import package.inner\n",
    "package/__init__.py": "",
    "package/inner.py": "",
    "other.py": "",
    "data.txt": "",
    "environment/sitecustomize.py": "import package\nVALUE = 5\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def traced(folder: Path, *words: str, code: str = "", environ: Mapping[str, str] | None = None) -> Traced:
    command = [sys.executable, "-c", code] if code else [*words]
    return run(command, folder, {**os.environ, **(environ or {})}, cwd=folder)


class TestWhatIsNoticed:
    @pytest.mark.parametrize(
        "command",
        [("main.py",), ("-m", "main"), ("-c", "import main"), ("-c", "exec(open('main.py').read())")],
    )
    def test_a_script_a_module_and_what_they_import(self, command: Sequence[str], folder: Path) -> None:
        told = traced(folder, sys.executable, *command)
        assert told.files == ("main.py", "package/__init__.py", "package/inner.py")
        assert (told.interpreters, told.code) == (1, 0)

    def test_a_module_that_was_compiled_before(self, folder: Path) -> None:
        """Then Python opens what it kept, and not the source."""
        first, second = (
            traced(folder, sys.executable, "-m", "main", environ={"PYTHONDONTWRITEBYTECODE": ""})
            for _ in range(2)
        )
        assert list(folder.rglob("*.pyc"))
        assert first == second

    @pytest.mark.parametrize(
        ("code", "file"),
        [
            ("open('data.txt')", "data.txt"),
            ("import pathlib; pathlib.Path('data.txt').read_bytes()", "data.txt"),
            ("import os; os.open(b'data.txt', os.O_RDONLY)", "data.txt"),
            ("open('data.txt', 'r+')", "data.txt"),
            ("import os; os.chdir('package'); open('inner.py')", "package/inner.py"),
            ("import sqlite3; sqlite3.connect('data.txt')", "data.txt"),
            ("import subprocess; subprocess.run(['/bin/cat', 'data.txt'])", "data.txt"),
            ("import os; os.posix_spawn('/bin/cat', ['cat', 'data.txt'], os.environ)", "data.txt"),
            ("import os; os.execv('/bin/cat', ['cat', 'data.txt'])", "data.txt"),
        ],
    )
    def test_whatever_is_opened_for_reading(self, code: str, file: str, folder: Path) -> None:
        assert traced(folder, code=code).files == (file,)

    @pytest.mark.parametrize(
        "code", ["open('data.txt', 'w')", "open('/etc/hostname')", "open(0, closefd=False)"]
    )
    def test_not_what_is_written_or_lies_elsewhere(self, code: str, folder: Path) -> None:
        assert traced(folder, code=code).files == ()

    def test_not_what_a_fingerprint_hashes(self, folder: Path) -> None:
        """It opens whatever there is, and nothing of it is loaded by that."""
        (folder / "fingerprint.py").write_text(Path(fingerprint.__file__).read_text())
        told = traced(folder, code="import fingerprint; assert len(fingerprint.take('.').files) > 5")
        assert told.files == ("fingerprint.py",)

    def test_a_file_behind_a_link_by_both_names(self, folder: Path) -> None:
        (folder / "linked").symlink_to("package")
        told = traced(folder, code="open('linked/inner.py')")
        assert told.files == ("linked/inner.py", "package/inner.py")

    def test_a_name_that_is_no_utf8(self, folder: Path) -> None:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
        assert traced(folder, code="open(b'caf\\xe9')").files == ("caf\udce9",)


class TestWhoeverLoads:
    @pytest.mark.parametrize(
        ("code", "interpreters"),
        [
            ("import os\nif os.fork() == 0:\n import other\n os._exit(0)\nos.wait()", 1),
            ("import subprocess, sys; subprocess.run([sys.executable, '-m', 'other'])", 2),
            ("import os; os.system('python3 -m other')", 2),
            (
                "from threading import Thread\n"
                "t = Thread(target=__import__, args=['other'])\nt.start(); t.join()",
                1,
            ),
        ],
    )
    def test_children_and_threads(self, code: str, interpreters: int, folder: Path) -> None:
        environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        told = traced(folder, code=code, environ=environ)
        assert ("other.py" in told.files, told.interpreters) == (True, interpreters)

    def test_a_spawned_process_of_multiprocessing(self, folder: Path) -> None:
        code = (
            "import multiprocessing, main\n"
            "if __name__ == '__main__':\n"
            " context = multiprocessing.get_context('spawn')\n"
            " p = context.Process(target=__import__, args=['other']); p.start(); p.join()"
        )
        (folder / "spawning.py").write_text(code)
        assert "other.py" in traced(folder, sys.executable, "spawning.py").files

    def test_a_program_that_closes_whatever_is_open(self, folder: Path) -> None:
        assert traced(folder, code="import os; os.closerange(3, 99); import other").files == ("other.py",)

    def test_behind_a_shell_script(self, folder: Path) -> None:
        (folder / "start.sh").write_text(f"#!/bin/sh\nexec {sys.executable} -m main\n")
        assert "package/inner.py" in traced(folder, "sh", "start.sh").files

    def test_a_search_path_that_was_set_before_and_its_own_sitecustomize(self, folder: Path) -> None:
        """Both are as they would be; of the one for the trace nothing is left."""
        code = (
            "import sitecustomize, sys\n"
            "assert sitecustomize.VALUE == 5 and not any('drift-trace' in each for each in sys.path)"
        )
        told = traced(folder, code=code, environ={"PYTHONPATH": "environment:."})
        assert (told.files, told.code) == (("environment/sitecustomize.py", "package/__init__.py"), 0)

    def test_a_python_that_takes_no_environment_is_not_seen(self, folder: Path) -> None:
        assert traced(folder, sys.executable, "-I", "main.py").interpreters == 0


class TestHowItEnds:
    def test_one_that_is_killed_has_told_before(self, folder: Path) -> None:
        told = traced(folder, code="import other, os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert (told.files, told.code) == (("other.py",), -signal.SIGKILL)

    def test_its_own_exit_code(self, folder: Path) -> None:
        assert traced(folder, code="raise SystemExit(7)").code == 7

    def test_after_its_time_it_is_ended_with_all_that_it_started(self, folder: Path) -> None:
        code = "import subprocess, sys; subprocess.run(['sleep', '600'])"
        told = run([sys.executable, "-c", code], folder, os.environ, seconds=OVER_S)
        assert told.code is None

    def test_a_child_that_outlives_it_is_ended(self, folder: Path) -> None:
        code = "import subprocess; p = subprocess.Popen(['sleep', '600']); open('pid', 'w').write(str(p.pid))"
        traced(folder, code=code)
        child = int((folder / "pid").read_text())
        assert _gone(child)

    def test_a_command_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(DriftConfigError, match=r"no-such-program cannot be started: No such file"):
            run(["no-such-program"], folder, os.environ)


def _gone(process: int) -> bool:
    """Whether ``process`` has ended; whoever adopts it may take its time to say so."""
    for _ in range(600):
        with contextlib.suppress(FileNotFoundError):
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                time.sleep(0.1)
                continue
        return True
    return False


def test_what_goes_wrong_while_noting_does_not_reach_the_program(tmp_path: Path) -> None:
    def failing(text: bytes) -> None:
        raise OSError(text)

    notice = trace_hook.hook(str(tmp_path), failing)
    notice("open", (str(tmp_path / "x"), "r", 0))
    notice("open", (object(), "r", 0))
    notice("open", ())


@pytest.mark.heavy
def test_a_file_is_noted_once_and_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    noted: list[bytes] = []
    notice = trace_hook.hook(str(tmp_path), noted.append)
    for _ in range(2):
        notice("open", (str(tmp_path / "x"), "r", 0))
        notice("import", ("m", str(tmp_path / "m.so"), None, None, None))
        notice("import", ("m", None, None, None, None))
        notice("unheard.of", (1, 2))
    assert noted == [b"x", b"m.so"]
    for number in range(trace_hook.REMEMBERED):
        notice("open", (f"/elsewhere/{number}", "r", 0))
    notice("open", (str(tmp_path / "x"), "r", 0))
    assert noted == [b"x", b"m.so", b"x"]


def test_an_older_python_can_read_it(tmp_path: Path) -> None:
    """The program that is traced may be older than the gate's own Python."""
    ast.parse(Path(trace_hook.__file__).read_text(), feature_version=(3, 8))
