"""Docker's ignore rules: from the documentation row by row, and against the docker client itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_gate.relevance.dockerfile.ignore import excluded, glob, ignored, is_glob
from drift_gate.relevance.patterns import PathRules

#: Patterns (one line each), files that stay out, files that get in; `;` stands between files.
ROWS: list[tuple[str, str, str]] = [
    # docs.docker.com, ".dockerignore files", the first example
    ("*/temp*", "somedir/temporary.txt;somedir/temp", "temp;a/b/temp"),
    ("*/*/temp*", "somedir/subdir/temporary.txt", "somedir/temp;a/b/c/temp"),
    ("temp?", "tempa;tempb", "temp;tempab;a/tempa"),
    ("# comment", "", "comment;# comment"),
    # the root of the context is working folder and root at once
    ("/foo/bar", "foo/bar;foo/bar/x", "foo;bar;x/foo/bar"),
    ("foo/bar", "foo/bar;foo/bar/x", "foo;bar;x/foo/bar"),
    ("secret", "secret;secret/a", "a/secret"),
    ("docs/", "docs/a;docs/b/c", "x/docs/a"),
    ("./docs", "docs/a", "x/docs/a"),
    ("//docs", "docs/a", "x/docs/a"),
    ("a//b/../c", "a/c", "a/b"),
    # ** is any number of folders, none included
    ("**/*.go", "a.go;b/a.go;b/c/a.go", "a.gox"),
    ("**/tests", "tests/a;a/tests/b;tests", "a/testsx"),
    ("a/**/b", "a/b;a/x/b;a/x/y/b", "b;a/bb"),
    ("a/**", "a/x;a/x/y", "b/a;a"),
    ("**", "a;a/b;a\nb", ""),
    ("**/", "a;a/b", ""),
    ("**/a/**", "a/b;x/a/b", "a;b/ab/c"),
    ("**name", "name;xname;d/xname;name/x;x\nname", "namex;xame"),
    # exceptions, and the last line that matches
    ("*.md\n!README.md", "a.md", "README.md;a/b.md"),
    ("*.md\n!README*.md\nREADME-secret.md", "a.md;README-secret.md", "README.md;README-x.md"),
    ("*.md\nREADME-secret.md\n!README*.md", "a.md", "README.md;README-secret.md"),
    ("*\n!shared\n!worker/app.py", "a;worker/b.py", "shared/x;shared/y/z;worker/app.py"),
    ("**\n!**/*.py", "a/b.txt;c", "a/b.py;c.py"),
    ("a\n!a/b\na/b/c", "a/x;a/b/c", "a/b/d"),
    ("!a\na", "a;a/b", ""),
    ("a/b\n!a", "a/b;a/b/c", "a/c"),
    ("  a b  ", "a b", " a b;a;b"),
    (" # no comment", "# no comment", "#"),
    ("! kept\nkept", "kept", ""),
    # filepath.Match
    ("*", "a;a/b;.hidden", ""),
    ("a*c", "ac;abc", "a/c"),
    ("a?c", "abc", "ac;a/c"),
    ("[ab].py", "a.py;b.py", "c.py;X.py;ab.py"),
    ("[^ab].py", "c.py", "a.py;b.py"),
    ("[a-c]1", "a1;b1;c1", "d1"),
    ("a/B.py", "a/B.py", "a/b.py;A/B.py"),
    ("[A-C]1", "A1", "a1"),
    ("[[]a]", "[a]", "a"),
    ("\\[a]", "[a]", "a;\\a"),
    ("[\\]-^]", "];^", "a"),
    ("a.b", "a.b", "axb"),
    ("a+(b)|{c}$", "a+(b)|{c}$", "aab"),
    ("[!a]", "!;a", "b"),
    # the file itself
    ("\ufeffa", "a", "b"),
    ("a\r\nb\r\n", "a;b", "c"),
    ("", "", "a"),
]


def _paths(text: str) -> list[str]:
    return text.split(";") if text else []


@pytest.mark.parametrize(("patterns", "out", "kept"), ROWS)
def test_a_documented_rule_decides(patterns: str, out: str, kept: str) -> None:
    """Each row is one statement of the documentation."""
    decide = ignored(patterns)
    assert [path for path in _paths(out) if not decide(path)] == []
    assert [path for path in _paths(kept) if decide(path)] == []


@pytest.mark.parametrize("pattern", ["[", "a[]b", "[a-", "[-a]", "!", "!  ", "a\\", "[z-a]"])
def test_what_docker_refuses_is_refused(pattern: str) -> None:
    """A pattern without an end is an error, never one that matches nothing."""
    with pytest.raises(ValueError, match=r"pattern"):
        ignored(pattern)


def test_gitignore_would_decide_otherwise() -> None:
    """The same line as in `ignore` of drift.toml, which is gitignore's: there it matches at any depth."""
    assert not ignored("secrets.txt")("a/secrets.txt")
    assert not PathRules(None, ["secrets.txt"]).relevant("a/secrets.txt")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a.py", True),
        ("*.py", "a/b.py", False),
        ("a/**/b", "a/x/b", True),
        ("a/**/b", "a/b", False),
        ("a/**/b", "a/x/y/b", False),
        ("\\*.py", "*.py", True),
        ("\\*.py", "a.py", False),
        ("\\**", "*x", True),
    ],
)
def test_the_globs_of_copy_know_no_double_star(pattern: str, path: str, matches: bool) -> None:
    """Go's filepath.Match: two stars are one."""
    assert bool(glob(pattern)(path)) is matches


def test_what_is_a_glob() -> None:
    """An escaped wildcard is a plain character."""
    assert [is_glob(text) for text in ("a*", "a?", "a[b]", "a", "a\\*", "a]")] == [True] * 3 + [False] * 3


def test_options_of_one_instruction_are_judged_together() -> None:
    """`--exclude` may be repeated; the last that matches decides there too."""
    out = excluded(["*.txt", "!keep.txt"])
    assert (out("a.txt"), out("keep.txt"), out("sub/a.txt")) == (True, False, False)


class _Daemon(BaseHTTPRequestHandler):
    """Answers a docker client's ping, and takes a build context without building anything."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.43")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def do_HEAD(self) -> None:
        """The ping."""
        self._answer(b"OK")

    do_GET = do_HEAD

    def do_POST(self) -> None:
        """The build: the body is the context as a tar archive, in chunks."""
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            _CONTEXTS.append({member.name for member in archive if member.isfile()})
        self._answer(json.dumps({"stream": "received"}).encode() + b"\n")


_CONTEXTS: list[set[str]] = []


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    """A loopback address that a docker client takes for a daemon."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Daemon)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _sent(daemon: str, files: frozenset[str], patterns: str) -> set[str] | None:
    """The files that the docker client sends, None when it refuses the patterns."""
    _CONTEXTS.clear()
    with TemporaryDirectory() as folder:
        for name in files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        Path(folder, "Dockerfile").write_text("FROM scratch\n")
        Path(folder, ".dockerignore").write_text(patterns)
        own = {"DOCKER_BUILDKIT": "0", "DOCKER_HOST": daemon, "DOCKER_CONFIG": folder, "HOME": folder}
        subprocess.run(
            ["docker", "build", folder],
            env={"PATH": os.environ["PATH"], **own},
            capture_output=True,
            timeout=30,
            check=False,
        )
    return _CONTEXTS[-1] - {"Dockerfile", ".dockerignore"} if _CONTEXTS else None


_NAMES = st.sampled_from(["a", "A", "b", "c", "ab", "a.py", "b.md", ".x", "[a]", "a b"])
_PARTS = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "*",
        "**",
        "a*",
        "*.py",
        "?",
        "[ab]",
        "[^a]",
        "**a",
        "a**",
        ".x",
        "*b",
        "..",
        "\\[a]",
        "[[]a]",
    ]
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_PATTERNS = st.tuples(
    st.sampled_from(["", "", "/", "./"]),
    st.lists(_PARTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/"]),
).map("".join)
_EXCEPTIONS = _PATTERNS.filter(lambda text: ".." not in text).map("!".__add__)


def _as_tree(paths: list[str]) -> frozenset[str]:
    """No path can be a file and a folder."""
    return frozenset(path for path in paths if not any(other.startswith(f"{path}/") for other in paths))


@pytest.mark.skipif(shutil.which("docker") is None, reason="the docker client is the oracle, and is not here")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(_PATHS, min_size=4, max_size=12).map(_as_tree),
    patterns=st.lists(st.one_of(_PATTERNS, _EXCEPTIONS), min_size=1, max_size=4),
)
def test_the_docker_client_lets_the_same_files_through(
    daemon: str, files: frozenset[str], patterns: list[str]
) -> None:
    """The context that docker itself sends is what our rules leave.

    Its older builder does not look into an ignored folder for an exception with wildcards
    (docker/cli issue 2919), BuildKit does: then docker's files are a part of ours.
    """
    text = "\n".join(patterns) + "\n"
    out = ignored(text)
    ours = {path for path in files if not out(path)}
    theirs = _sent(daemon, files, text)
    assert theirs is not None
    if any(line.startswith("!") and set(line) & set("*?[") for line in patterns):
        assert theirs <= ours
    else:
        assert theirs == ours
