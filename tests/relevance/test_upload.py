"""What gcloud sends of a folder, held against gcloud itself where it is at hand."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

from drift_gate.relevance.dockerfile.upload import Upload, UploadError, asked, upload_of

FILES = ("Dockerfile", "a.json", "lib/b.json", "lib/x/c.py", "docs/d.md", "worker/main.py", "worker/w.json")


def uploaded(how: str = "auto", context: str = ".", folders: Collection[str] = (), **texts: str) -> Upload:
    """What is decided over ``FILES`` and these: ``__`` stands for a slash, a leading ``_`` for a dot."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    return upload_of({*FILES, *folders, *named}, named.get, context, folders, how)


def left_out(upload: Upload, more: Collection[str] = ()) -> set[str]:
    """The paths that are not sent."""
    return {path for path in (*FILES, *more) if upload.left_out(path)}


class TestWhichFileDecides:
    def test_gclouds_own_is_found(self) -> None:
        """It counts, and what it names is left out."""
        upload = uploaded(_gcloudignore=".git\n*.json\n", _gitignore="*.md\n")
        assert (upload.deciding, left_out(upload)) == (
            (".gcloudignore",),
            {"a.json", "lib/b.json", "worker/w.json"},
        )

    def test_a_file_that_it_includes_counts_too(self) -> None:
        """One file beside it, once."""
        upload = uploaded(
            _gcloudignore="# !include:.gitignore\n!a.json\n", _gitignore="*.json\n#!include:x\n"
        )
        assert upload.deciding == (".gcloudignore", ".gitignore")
        assert left_out(upload) == {"lib/b.json", "worker/w.json"}

    @pytest.mark.parametrize("included", ["gone", "lib/x", " .gitignore"])
    def test_what_gcloud_would_refuse_is_an_error(self, included: str) -> None:
        """It sends nothing at all then."""
        with pytest.raises(UploadError, match="not beside it"):
            uploaded(_gcloudignore=f"#!include:{included}\n", _gitignore="")

    def test_without_it_the_gitignore_decides_where_gcloud_is_declared(self) -> None:
        """And a list of gcloud's own."""
        upload = uploaded("gcloud", _gitignore="*.json\n")
        assert upload.deciding == (".gitignore",)
        assert left_out(upload, [".gitignore"]) == {"a.json", "lib/b.json", "worker/w.json", ".gitignore"}
        assert left_out(uploaded("gcloud")) == set()

    def test_a_build_configuration_alone_leaves_nothing_out(self) -> None:
        """A trigger clones: what gcloud would not send is in its build. The gitignore counts all the same."""
        upload = uploaded(cloudbuild_yaml="", _gitignore="*.json\n")
        assert (upload.deciding, left_out(upload)) == ((".gitignore",), set())
        assert uploaded(cloudbuild_yaml="").deciding == ()
        assert uploaded(_gitignore="*.json\n").deciding == ()

    def test_git_means_all_that_git_holds(self) -> None:
        """Declared by whoever builds by a trigger."""
        assert uploaded("git", _gcloudignore="*\n").deciding == ()

    def test_the_folder_that_is_sent_is_that_of_the_context_or_the_whole(self) -> None:
        """A pattern counts from there, and nothing outside is touched."""
        inner = uploaded(context="worker", worker___gcloudignore="/w.json\n/main.py\n", _gcloudignore="*\n")
        assert (inner.deciding, left_out(inner)) == (
            ("worker/.gcloudignore",),
            {"worker/main.py", "worker/w.json"},
        )
        assert left_out(uploaded(context="worker", _gcloudignore="/worker/w.json\n")) == {"worker/w.json"}
        assert list(asked("worker")) == [
            "worker/.gcloudignore",
            "worker/.gitignore",
            ".gcloudignore",
            ".gitignore",
        ]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("x/c.py", {"lib/x/c.py"}),
        ("/x/c.py", set()),
        ("lib/", {"lib/b.json", "lib/x/c.py"}),
        ("main.py/", set()),
        ("**/x", {"lib/x/c.py"}),
        ("lib/**", {"lib/b.json", "lib/x/c.py"}),
        ("*/w.json", {"worker/w.json"}),
        ("*/c.py", set()),
        ("\\*.md", {"docs/d.md"}),
        ("*.md\\", set()),
        ("docs  ", {"docs/d.md"}),
        ("docs/ ", set()),
        ("lib\n!lib/b.json", {"lib/b.json", "lib/x/c.py"}),
        ("*.json\n!b.json", {"a.json", "worker/w.json"}),
        ("\n#lib\n/\n!", set()),
    ],
)
def test_a_pattern_as_gcloud_reads_it(line: str, out: set[str]) -> None:
    """Not as git does: a slash inside binds to nothing, a backslash quotes no wildcard."""
    assert left_out(uploaded(_gcloudignore=line + "\n")) == out


def test_a_link_and_a_submodule_that_are_folders() -> None:
    """To gcloud they are what they lead to."""
    upload = uploaded(folders=["vendor", "linked"], _gcloudignore="vendor/\nlinked/\nworker/main.py/\n")
    assert left_out(upload, ["vendor", "linked"]) == {"vendor", "linked"}


_NAMES = ("a", "b", "ab", "a.py", "b.md", "c", "[a]", "x y")
_PARTS = ("a", "b", "*", "**", "a*", "*.py", "?", "[ab]", "[!a]", "\\*", "ab", "x\\ y", "x y", "***", "[^a]")


def _random_line(choose: random.Random) -> str:
    parts = "/".join(choose.choices(_PARTS, k=choose.choice([1, 1, 2, 3])))
    ends = choose.choice(["", "", "/", " ", "\\"])
    return choose.choice(["", "", "!"]) + choose.choice(["", "", "/"]) + parts + ends


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is the oracle, and is not here")
def test_gcloud_sends_the_same_files(tmp_path: Path) -> None:
    """`gcloud meta list-files-for-upload` over a tree of made-up names, for made-up ignore files."""
    choose = random.Random(20261129)  # noqa: S311 (the same patterns each time, no secret)
    paths = {"/".join(choose.choices(_NAMES, k=choose.choice([1, 2, 3, 4]))) for _ in range(60)}
    paths = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    root = tmp_path / "sent"
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for _ in range(6):
        text = "\n".join(_random_line(choose) for _ in range(choose.choice([1, 2, 3]))) + "\n"
        (root / ".gcloudignore").write_text(text)
        listed = subprocess.run(
            ["gcloud", "meta", "list-files-for-upload", str(root)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        upload = upload_of({*paths, ".gcloudignore"}, {".gcloudignore": text}.get, ".", (), "auto")
        ours = {path for path in paths if not upload.left_out(path)}
        assert ours == set(listed.stdout.splitlines()) - {".gcloudignore"}, text
