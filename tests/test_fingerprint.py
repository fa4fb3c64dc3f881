"""What a worker says of its own files: git's ids, nothing secret, and never a start that fails."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_gate import fingerprint
from drift_gate.evidence.content import in_view
from drift_gate.fingerprint import FRESH_S, Fingerprint, digest, take
from drift_gate.testing import File, HistoryBuilder

MODULE = Path(fingerprint.__file__)
ROOT = Path(__file__).parents[1]
FILES: dict[str, str | bytes | File] = {
    "predictions/worker/worker.py": "VERSION = 0\n",
    "predictions/worker/empty.py": "",
    "predictions/worker/windows.py": b"a = 1\r\nb = 2\r\n",
    "predictions/worker/start.sh": File("#!/bin/sh\n", "100755"),
    "predictions/worker/latest": File("../models/v2", "120000"),
    "predictions/worker/broken": File("nowhere", "120000"),
    "predictions/worker/loop": File("loop", "120000"),
    "predictions/worker/up": File("..", "120000"),
    "predictions/models/v2/model.bin": bytes(range(256)) * 9000,
    "predictions/worker.py": "sorts between the folder and its files\n",
    "shared/größe.py": "unit = 'm'\n",
    "shared/a b\nc.py": "",
    "shared/b\udcff.py": "no UTF-8\n",
    "docs/readme.md": "not in the image\n",
}


@pytest.fixture
def history(tmp_path: Path) -> HistoryBuilder:
    builder = HistoryBuilder(tmp_path / "repo")
    builder.commit(FILES)
    builder.check_out("main")
    return builder


def tree(history: HistoryBuilder, *paths: str) -> dict[str, str]:
    """Path and id of each file of the commit, as git tells them."""
    listed = history.git("ls-tree", "-r", "-z", "HEAD", "--", *paths)
    lines = (line.split("\t", 1) for line in listed.split("\0") if line)
    return {path: mark.split()[2] for mark, path in lines}


class TestTheIds:
    """They are git's."""

    def test_they_are_those_of_the_committed_tree(self, history: HistoryBuilder) -> None:
        """Links, CRLF, empty and executable files, any name: as ``git ls-tree`` has them."""
        taken = take(history.path)
        assert taken.error is None
        assert taken.files == tree(history)
        assert taken.covers == ("",)
        assert not taken.unread

    def test_they_are_those_of_a_sha256_repository(self, tmp_path: Path) -> None:
        builder = HistoryBuilder(tmp_path / "repo", object_format="sha256")
        builder.commit(FILES)
        builder.check_out("main")
        assert take(builder.path, algorithm="sha256").files == tree(builder)

    def test_the_digest_is_one_line_of_git(self, history: HistoryBuilder) -> None:
        """The order of the paths' bytes is git's own, so a person can compute it."""
        argv = ["git", "-c", "core.quotePath=false", "ls-tree", "-r", "-z"]
        argv += ["--format=%(objectname) %(path)", "HEAD"]
        plain = history.commit({"shared/a b\nc.py": None})  # git quotes a line break all the same
        history.check_out("main")
        listed = subprocess.run(argv, cwd=history.path, capture_output=True, check=True).stdout
        assert take(history.path).digest == f"sha256:{hashlib.sha256(listed).hexdigest()}", plain

    def test_the_digest_needs_no_format_of_git(self, history: HistoryBuilder) -> None:
        """Any tree's files and ids give it, whatever their names are."""
        assert digest(tree(history)) == take(history.path).digest

    def test_only_what_is_covered_is_read(self, history: HistoryBuilder) -> None:
        """Folders and single files, each named as the repository names it."""
        taken = take(history.path, covers=("predictions/worker/", "./shared/größe.py"))
        assert taken.files == tree(history, "predictions/worker", "shared/größe.py")
        assert taken.covers == ("predictions/worker/", "shared/größe.py")

    def test_paths_are_the_repositorys(self, history: HistoryBuilder) -> None:
        """The container's folder may be one inside the repository."""
        taken = take(history.path / "predictions", prefix="predictions/")
        assert taken.files == tree(history, "predictions")
        assert taken.covers == ("predictions/",)

    def test_a_name_is_the_same_in_any_locale(self, history: HistoryBuilder) -> None:
        code = (
            "import json, sys; from drift_gate.fingerprint import take\n"
            "assert sys.getfilesystemencoding() != 'utf-8'\n"
            "print(json.dumps(take(sys.argv[1]).files))"
        )
        environ = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", code, str(history.path)]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == tree(history)

    def test_a_changed_byte_is_another_id_and_another_digest(self, history: HistoryBuilder) -> None:
        before = take(history.path)
        (history.path / "predictions/worker/worker.py").write_text("VERSION = 1\n")
        after = take(history.path)
        changed = {path for path in before.files if before.files[path] != after.files[path]}
        assert changed == {"predictions/worker/worker.py"}
        assert before.digest != after.digest

    def test_a_link_whose_target_has_the_same_content_is_not_the_file(self, tmp_path: Path) -> None:
        """What an image holds instead of a file is seen."""
        (tmp_path / "a").write_text("b")
        (tmp_path / "c").symlink_to("b")
        files = take(tmp_path).files
        assert files["a"] == files["c"]  # git, too, tells them apart by mode alone
        (tmp_path / "c").unlink()
        (tmp_path / "c").symlink_to("a")
        assert take(tmp_path).files["c"] != files["a"]


class TestWhatIsLeftOut:
    LEFT_OUT = (
        *(".env", ".env.local", "prod.env", "conf/.env", "tls/server.pem", "SERVER.PEM", "private.key"),
        *("my-service-account.json", "gcp_credentials.json", "id_rsa", "id_ed25519.pub", ".netrc"),
        *("secrets.yaml", "terraform.tfvars", "deploy-key.json", ".git/config", "x/__pycache__/a.pyc"),
        *("a.pyc", ".venv/bin/activate", "node_modules/a/b.js", ".DS_Store"),
    )

    def test_secrets_and_litter_are(self, tmp_path: Path) -> None:
        """Neither their ids nor their names show, and nothing says that the files are not there."""
        for name in self.LEFT_OUT:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("hunter2")
        (tmp_path / "kept.py").write_text("")
        taken = take(tmp_path)
        assert list(taken.files) == ["kept.py"]
        unread = json.dumps(taken.document()["unread"])
        seen = in_view(taken.covers, taken.ignored, taken.unread)
        assert [name for name in self.LEFT_OUT if name in unread or seen(name)] == []

    def test_a_secret_that_is_covered_by_name_is_too(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("PASSWORD=hunter2")
        assert take(tmp_path, covers=(".env",)).files == {}

    @pytest.mark.parametrize("name", ["secrets.py", "environment.py", "keys.py", "tokens/secret_santa.py"])
    def test_code_with_a_likely_name_is_not(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
        assert list(take(tmp_path).files) == [name]

    def test_what_the_caller_names_is_in_addition(self, tmp_path: Path) -> None:
        """A name fits anywhere, a path from the repository's root; the rest stays."""
        for name in ("data/a.csv", "lib/data/b.csv", "models/big/x.bin", "lib/models/big/x", "c.log", ".env"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
        taken = take(tmp_path, prefix="app", ignore=("data/", "/app/models/big/", "*.LOG"))
        assert list(taken.files) == ["app/lib/models/big/x"]
        view = in_view(taken.covers, taken.ignored, taken.unread)
        assert not view("app/models/big/deep/down")
        assert view("app/lib/models/big/y")
        assert not view("lib/other.py"), "outside of what was looked through"

    def test_what_is_mounted_is_not_read(self) -> None:
        """Cloud Run mounts secrets as files: a mount is nothing that the image holds."""
        table = Path("/proc/self/mountinfo")
        points = table.read_text().splitlines() if table.exists() else []
        below = {
            line.split()[4].removeprefix("/dev/") for line in points if line.split()[4].startswith("/dev/")
        }
        names = {name for name in below if "/" not in name and "\\" not in name}
        if not names:
            pytest.skip("nothing is mounted below /dev here")
        taken = take("/dev")
        assert names <= set(taken.unread)
        assert not {path for path in taken.files if path.split("/")[0] in names}
        view = in_view(taken.covers, taken.ignored, taken.unread)
        assert not any(view(f"{name}/x") for name in names)


class TestWhatCannotBeRead:
    """It is named, and never passes for absent."""

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_and_a_folder_without_permission(self, tmp_path: Path) -> None:
        for name in ("closed/a.py", "open/b.py"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text("")
        (tmp_path / "open/b.py").chmod(0)
        (tmp_path / "closed").chmod(0)
        try:
            taken = take(tmp_path)
        finally:
            (tmp_path / "closed").chmod(0o700)
        assert taken.unread == {"closed/": "Permission denied", "open/b.py": "Permission denied"}
        view = in_view(taken.covers, taken.ignored, taken.unread)
        assert [view("closed/a.py"), view("open/b.py"), view("open/c.py")] == [False, False, True]

    def test_one_that_is_too_large_is_not_waited_for(self, tmp_path: Path) -> None:
        with (tmp_path / "model.bin").open("wb") as file:
            file.truncate(fingerprint.LARGEST_FILE + 1)
        assert take(tmp_path).unread == {"model.bin": "larger than 67,108,864 bytes"}

    def test_one_of_the_largest_size_is_read_in_pieces(self, tmp_path: Path) -> None:
        with (tmp_path / "model.bin").open("wb") as file:
            file.truncate(3 * fingerprint.CHUNK + 1)
        size = 3 * fingerprint.CHUNK + 1
        whole = hashlib.sha1(b"blob %d\0" % size + bytes(size), usedforsecurity=False).hexdigest()
        assert take(tmp_path).files == {"model.bin": whole}

    def test_one_that_lies_about_its_length(self) -> None:
        """Files of /proc say 0 and hold more: read before its length was known, an id would be wrong."""
        taken = take("/proc/self", covers=("status", "comm"))
        assert taken.files == {}
        assert taken.unread == dict.fromkeys(("comm", "status"), "changed while it was read")

    def test_files_that_come_and_go_are_no_error(self, tmp_path: Path) -> None:
        """Each is hashed, absent or named as unread; what stays is right."""
        (tmp_path / "stays.py").write_text("")
        over = threading.Event()

        def churn() -> None:
            while not over.is_set():
                for number in range(20):
                    (tmp_path / f"log{number}").write_bytes(b"x" * (number * 1000))
                for number in range(20):
                    (tmp_path / f"log{number}").unlink()

        busy = threading.Thread(target=churn)
        busy.start()
        try:
            looks = [take(tmp_path) for _ in range(50)]
        finally:
            over.set()
            busy.join()
        assert [look.error for look in looks] == [None] * 50
        assert {look.files["stays.py"] for look in looks} == {"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}

    def test_a_pipe_holds_nobody_up(self, tmp_path: Path) -> None:
        """Git holds no pipes; to open one would wait for a writer."""
        os.mkfifo(tmp_path / "pipe")
        taken = take(tmp_path)
        assert (taken.files, taken.unread, taken.error) == ({}, {}, None)

    def test_nor_does_one_that_takes_a_files_place(self, tmp_path: Path) -> None:
        """Between the look at a name and the reading: neither a pipe nor a link to elsewhere is read."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to(__file__)
        assert (
            fingerprint._blob_of(str(tmp_path / "pipe"), "sha1") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        )
        with pytest.raises(OSError, match="symbolic links"):
            fingerprint._blob_of(str(tmp_path / "link"), "sha1")


class TestAStartIsNeverPrevented:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"root": "/nowhere"}, "No such file"),
            ({"root": __file__}, "is no folder"),
            ({"covers": ("../outside",)}, "no path below the root"),
            ({"covers": ("/etc",)}, "no path below the root"),
            ({"covers": "predictions"}, "`covers` is a list"),
            ({"ignore": "*.csv"}, "`ignore` is a list"),
            ({"prefix": "../app"}, "no path below the root"),
            ({"algorithm": "md5"}, "no object format 'md5'"),
            ({"root": None}, "NoneType"),
            ({"within": -1.0}, "not read within"),
            ({"root": "a\0b"}, "null"),
        ],
    )
    def test_the_document_says_why_there_is_none(
        self, arguments: dict[str, object], sentence: str, tmp_path: Path
    ) -> None:
        """Nothing is claimed of any file then; what the build was stamped with stays."""
        (tmp_path / "a.py").write_text("")
        taken = take(**{"root": tmp_path, "commit": "abc1234", **arguments})  # type: ignore[arg-type] # on purpose
        assert taken.error is not None
        assert sentence in taken.error
        assert (taken.digest, taken.files, taken.covers) == (None, {}, ())
        assert taken.commit == "abc1234"
        assert json.loads(fingerprint.answer(taken)[2])["error"] == taken.error

    def test_too_many_files_are_an_error_and_not_a_part_of_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A list that stops somewhere would call the rest absent."""
        monkeypatch.setattr(fingerprint, "FILES_AT_MOST", 3)
        for number in range(4):
            (tmp_path / f"{number}.py").write_text("")
        assert "more than 3 files" in str(take(tmp_path).error)
        (tmp_path / "3.py").unlink()
        assert len(take(tmp_path).files) == 3

    def test_a_list_that_nobody_would_read_is_an_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "/".join(["n" * 250] * 8)
        folder.mkdir(parents=True)
        for number in range(1_000):
            (folder / f"{number}").write_text("")
        assert "takes more than 1,900,000 bytes" in str(take(tmp_path).error)

    def test_a_tree_deeper_than_pythons_stack_is_read(self, tmp_path: Path) -> None:
        deep = str(tmp_path)
        for _ in range(sys.getrecursionlimit()):
            deep += "/d"
            os.mkdir(deep)
        Path(deep + "/a.py").write_text("")
        taken = take(tmp_path)
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # shutil's way is recursive
        assert (len(taken.files), taken.error) == (1, None)


class TestWhatIsNotThere:
    def test_a_covered_path_that_does_not_exist_is_said_to_be_absent(self, tmp_path: Path) -> None:
        """As a file and as a folder: an image without it lacks whatever the repository has there."""
        taken = take(tmp_path, covers=("worker", "a/b"))
        assert taken.covers == ("a/b", "a/b/", "worker", "worker/")
        view = in_view(taken.covers, taken.ignored, taken.unread)
        assert [view("worker"), view("worker/a.py"), view("a/b/c"), view("a/c")] == [True, True, True, False]


class TestWhatTheBuildClaims:
    @pytest.mark.parametrize(
        ("commit", "dirty", "expected"),
        [
            ("4aa0c3b", None, ("4aa0c3b", False)),
            ("4aa0c3b-dirty", None, ("4aa0c3b", True)),
            ("4aa0c3b-dirty", False, ("4aa0c3b", True)),
            ("4aa0c3b", True, ("4aa0c3b", True)),
            (" 4aa0c3b\n", None, ("4aa0c3b", False)),
            ("", None, (None, False)),
            (None, None, (None, False)),
            ("x" * 999, None, ("x" * 200, False)),
        ],
    )
    def test_commit_and_dirty(
        self, commit: str | None, dirty: bool | None, expected: tuple[str | None, bool], tmp_path: Path
    ) -> None:
        taken = take(tmp_path, commit=commit, dirty=dirty)
        assert (taken.commit, taken.dirty) == expected

    def test_cloud_runs_names_come_from_the_environment(self, tmp_path: Path) -> None:
        environ = {"K_SERVICE": "prediction-worker", "K_REVISION": "prediction-worker-00041-abc"}
        taken = take(tmp_path, environ=environ)
        assert (taken.service, taken.revision) == tuple(environ.values())
        assert (take(tmp_path, environ={"K_REVISION": ""}).revision, take(tmp_path).service) == (None, None)

    def test_the_time_is_utc(self, tmp_path: Path) -> None:
        now = datetime(2026, 2, 5, 17, 37, 12, tzinfo=timezone(timedelta(hours=1)))
        assert take(tmp_path, now=now).document()["started_at"] == "2026-02-05T16:37:12.000Z"
        assert abs(take(tmp_path).started_at - datetime.now(UTC)) < timedelta(minutes=1)


class TestTheFilesOfNow:
    """``?fresh=1``: an instance may be changed under the program, by a shell or a tool that syncs files."""

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fingerprint, "FRESH_LIMIT_S", 60.0)  # this machine may be busy

    def taken(self, folder: Path) -> tuple[Fingerprint, list[float]]:
        (folder / "a.py").write_text("1")
        (folder / "b.py").write_text("1")
        clock = [0.0]
        return take(folder, prefix="w", clock=lambda: clock[0], within=60), clock

    def told(self, taken: Fingerprint, *, fresh: bool = True) -> Any:
        return json.loads(fingerprint.answer(taken, fresh=fresh)[2])

    def test_what_changed_since_the_start_is_named(self, tmp_path: Path) -> None:
        taken, clock = self.taken(tmp_path)
        (tmp_path / "a.py").write_text("2")
        (tmp_path / "b.py").unlink()
        (tmp_path / "c.py").write_text("3")
        clock[0] = FRESH_S
        now, start = self.told(taken), self.told(taken, fresh=False)
        assert now["changed"] == ["w/a.py", "w/b.py", "w/c.py"]
        assert sorted(now["files"]) == ["w/a.py", "w/c.py"]
        assert now["digest"] == digest(now["files"])
        assert now["taken_at"] > now["started_at"] == start["taken_at"]
        assert (start["changed"], start["files"]) == ([], dict(taken.files))

    @pytest.mark.heavy
    def test_it_is_looked_at_once_in_a_while(self, tmp_path: Path) -> None:
        """Whoever may ask must not keep a worker busy."""
        taken, clock = self.taken(tmp_path)
        answers = []
        for seconds, text in [
            (FRESH_S - 0.1, "2"),
            (FRESH_S, "3"),
            (2 * FRESH_S - 0.1, "4"),
            (2 * FRESH_S, "1"),
        ]:
            (tmp_path / "a.py").write_text(text)
            clock[0] = seconds
            answers.append(self.told(taken))
        assert [bool(each["changed"]) for each in answers] == [False, True, True, False]
        assert answers[1] == answers[2]
        assert answers[3]["files"] == dict(taken.files)

    def test_where_the_files_cannot_be_read_now_the_last_answer_stands(self, tmp_path: Path) -> None:
        (tmp_path / "w").mkdir()
        taken, clock = self.taken(tmp_path / "w")
        shutil.rmtree(tmp_path / "w")
        clock[0] = FRESH_S
        assert self.told(taken) == self.told(taken, fresh=False)

    def test_one_that_was_not_taken_stays_so(self, tmp_path: Path) -> None:
        assert self.told(take(tmp_path / "nowhere"))["error"] is not None


class TestWhatIsLoaded:
    def loaded(self, folder: Path, code: str) -> list[str]:
        for name in ("run.py", "early.py", "late.py", "package/__init__.py", "package/inner.py", "unused.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        (folder / "run.py").write_text(
            "import sys, json, early, fingerprint\n"
            f"taken = fingerprint.take(sys.path[0], prefix='w')\n{code}\n"
            "print(json.dumps(taken.document()['loaded']))"
        )
        shutil.copy(MODULE, folder / "fingerprint.py")
        argv = [sys.executable, "run.py"]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
        found: list[str] = json.loads(done.stdout)
        return [path for path in found if path not in ("w/run.py", "w/early.py", "w/fingerprint.py")]

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("", []),
            ("import late", ["w/late.py"]),
            ("import package.inner", ["w/package/__init__.py", "w/package/inner.py"]),
            ("import late; del sys.modules['late']", []),
            ("sys.modules['odd'] = object(); sys.modules['none'] = None; import late", ["w/late.py"]),
            ("import types; m = types.ModuleType('m'); m.__file__ = 5; sys.modules['m'] = m", []),
            ("import types; m = types.ModuleType('m'); m.__file__ = 'a\\0b'; sys.modules['m'] = m", []),
            ("import types; m = types.ModuleType('m'); m.__file__ = '/etc/passwd'; sys.modules['m'] = m", []),
        ],
    )
    def test_the_files_of_the_modules_so_far(self, code: str, found: list[str], tmp_path: Path) -> None:
        assert self.loaded(tmp_path, code) == found

    def test_a_module_that_loads_late_is_left_alone(self, tmp_path: Path) -> None:
        """To ask it for its file in the usual way would load it."""
        (tmp_path / "late.py").write_text("raise SystemExit('loaded')")
        code = (
            "from importlib import util\n"
            "spec = util.find_spec('late'); spec.loader = util.LazyLoader(spec.loader)\n"
            "sys.modules['late'] = module = util.module_from_spec(spec); spec.loader.exec_module(module)"
        )
        assert self.loaded(tmp_path, code) == ["w/late.py"]

    def test_behind_a_linked_root(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "linked").symlink_to("real")
        assert self.loaded(tmp_path / "linked", "import late") == ["w/late.py"]


def test_the_document_is_json_and_names_each_byte_of_a_path() -> None:
    """Two names that differ in a byte that is no UTF-8 are two keys, also after JSON."""
    files = dict(zip(["a\udcff", "a\udcfe", "a\\xff"], ["1" * 40, "2" * 40, "3" * 40], strict=True))
    taken = Fingerprint(datetime(2026, 2, 5, tzinfo=UTC), files=files, digest=digest(files))
    status, headers, body = fingerprint.answer(taken)
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (
        200,
        "no-store",
        "application/json",
    )
    document = json.loads(body.decode("ascii"))
    assert document["files"] == files
    assert document["schema_version"] == 1
    assert digest(document["files"]) == document["digest"]


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.sampled_from(["a" * 40, "b" * 40]), max_size=6))
def test_no_order_and_no_name_changes_the_digest(files: dict[str, str]) -> None:
    """It is a function of the pairs alone."""
    paths = {path.encode("utf-8", "replace").decode().replace("\0", "") or "x": files[path] for path in files}
    again = dict(reversed(paths.items()))
    assert digest(paths) == digest(again)
    for path in paths:
        assert digest({**paths, path: "c" * 40}) != digest(paths)


class TestAlone:
    """The file is copied into images without the rest of the gate."""

    def test_it_needs_nothing_but_the_standard_library(self, tmp_path: Path) -> None:
        shutil.copy(MODULE, tmp_path / "worker_fingerprint.py")
        code = (
            "import sys; before = set(sys.modules)\n"
            "import worker_fingerprint as f\n"
            "taken = f.take('.', environ={})\n"
            "assert list(taken.files) == ['worker_fingerprint.py'], taken\n"
            "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
            "print(*sorted(new - set(sys.stdlib_module_names) - {'worker_fingerprint'}))\n"
        )
        argv = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{code}"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.stderr) == ("", "")

    def test_an_older_python_can_read_it(self) -> None:
        """A worker may run Python 3.9."""
        ast.parse(MODULE.read_text(encoding="utf-8"), feature_version=(3, 9))
