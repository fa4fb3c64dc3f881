"""What is learned stays learned, and no answer is another one because of it."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.damage import DAMAGES, Damage
from support.limits import ENOUGH_S, dear

from drift_gate.facts import Entry, Finding
from drift_gate.relevance import kept, written
from drift_gate.relevance.basis import Basis, read_basis, tree_digest
from drift_gate.relevance.by_blob import Form
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.python.import_facts import Import, ImportFacts, Scan
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.written import code_version
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.disk_cache import DiskCache
from drift_gate.runtime.memory import Nowhere
from drift_gate.sources.git.checkout import Checkout
from drift_gate.testing import Draft, HistoryBuilder
from drift_gate.wiring.plans import utc_now

C = TypeVar("C", bound=Checkout)

RULES = (
    Rules(dockerfile="Dockerfile"),
    Rules(dockerfile="Dockerfile", loaded=("drift.loaded.json", "worker"), ignore=("*.md",)),
    Rules(entrypoint=("app/main.py",)),
    Rules(paths=("app/", "data/"), dockerfile="tools/Dockerfile"),
    Rules(paths=("app/",)),
)
MODULES = (
    "",
    "import app.a\n",
    "from app import b, c\nDATA = open('data/odds.json')\n",
    "# the same as nothing\n",
    "import importlib\nimportlib.import_module('app.' + name)\n",
    "def f(:\nimport app.c\n",
    "import lib.d\nNAMES = 'data/other.yaml'\n",
    "import inspect\ninspect.getsource(f)\n",
    "A = '\\ud83d'\nopen('d\\udcff.json')\n",
)
TEXTS: Mapping[str, Sequence[str]] = {
    "Dockerfile": (
        'FROM python\nWORKDIR /app\nCOPY . .\nCMD ["python", "-m", "app.main"]\n',
        'FROM python\nWORKDIR /app\nCOPY app app\nCOPY data data\nCMD ["python", "app/main.py"]\n',
        "FROM python\nCOPY app /app\nCMD ./start.sh\n",
        "FROM",
    ),
    "tools/Dockerfile": ('FROM python\nCOPY lib /lib\nENV TOOL=lib.d\nCMD ["python", "/lib/d.py"]\n',),
    ".dockerignore": ("*.md\n", "app/c.py\n"),
    "app/__init__.py": MODULES,
    "app/main.py": MODULES,
    "app/a.py": MODULES,
    "app/b.py": MODULES,
    "app/c.py": MODULES,
    "lib/d.py": MODULES,
    "app/start.sh": ("python app/main.py\n", "python -m app.a\n"),
    "data/odds.json": ("{}", '{"model": "app.b"}'),
    "data/other.yaml": ("a: lib.d\n", "x\n"),
    "drift.loaded.json": ('{"schema_version": 1, "services": {"worker": ["lib/d.py"]}}', "no JSON"),
    "notes.md": ("1", "2"),
}


@st.composite
def trees(draw: st.DrawFn) -> list[dict[str, str | None]]:
    """What each commit changes: the first has nearly everything, those after it a file or two."""
    changes: list[dict[str, str | None]] = [
        {path: draw(st.sampled_from(texts)) for path, texts in TEXTS.items() if draw(st.integers(0, 7))}
    ]
    for _ in range(draw(st.integers(1, 3))):
        paths = draw(st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=2, unique=True))
        changes.append({path: draw(st.sampled_from((*TEXTS[path], None))) for path in paths})
    return changes


class Noting(Checkout):
    """It tells which contents were asked for."""

    told: list[str]

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        self.told.extend(blobs)
        return super().contents(blobs)


def checkout(folder: Path, kind: type[C]) -> C:
    return kind(
        path=folder / "repository",
        target_ref="main",
        deadline=Deadline(ENOUGH_S),
        environ={},
        now=utc_now,
        stale_target_limit=0,
    )


class Told:
    """What one process says of the rules at each commit, and of what differs between the commits."""

    def __init__(self, folder: Path, commits: Sequence[str], disk: DiskCache | None = None) -> None:
        self.contents: list[str] = []
        with disk or contextlib.nullcontext():
            history = checkout(folder, Noting)
            history.told = self.contents
            relevance = Relevance(history, Memory().on(disk or Nowhere()))
            ends = [(rules, commit) for rules in RULES for commit in commits]
            relevance.prepare(ends)
            self.selections = {end: relevance.of(*end) for end in ends}
            pairs = [(commits[0], commit) for commit in commits[1:]]
            self.differences = relevance.differences(pairs)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Told)
        return (self.selections, self.differences) == (other.selections, other.differences)


def built(folder: Path, changes: Sequence[Mapping[str, str | None]]) -> list[str]:
    builder = HistoryBuilder(folder / "repository")
    return builder.commits(Draft(files=dict(each), branch="main") for each in changes)


@settings(max_examples=dear())
@given(changes=trees(), damage=st.sampled_from(DAMAGES), seed=st.integers(0, 1000))
def test_a_cache_changes_no_answer_nor_does_a_damaged_one(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[dict[str, str | None]],
    damage: Damage,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("made-up")
    learned = folder / "learned"
    commits = built(folder, changes)

    def told(known: Sequence[str] = commits) -> Told:
        return Told(folder, known, DiskCache(learned, code_version()))

    without = Told(folder, commits)
    told(commits[:1])  # and the commits after it are asked for later, as they come
    for number in range(1, len(commits)):
        told(commits[: number + 1])
    assert told() == without
    damage(learned, random.Random(seed))  # noqa: S311 - the same damage each time
    assert told() == without
    assert told() == without


def test_what_older_code_has_learned_is_not_believed(tmp_path: Path) -> None:
    """Not even where its entries are whole: it may have had other rules."""
    [commit] = built(tmp_path, [{"Dockerfile": TEXTS["Dockerfile"][0], "app/main.py": "import app.a\n"}])
    rules = RULES[0]
    for version, believed in ((b"older code", False), (code_version(), True)):
        learned = tmp_path / str(believed)
        name, wrong = "wrong", Selection(nothing="wrong")
        with DiskCache(learned, version) as disk:
            disk.put("end", kept.key(rules, commit), name.encode())
            disk.put("selection", name, written.SELECTION.write(wrong))
        told = Told(tmp_path, [commit], DiskCache(learned, code_version()))
        assert (told.selections[rules, commit] == wrong) is believed


IMAGE: dict[str, str | None] = {
    "Dockerfile": TEXTS["Dockerfile"][0],
    "app/__init__.py": "",
    "app/main.py": "import app.a\nLIMIT = 1\n",
    "app/a.py": "A = open('odds.json')\n",
    "app/b.py": "B = open('other.json')\n",
    "data/odds.json": "{}",
    "data/other.json": "{}",
}


def steps(folder: Path, *changes: Mapping[str, str | None]) -> list[Told]:
    """What a new process says after each commit, of that one and the one before it."""
    commits = built(folder, [IMAGE, *changes])
    version = code_version()
    assert version is not None
    first = Told(folder, commits[:1], DiskCache(folder / "learned", version))
    assert first.contents
    told = [Told(folder, pair, DiskCache(folder / "learned", version)) for pair in pairwise(commits)]
    assert told == [Told(folder, pair) for pair in pairwise(commits)]
    return told


def test_a_new_process_that_meets_known_commits_reads_no_content(tmp_path: Path) -> None:
    commits = built(tmp_path, [IMAGE, {"app/main.py": "import app.b\n"}])
    for _ in range(2):
        told = Told(tmp_path, commits, DiskCache(tmp_path / "learned", code_version()))
    assert told.contents == []


def test_of_one_changed_module_that_imports_the_same_nothing_else_is_read(tmp_path: Path) -> None:
    """Neither the Dockerfile nor any other module, whatever else changed in the module."""
    [told] = steps(tmp_path, {"app/main.py": "import app.a\nLIMIT = 2\n"})
    assert len(told.contents) == 2  # both versions, to see whether they mean the same


@pytest.mark.parametrize(
    "change",
    [
        {"app/main.py": "import app.b\n"},
        {"app/a.py": "A = open('other.json')\n"},
        {"app/a.py": None},
        {"app/c.py": "import app.b\n"},
        {"Dockerfile": TEXTS["Dockerfile"][1]},
        {".dockerignore": "data\n"},
    ],
    ids=str,
)
def test_what_changes_the_answer_is_noticed(tmp_path: Path, change: Mapping[str, str | None]) -> None:
    steps(tmp_path, change, {"app/b.py": "import app.a\n"})


class Absent(Checkout):
    """A repository of which some contents cannot be read just now."""

    lost: Collection[str] = ()

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        return {blob: each for blob, each in super().contents(blobs).items() if blob not in self.lost}


def test_what_was_said_without_a_content_is_not_kept(tmp_path: Path) -> None:
    """It may be there the next time, and say something else."""
    [commit] = built(tmp_path, [IMAGE])
    for lost in ("app/main.py", "Dockerfile"):
        history = checkout(tmp_path, Absent)
        blob = history.files([commit])[commit][lost].blob
        history.lost = [blob]
        with DiskCache(tmp_path / "learned", code_version()) as disk:
            Relevance(history, Memory().on(disk)).prepare([(rules, commit) for rules in RULES])
        told = Told(tmp_path, [commit], DiskCache(tmp_path / "learned", code_version()))
        assert told == Told(tmp_path, [commit])


words = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=8)
texts = st.lists(words, max_size=3).map(tuple)
imports = st.lists(st.builds(Import, words, st.integers(0, 3), texts, st.booleans()), max_size=3).map(tuple)
because = st.dictionaries(words, texts, max_size=4)
OTHERS = {
    "imports": imports,
    "typing_only": imports,
    "scans": st.lists(st.builds(Scan, words, st.integers(0, 3), st.booleans()), max_size=2).map(tuple),
    "because": because,
    "elsewhere": because,
    "findings": st.lists(
        st.builds(
            Finding,
            code=words,
            message=words,
            data=st.dictionaries(words, st.none() | st.booleans() | st.integers() | st.lists(words)),
        ),
        max_size=2,
    ).map(tuple),
    "nothing": st.none() | words,
    "base": words,
}


def strategy(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a class of ours, each field by its kind."""

    def of(each: Field[Any]) -> st.SearchStrategy[Any]:
        if each.name in OTHERS:
            return OTHERS[each.name]
        kinds = {"bool": st.booleans(), "tuple[str, ...]": texts, "frozenset[str]": st.frozensets(words)}
        return kinds[str(each.type)]

    return st.builds(kind, **{each.name: of(each) for each in fields(kind)})


@given(strategy(ImportFacts), strategy(Selection), st.frozensets(words))
def test_what_is_written_comes_back(facts: ImportFacts, selection: Selection, names: frozenset[str]) -> None:
    assert written.FACTS.read(written.FACTS.write(facts)) == facts
    assert written.NAMES.read(written.NAMES.write(facts)) == facts
    back = written.SELECTION.read(written.SELECTION.write(selection))
    assert back == selection
    assert list(back.because) == list(selection.because)
    assert written.LITERALS.read(written.LITERALS.write(names)) == names
    assert written.WORDS.read(written.WORDS.write(names)) == names
    assert written.MEANING.read(written.MEANING.write("digest")) == "digest"


@given(st.binary(max_size=30) | st.sampled_from([b"{}", b"[]", b"1", b'{"texts": 1}', b'{"imports": [1]}']))
def test_what_nobody_has_written_is_nothing_or_a_value(text: bytes) -> None:
    """No entry with a checksum holds it; and if one did, nobody would fall over it."""
    forms: tuple[Form[Any], ...] = (written.FACTS, written.SELECTION, written.LITERALS, written.MEANING)
    for form in forms:
        form.read(text)
    read_basis(text)


def test_the_version_is_of_the_rules_and_of_python() -> None:
    version = code_version()
    assert version is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "version", "another Python")
        code_version.cache_clear()
        assert code_version() != version
    code_version.cache_clear()
    assert code_version() == version


def test_the_order_in_which_a_tree_is_listed_says_nothing() -> None:
    files = {"a": Entry("100644", "1"), "b": Entry("100755", "2")}
    assert tree_digest(files) == tree_digest(dict(reversed(files.items())))
    assert tree_digest(files) != tree_digest({**files, "a": Entry("100755", "1")})
    assert read_basis(Basis("tree", {"a\udcff": ("1", "t")}, "name").written()) == Basis(
        "tree", {"a\udcff": ("1", "t")}, "name"
    )
