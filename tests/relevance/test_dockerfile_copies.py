"""Dockerfiles against files that are really copied, by an oracle of the reference's sentences."""

from __future__ import annotations

import fnmatch
import posixpath
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from drift_gate.relevance.dockerfile.image import read_image

_NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.txt"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_SOURCES = st.one_of(
    _PATHS, st.sampled_from([".", "a/", "*", "a*", "*.py", "*/*", "a/?", "./b", "[ab]", "../a"])
)
_TARGETS = st.sampled_from(["/t/", "/t/u/", ".", "./", "v/", "/t/w.x"])


def _as_tree(paths: list[str]) -> list[str]:
    """No path can be a file and a folder."""
    return sorted({path for path in paths if not any(other.startswith(f"{path}/") for other in paths)})


def _match(root: Path, source: str) -> list[Path]:
    """The paths that a source names, level by level, with the standard library's own matcher."""
    found = [root]
    for part in [part for part in posixpath.normpath("/" + source).split("/") if part]:
        below = [child for each in found if each.is_dir() for child in sorted(each.iterdir())]
        found = [child for child in below if fnmatch.fnmatchcase(child.name, part)]
    return found


def _really_copy(context: Path, image: Path, sources: list[str], target: str) -> None:
    into = image / posixpath.normpath(posixpath.join("/w", target)).lstrip("/")
    names = [path for source in sources for path in _match(context, source)]
    for path in names:
        if path.is_dir():
            shutil.copytree(path, into, copy_function=shutil.copyfile, dirs_exist_ok=True)
            continue
        as_folder = (
            target.endswith("/") or target == "." or len(sources) > 1 or len(names) > 1 or into.is_dir()
        )
        place = into / path.name if as_folder else into
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


@settings(deadline=None)
@given(
    files=st.lists(_PATHS, min_size=3, max_size=10).map(_as_tree),
    copies=st.lists(st.tuples(st.lists(_SOURCES, min_size=1, max_size=2), _TARGETS), min_size=1, max_size=3),
)
def test_the_layout_is_what_copying_makes(files: list[str], copies: list[tuple[list[str], str]]) -> None:
    """Each file holds its own path, so the copied tree tells where every file came from."""
    text = "\n".join(
        ["FROM scratch", "WORKDIR /w", *(f"COPY {' '.join(s)} {target}" for s, target in copies)]
    )
    image = read_image(
        {*files, "Dockerfile"},
        {"Dockerfile": text, ".dockerignore": ""}.get,
        dockerfile="Dockerfile",
        context=".",
    )
    assert image is not None
    ours = {path: source for path, source in image.layout.items() if source != "Dockerfile"}
    with TemporaryDirectory() as folder:
        context, root = Path(folder, "context"), Path(folder, "image")
        (root / "w").mkdir(parents=True)
        for name in files:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_text(name)
        try:
            for sources, target in copies:
                _really_copy(context, root, sources, target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, shutil.Error):
            reject()  # a file where a folder is, or the reverse: docker refuses to build that
        theirs = {
            f"/{path.relative_to(root)}": path.read_text()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
    assert ours == theirs
