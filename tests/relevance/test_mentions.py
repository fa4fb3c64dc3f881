"""Which files beside the code matter, and what in a source counts as naming a file."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.mentions import named_elsewhere
from drift_gate.relevance.python.literals import literals_of

FILE = "config/registry.yaml"

# what the closure says, what other code says → whether config/registry.yaml stays relevant
ROWS: list[tuple[str, str, str, bool]] = [
    ("nobody names it", "", "", True),
    ("only foreign code names it", "", "open('config/registry.yaml')", False),
    ("by its name alone", "", "open('registry.yaml')", False),
    ("by its path in the image", "", "open('/app/config/registry.yaml')", False),
    ("by a longer path", "", "open('/srv/repo/config/registry.yaml')", False),
    ("from the folder beside", "", "open('../config/registry.yaml')", False),
    ("both name it", "open('registry.yaml')", "open('config/registry.yaml')", True),
    ("the closure alone", "open('config/registry.yaml')", "", True),
    ("a comment names nothing", "", "# 'config/registry.yaml'", True),
    ("a path that leads elsewhere", "", "open('other/registry.yaml')", True),
    ("a longer name", "", "open('my_registry.yaml')", True),
    ("another case", "", "open('Registry.yaml')", True),
    ("a name that fits two files", "", "open('twice.yaml')", True),
    ("foreign code by a pattern is not sure", "", "glob('*.yaml')", True),
    ("the closure by a pattern", "glob('*.yaml')", "open('registry.yaml')", True),
    ("the closure by an f-string", "open(f'{name}.yaml')", "open('registry.yaml')", True),
    ("the closure by the end of the name", "path.suffix == '.yaml'", "open('registry.yaml')", True),
    ("the closure by a format", "'reg%s.yaml' % x", "open('registry.yaml')", True),
    ("the closure by a word", "run('load registry.yaml --now')", "open('registry.yaml')", True),
    ("the closure by the folder", "Path('config').iterdir()", "open('registry.yaml')", True),
    (
        "the closure by the folder, all in it",
        "open(f'config/{name}')",
        "open('config/registry.yaml')",
        True,
    ),
    (
        "the closure by the folder, and a file of it",
        "open(Path('config') / 'twice.yaml')",
        "open('config/registry.yaml')",
        True,
    ),
    ("with a doubled slash", "", "open('config//registry.yaml')", False),
    ("with a dot between", "", "open('config/./registry.yaml')", False),
    ("by a detour", "", "open('config/../registry.yaml')", False),
    ("a literal without a name", "", "open('./')", True),
    ("its extension without the dot says nothing", "print('yaml')", "open('registry.yaml')", False),
    ("one letter of it says nothing", "print(f'{x}l')", "open('registry.yaml')", False),
    ("unknown names alone say nothing", "print(f'{a}.{b}')", "open('registry.yaml')", False),
]
LAYOUT = {
    "/app/config/registry.yaml": FILE,
    "/app/config/twice.yaml": "config/twice.yaml",
    "/app/other/twice.yaml": "other/twice.yaml",
    "/app/worker.py": "worker.py",
    "/app/report.py": "report.py",
}


@pytest.mark.parametrize(
    ("inside", "outside", "relevant"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_a_file_that_only_foreign_code_names(inside: str, outside: str, relevant: bool) -> None:
    """It is left out where that is sure, with the module that names it; all else stays."""
    sources = {"worker.py": inside, "report.py": outside}
    left_out = named_elsewhere(
        LAYOUT, {"worker.py"}, lambda path: literals_of(sources.get(path, "").encode()), LAYOUT.values()
    )
    assert left_out == ({} if relevant else {FILE: ("report.py",)})


def test_two_files_of_one_name_stay_when_the_name_alone_is_said() -> None:
    """Foreign code that says ``twice.yaml`` may mean either."""
    sources = {"worker.py": b"", "report.py": b"open('twice.yaml'); open('other/twice.yaml')"}
    left_out = named_elsewhere(
        LAYOUT, {"worker.py"}, lambda path: literals_of(sources.get(path, b"")), LAYOUT.values()
    )
    assert left_out == {"other/twice.yaml": ("report.py",)}


def test_where_every_module_is_reached_nothing_is_left_out() -> None:
    """A computed import makes all code the worker's."""
    assert named_elsewhere(LAYOUT, {"worker.py", "report.py"}, lambda _: {"registry.yaml"}, [FILE]) == {}


def test_a_file_copied_twice_is_one_file() -> None:
    """Two places in the image, one path in the repository: a name fits one file."""
    layout = {"/a/x.csv": "data/x.csv", "/b/x.csv": "data/x.csv", "/t.py": "t.py"}
    assert named_elsewhere(layout, (), lambda _: {"x.csv"}, ["data/x.csv"]) == {"data/x.csv": ("t.py",)}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)
VALUE = st.lists(TEXT | st.binary(max_size=10) | st.integers(), max_size=5)


@given(values=VALUE, comments=st.lists(st.text("ab'\"#\\ ", max_size=8), max_size=5))
def test_the_literals_are_those_of_the_syntax_tree(values: list[object], comments: list[str]) -> None:
    """Whatever is quoted and whatever stands in comments: the same strings as Python reads."""
    lines = [f"x = {value!r}  # {comment}" for value, comment in zip(values, comments, strict=False)]
    lines += [f"def f():\n    '''{comment}'''" for comment in comments if _closes_itself(comment)]
    source = "\n".join(lines).encode()
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    wanted = {each for each in constants if isinstance(each, str) and each and "\\" not in repr(each)}
    assert {each for each in wanted if "\n" not in each} <= literals_of(source)


def _closes_itself(comment: str) -> bool:
    return "'" not in comment and "\\" not in comment


def named(files: list[str], inside: str, outside: str) -> set[str]:
    """What is left out of an image that holds ``files`` at their own paths, by what code says."""
    layout = {f"/{file}": file for file in [*files, "in.py", "out.py"]}
    literals = {"in.py": inside.split(), "out.py": outside.split()}
    return set(named_elsewhere(layout, {"in.py"}, lambda path: literals.get(path, []), files))


@pytest.mark.parametrize(
    ("files", "inside", "outside", "left_out"),
    [
        (["x.csv"], "other", "x.csv", {"x.csv"}),
        (["x.csv", "data/y.csv"], "x.csv", "y.csv", {"data/y.csv"}),
        (["data/y.csv"], "data", "y.csv", set()),
        (["data/y.csv", "data/z.csv"], "data z.csv", "y.csv", set()),
        (["data/a.tar.gz"], ".gz", "a.tar.gz", set()),
        (["data/a.tar.gz"], "tar.gz", "a.tar.gz", set()),
        (["data/a.tar.gz"], "gz", "a.tar.gz", {"data/a.tar.gz"}),
        (["data/.env"], "env", ".env", {"data/.env"}),
        (["data/.env"], ".env", ".env", set()),
        (["data/x.csv"], "", "in.py x.csv", {"data/x.csv"}),
        (["data/x.csv", "data/y.csv"], "", "x.csv y.csv", {"data/x.csv", "data/y.csv"}),
    ],
)
def test_small_images(files: list[str], inside: str, outside: str, left_out: set[str]) -> None:
    """At the root and in folders; code itself is never left out, whoever names it."""
    assert named(files, inside, outside) == left_out


def test_every_module_that_names_it_is_told() -> None:
    """In the order of their paths, each once."""
    layout = {"/x.csv": "x.csv", "/b.py": "b.py", "/a.py": "a.py"}
    assert named_elsewhere(layout, (), lambda _: ["x.csv", "/x.csv"], ["x.csv"]) == {
        "x.csv": ("a.py", "b.py")
    }


def test_reached_code_is_read_only_where_other_code_names_a_file() -> None:
    """Else nothing could be left out, whatever it says."""
    asked: list[str] = []

    def nothing(path: str) -> tuple[str, ...]:
        asked.append(path)
        return ()

    named_elsewhere(LAYOUT, {"worker.py"}, nothing, LAYOUT.values())
    assert asked == ["report.py"]


def test_words_of_a_long_text() -> None:
    """A docstring names files by words with a dot or a slash; it is not itself a name."""
    found = literals_of(b'"""Reads\n`config/a.json` (see b.yaml)."""\nx = "%s"' % (b"y" * 300))
    assert found == {"config/a.json", "b.yaml", "."}


@pytest.mark.parametrize(
    ("source", "literals"),
    [
        (b"x = ''", set()),
        (b"x = 'a.json;'", {"a.json;"}),
        (b"x = '\xff.json'", {"\udcff.json"}),
        (b'"""a.json\nb.json"""', {"a.json", "b.json"}),
        (b"x = '%s'" % (b"y" * 255), {"y" * 255}),
        (b"x = '%s'" % (b"y" * 256), set()),
        (b'"""a\n%s.b"""' % (b"y" * 253), {"y" * 253 + ".b"}),
        (b'"""a\n%s.b"""' % (b"y" * 254), set()),
    ],
)
def test_what_may_be_a_name(source: bytes, literals: set[str]) -> None:
    """Of at most 255 characters; a byte that is no UTF-8 stays told apart."""
    assert literals_of(source) == literals


def test_an_unterminated_literal_does_not_stop_the_rest() -> None:
    """A broken file still names what its whole lines name."""
    assert {"a.json", "b.json"} <= literals_of(b"x = 'a.json'\ny = 'open\nz = 'b.json'\n")


@pytest.mark.parametrize(
    ("source", "literals"),
    [
        (b"it isn't \"b.json\"\nx = 'c.json'", {'t "b.json"', "b.json", "c.json"}),
        (b'x = """a.json\nb.json \'', {"a.json", "b.json"}),
        (b"x = '" + rb"\'" * 9, {r"\'" * 9}),
        (b"x = 'a\\", {"a\\"}),
        (b"# it isn't\rx = 'c.json'\r\ny = 'd.json'", {"c.json", "d.json"}),
    ],
)
def test_what_nothing_closes_is_read_all_the_same(source: bytes, literals: set[str]) -> None:
    """To the end of its line, wherever that is, or of the file; nothing of it is looked at twice."""
    assert literals_of(source) == literals


def test_a_blob_is_read_once() -> None:
    """Equal content is equal for ever; what was not used for longest makes room."""
    read: list[bytes] = []

    def length(content: bytes) -> int:
        read.append(content)
        return len(content)

    lengths = ByBlob(length, most=2)
    assert [lengths.of(blob, blob.encode) for blob in ("a", "bb", "a", "ccc", "a")] == [1, 2, 1, 3, 1]
    assert read == [b"a", b"bb", b"ccc"]
    assert [blob in lengths for blob in ("a", "bb", "ccc")] == [True, False, True]
