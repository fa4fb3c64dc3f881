"""Symbolic links of an image: what each makes visible, and which way leads there."""

from __future__ import annotations

import pytest

from drift_gate.relevance.links import below

FILES = ("/app/real/a.py", "/app/real/sub/b.py", "/app/realm/c.py", "/x.py")

# link → target; what becomes visible → the real file
ROWS: list[tuple[str, dict[str, str], dict[str, str]]] = [
    ("a file", {"/app/l.py": "real/a.py"}, {"/app/l.py": "/app/real/a.py"}),
    ("a file, from the root", {"/app/l.py": "/x.py"}, {"/app/l.py": "/x.py"}),
    ("a file, from the folder above", {"/app/l.py": "../x.py"}, {"/app/l.py": "/x.py"}),
    ("at the root", {"/l": "app/real/a.py"}, {"/l": "/app/real/a.py"}),
    (
        "a folder",
        {"/app/l": "real"},
        {"/app/l/a.py": "/app/real/a.py", "/app/l/sub/b.py": "/app/real/sub/b.py"},
    ),
    ("a folder with a slash", {"/app/l": "real/sub/"}, {"/app/l/b.py": "/app/real/sub/b.py"}),
    (
        "the root",
        {"/l": "/"},
        {
            "/l/app/real/a.py": "/app/real/a.py",
            "/l/app/real/sub/b.py": "/app/real/sub/b.py",
            "/l/app/realm/c.py": "/app/realm/c.py",
            "/l/x.py": "/x.py",
        },
    ),
    (
        "through another link",
        {"/app/l": "m/sub", "/app/m": "real"},
        {
            "/app/l/b.py": "/app/real/sub/b.py",
            "/app/m/a.py": "/app/real/a.py",
            "/app/m/sub/b.py": "/app/real/sub/b.py",
        },
    ),
    ("a loop", {"/app/l": "m", "/app/m": "l", "/app/n": "/x.py"}, {"/app/n": "/x.py"}),
    ("nothing", {"/app/l": "gone", "/app/n": "/x.py"}, {"/app/n": "/x.py"}),
    (
        "a link among the files",
        {"/app/real/sub": "/x.py", "/l": "app/realm"},
        {"/app/real/sub": "/x.py", "/l/c.py": "/app/realm/c.py"},
    ),
]


@pytest.mark.parametrize(("targets", "visible"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_what_a_link_makes_visible(targets: dict[str, str], visible: dict[str, str]) -> None:
    """Each file behind it, at its path through the link; a loop or an end in nothing shows none."""
    found = below(targets, dict.fromkeys([*FILES, *targets], ""))
    assert {path: real for path, real, _ in found} == visible


def test_the_links_on_the_way_are_told() -> None:
    """All of them, the nearest first; a change of any leads elsewhere."""
    targets = {"/l": "m/sub", "/m": "app/n", "/app/n": "real"}
    passed = {path: links for path, _, links in below(targets, dict.fromkeys([*FILES, *targets], ""))}
    assert passed["/l/b.py"] == ("/l", "/m", "/app/n")
    assert passed["/m/a.py"] == ("/m", "/app/n")
    assert passed["/app/n/a.py"] == ("/app/n",)


@pytest.mark.parametrize(("length", "seen"), [(39, True), (40, True), (41, False)])
def test_forty_links_are_a_chain_and_more_a_loop(length: int, seen: bool) -> None:
    """As on Linux."""
    targets = {f"/l{number}": f"l{number + 1}" for number in range(length - 1)}
    targets[f"/l{length - 1}"] = "x.py"
    found = {path for path, _, _ in below(targets, dict.fromkeys([*FILES, *targets], ""))}
    assert ("/l0" in found) is seen
