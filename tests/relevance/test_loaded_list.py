"""What a run has loaded is kept in the repository, and counts wherever it lies."""

from __future__ import annotations

import json

import pytest

from drift_gate.facts import Entry
from drift_gate.relevance import loaded_list
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.union import Union

FILES = {path: Entry("100644", "1" * 40) for path in ("a.py", "b.py", "c.md")}
RULES = Rules(dockerfile="Dockerfile", ignore=("*.md",), loaded=("drift.loaded.json", "w"))


def counting(content: bytes | None, rules: Rules = RULES, selected: Selection | None = None) -> Selection:
    return loaded_list.with_loaded(rules, selected or Selection(), FILES, content)


def kept(**services: list[str]) -> bytes:
    return loaded_list.text(services).encode()


def test_what_it_keeps_for_the_service_and_is_there_counts() -> None:
    selected = counting(
        kept(w=["b.py", "gone.py", "c.md"], other=["a.py"]), selected=Selection(unused=("b.py", "x.py"))
    )
    assert (selected.loaded, selected.unused, selected.findings) == (frozenset({"b.py"}), ("x.py",), ())
    union = Union(RULES, (Selection(), selected))
    assert [path for path in FILES if union.relevant(path)] == ["b.py"]
    assert union.because("b.py") == ("a run has loaded it",)


def test_by_patterns_alone_too() -> None:
    rules = Rules(paths=("a.py",), loaded=RULES.loaded)
    union = Union(rules, (counting(kept(w=["b.py"]), rules),))
    assert [path for path in FILES if union.relevant(path)] == ["a.py", "b.py"]
    assert (union.because("a.py"), union.because("b.py")) == (("paths: a.py",), ("a run has loaded it",))


def test_that_it_is_loaded_does_not_say_that_the_image_holds_it() -> None:
    """It was loaded here; what is not found in the live image is not missing for that."""
    assert not Union(RULES, (counting(kept(w=["b.py"])),)).in_image("b.py")


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"schema_version": 2, "services": {}}'),
        *(b'{"schema_version": 1}', b'{"schema_version": 1, "services": []}'),
        *(
            b'{"schema_version": 1, "services": {"w": "a.py"}}',
            b'{"schema_version": 1, "services": {"w": [1]}}',
        ),
        json.dumps({"schema_version": 1, "services": {"w": ["a"] * 20_001}}).encode(),
    ],
)
def test_one_that_is_none_is_a_finding_and_keeps_nothing(content: bytes | None) -> None:
    selected = counting(content, selected=Selection(unused=("b.py",)))
    assert (selected.loaded, selected.unused) == (frozenset(), ("b.py",))
    assert [finding.code for finding in selected.findings] == ["closure-incomplete"]
    assert selected.findings[0].message.startswith("drift.loaded.json cannot be read")


def test_the_file_is_the_same_whatever_the_order() -> None:
    one, two = (
        loaded_list.text({"w": ["b", "a", "b"], "v": ["x"]}),
        loaded_list.text({"v": ["x"], "w": ["a", "b"], "u": []}),
    )
    assert one == two
    assert loaded_list.read(one.encode()) == {"v": ("x",), "w": ("a", "b")}
