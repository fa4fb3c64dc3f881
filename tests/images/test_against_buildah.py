"""What we read out of a Dockerfile, held against the image that buildah makes of it, file by file.

Every file of the tree holds its own path, so that a file of the image says which one it is.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from drift_gate.relevance.dockerfile.image import Beside, Image, read_image

TREE = (
    "req.txt",
    "hom.txt",
    "home.md",
    "my file.py",
    "data.json",
    "app/a.py",
    "app/b.py",
    "app/readme.md",
    "app/sub/c.py",
    "app/sub/deep/d.txt",
    "lib/x.py",
    "lib/y.txt",
    "libs/z.py",
    "src/one/i.txt",
    "src/two/j.txt",
    "packages/shared/odds.py",
    "packages/shared/sub/p.py",
)
LINKS = {"app/link": "../lib", "linked.txt": "req.txt", "packages/again": "shared"}

#: A name, the Dockerfile behind its FROM scratch, and an ignore file.
CASES: list[tuple[str, str, str]] = [
    ("a folder's content", "COPY app /d/", ""),
    ("a folder without a slash", "COPY app /d", ""),
    ("a file into a folder", "COPY req.txt /d/", ""),
    ("a file by a name", "COPY req.txt /d", ""),
    ("several", "COPY req.txt hom.txt app /d/", ""),
    ("everything", "COPY . /d/", ""),
    ("the root", "COPY / /d/", ""),
    ("a glob", "COPY hom* /d/", ""),
    ("a glob of folders", "COPY src/* /d/", ""),
    ("a glob of two folders", "COPY lib* /d/", ""),
    ("a class", "COPY ho[lm].tx[t] /d/", ""),
    ("a file of a folder", "COPY app/sub/c.py lib/x.py /d/", ""),
    ("the form of a list", 'COPY ["my file.py", "/d/my dir/"]', ""),
    ("to work in", "WORKDIR /w\nWORKDIR d\nCOPY req.txt .", ""),
    ("a relative place", "WORKDIR /w\nCOPY app sub/dir", ""),
    ("a variable", "ARG D=lib\nENV E=$D\nCOPY ${E}/x.py /d/$D/", ""),
    ("a default", "COPY ${NONE:-lib}/x.py /d/", ""),
    ("nothing given", "ARG NONE\nCOPY lib$NONE/x.py /d/", ""),
    ("over a file", "COPY req.txt /d/f\nCOPY hom.txt /d/f", ""),
    ("a link to a folder", "COPY app/link /d/", ""),
    ("a link to a file", "COPY linked.txt /d/", ""),
    ("a path through a link", "COPY app/link/x.py /d/", ""),
    ("ADD as COPY", "ADD app data.json /d/", ""),
    ("stages", "COPY app /d/\nFROM scratch\nCOPY --from=0 /d/sub /e/", ""),
    (
        "a named stage",
        "COPY app /d/\nFROM scratch AS two\nCOPY lib /l/\nFROM two\nCOPY --from=0 /d/a.py /l/",
        "",
    ),
    ("a glob of a stage", "COPY app /d/\nFROM scratch\nCOPY --from=0 /d/*.py /e/", ""),
    ("a stage that is not used", "COPY app /d/\nFROM scratch\nCOPY lib /l/", ""),
    ("a context of its own", "COPY --from=shared . /d/", ""),
    ("a part of a context", "COPY --from=shared sub /d/", ""),
    ("left out by name", "COPY . /d/", "app\nreq.txt\n"),
    ("left out by ending", "COPY . /d/", "*.md\n**/*.txt\n"),
    ("taken back", "COPY . /d/", "app\n!app/a.py\n"),
    ("taken back from all", "COPY . /d/", "**\n!lib\n!app/sub/*.py\n"),
    ("a comment and blanks", "COPY . /d/", "# lib\n\n  lib  \n/hom.txt\n"),
    ("left out and copied", "COPY app /d/", "app/sub\n"),
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree on disk."""
    root = tmp_path_factory.mktemp("context")
    for path in TREE:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    for link, target in LINKS.items():
        (root / link).symlink_to(target)
    return root


def built(context: Path, dockerfile: str, folder: Path) -> dict[str, str]:
    """Where the files of the tree lie in the image that buildah makes."""
    (folder / "Dockerfile").write_text(dockerfile)
    store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
    build = ["build", "--isolation", "chroot", "--network", "host", "--file", str(folder / "Dockerfile")]
    named = ["--build-context", f"shared={context / 'packages/shared'}"]
    out = folder / "out"
    subprocess.run(
        ["buildah", *store, *build, *named, "--output", f"type=local,dest={out}", str(context)],
        check=True,
        capture_output=True,
        text=True,
    )
    files = (path for path in out.rglob("*") if path.is_file() and not path.is_symlink())
    read = {f"/{path.relative_to(out)}": path.read_text() for path in files}
    return {at: path for at, path in read.items() if path in TREE}


def read_by_us(dockerfile: str, ignore: str) -> Image:
    """The same, without building it."""
    texts: Mapping[str, str] = {"Dockerfile": dockerfile} | ({".dockerignore": ignore} if ignore else {})
    image = read_image(
        {*TREE, *LINKS, *texts},
        texts.get,
        dockerfile="Dockerfile",
        context=".",
        links=LINKS,
        beside=Beside(contexts={"shared": "packages/shared"}),
    )
    assert image is not None
    return image


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is the oracle, and is not here")
@pytest.mark.parametrize(
    ("instructions", "ignore"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_image_holds_what_we_say(context: Path, tmp_path: Path, instructions: str, ignore: str) -> None:
    """Each file at its place, and none that we would not count."""
    dockerfile = f"FROM scratch\n{instructions}\n"
    ignore_file = context / ".dockerignore"
    ignore_file.write_text(ignore)
    try:
        there = built(context, dockerfile, tmp_path)
    finally:
        ignore_file.unlink()
    image = read_by_us(dockerfile, ignore)
    assert image.unresolved is None
    assert there, "the case copies something"
    assert set(there.values()) <= image.sources.keys()
    assert {at: path for at, path in image.layout.items() if path in TREE} == there
