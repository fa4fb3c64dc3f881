"""What starts or builds without an import: hooks of the interpreter, projects, and what RUN names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drift_gate.facts import Entry
from drift_gate.relevance.narrowing import image_of, select
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.python.literals import literals_of, words_of
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection, Tree

FILES = {"app/main.py": "import lib\n", "app/lib.py": "", "app/idle.py": "", "app/deep.py": ""}
BEGINNING = "FROM python\nWORKDIR /app\nCOPY app/ ./\n"


def selected(lines: str, files: Mapping[str, str], rules: Rules | None = None) -> Selection:
    """What counts of FILES and ``files`` in an image with further lines, which starts ``main.py``."""
    texts = {**FILES, **files, "Dockerfile": f"{BEGINNING}{lines}\nCMD python main.py\n"}
    rules = rules or Rules(dockerfile="Dockerfile")
    tree = Tree({path: Entry("100644", path) for path in texts}, texts.get)

    def literals(path: str) -> frozenset[str]:
        return (literals_of if path.endswith(".py") else words_of)(texts[path].encode())

    return select(
        rules, image_of(rules, tree), tree.files, lambda path: facts_of(texts[path].encode()), literals
    )


# further lines of the Dockerfile, further files, what counts by them
ROWS: list[tuple[str, dict[str, str], str]] = [
    ("", {"app/sitecustomize.py": "import idle\n"}, "app/idle.py"),
    ("", {"app/usercustomize/__init__.py": ""}, "app/usercustomize/__init__.py"),
    ("COPY hooks /usr/lib/python3/dist-packages/", {"hooks/sitecustomize.py": ""}, "hooks/sitecustomize.py"),
    ("COPY lib/ /v/lib/python3.12/site-packages/", {"app/main.py": "import x", "lib/x.py": ""}, "lib/x.py"),
    (
        "COPY lib/ /v/lib/python3.12/site-packages/",
        {"lib/x.pth": "# no\nimport x; x.go()\n", "lib/x.py": ""},
        "lib/x.py",
    ),
    (
        "COPY x.pth /v/site-packages/\nCOPY lib/ /lib/",
        {"x.pth": "/lib\n", "lib/x.py": "", "app/main.py": "import x"},
        "lib/x.py",
    ),
    ("", {"app/setup.py": "import idle\n"}, "app/idle.py"),
    (
        "",
        {
            "app/pyproject.toml": '[build-system]\nbuild-backend = "own"\nbackend-path = ["b"]\n',
            "app/b/own.py": "",
        },
        "app/b/own.py",
    ),
    (
        "",
        {"app/setup.cfg": "[options]\npackage_dir =\n    = l\n", "app/main.py": "import x", "app/l/x.py": ""},
        "app/l/x.py",
    ),
    (
        "",
        {"app/setup.py": "setup(package_dir={'': 'l'})", "app/main.py": "import x", "app/l/x.py": ""},
        "app/l/x.py",
    ),
    (
        "",
        {
            "app/pyproject.toml": '[tool.setuptools.package-dir]\n"" = "l"\n',
            "app/main.py": "import x",
            "app/l/x.py": "",
        },
        "app/l/x.py",
    ),
    ("RUN python idle.py", {}, "app/idle.py"),
    ("RUN python idle.py", {"app/idle.py": "import deep\n"}, "app/deep.py"),
    ('RUN ["python", "-m", "idle"]', {}, "app/idle.py"),
    ("RUN apt-get update && make x && python ./idle.py > out", {}, "app/idle.py"),
    ("RUN sh run.sh", {"app/run.sh": "python idle.py\n"}, "app/idle.py"),
    (
        "FROM python AS b\nCOPY app/ /b/\nRUN python /b/idle.py\n"
        "FROM python\nCOPY --from=b /b/ /app/\nWORKDIR /app",
        {},
        "app/idle.py",
    ),
    ("RUN python - <<EOF\nimport json\nimport idle\nEOF", {}, "app/idle.py"),
    ("RUN python <<EOF\nimport idle\nexec(open('x').read())\nEOF", {}, "app/idle.py"),
    ("RUN <<EOF\n#!/usr/bin/env python\nfrom idle import x\nEOF", {}, "app/idle.py"),
    ("RUN <<EOF\npip list\npython idle.py\nEOF", {}, "app/idle.py"),
    ("RUN <<EOF\npython - <<PY\nimport idle\nPY\nEOF", {}, "app/idle.py"),
    ("RUN cat <<EOF > /app/own.py\nimport idle\nEOF", {}, "app/idle.py"),
    ("COPY <<EOF /app/own.py\nimport idle\nEOF", {}, "app/idle.py"),
    ("COPY <<EOF /app/own.py\nimport idle\nEOF", {"app/idle.py": "import deep\n"}, "app/deep.py"),
    ("COPY <<one.py <<two.py /x/\npass\none.py\nfrom . import idle\ntwo.py", {}, "app/idle.py"),
    ("COPY <<EOF /x.py\nimport more.idle\nEOF\nCOPY more /x/more/", {"more/idle.py": ""}, "more/idle.py"),
]


@pytest.mark.parametrize(("lines", "files", "counts"), ROWS)
def test_what_starts_or_builds_without_an_import_counts(
    lines: str, files: dict[str, str], counts: str
) -> None:
    """What it imports counts with it, and nothing else that the image holds."""
    selection = selected(lines, files)
    assert counts in selection.because
    assert "app/deep.py" in selection.unused or counts == "app/deep.py"
    assert not selection.findings


def test_a_declared_entry_point_does_not_stop_the_hooks() -> None:
    """The interpreter runs them whatever is started."""
    rules = Rules(dockerfile="Dockerfile", entrypoint=("main.py",))
    assert "app/sitecustomize.py" in selected("", {"app/sitecustomize.py": ""}, rules).because


def test_what_a_build_leaves_open_is_no_doubt_about_the_worker() -> None:
    """``make`` and ``exec`` in ``setup.py`` run when the image is made, not when it serves."""
    selection = selected("RUN make x", {"app/setup.py": "exec(open('version.py').read())\n"})
    assert (selection.findings, selection.unused) == ((), ("app/deep.py", "app/idle.py"))


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ("COPY <<EOF /app/own.py\nimport idle\nimport_module(name)\nEOF", True),
        ("RUN cat <<EOF > own.py\nimport idle\nexec(text)\nEOF", True),
        ("COPY <<EOF /etc/own.conf\nimport = $x; (\nEOF", False),
        ("COPY <<EOF /app/own.py\nimport json\nimport os.path\nEOF", False),
        ("RUN python <<EOF\nimport json\nexec(text)\nEOF", False),
    ],
)
def test_a_written_document_that_leaves_open_what_it_imports_is_doubt(lines: str, counts: bool) -> None:
    """It may be imported itself; one that only the build runs is the build's business."""
    selection = selected(lines, {"app/json.py": ""})
    assert ("app/deep.py" not in selection.unused) == counts
    told = [each.message for each in selection.findings]
    assert bool(told) == counts
    assert all("a here-document does not tell all that it imports" in message for message in told)
