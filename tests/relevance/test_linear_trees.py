"""Twice the tree is twice the work: counted in paths that are looked at, never in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from drift_gate.relevance import links
from drift_gate.relevance.dockerfile.copies import Tree, find, find_with_parents

#: What twice the tree may cost: linear is 2, the square 4.
MOST = 2.2


class Counted(Mapping[str, str]):
    """A mapping that counts how often somebody looks at one of its keys."""

    def __init__(self, inner: Mapping[str, str]) -> None:
        self._inner = inner
        self.looks = 0

    def __getitem__(self, key: str) -> str:
        self.looks += 1
        return self._inner[key]

    def __iter__(self) -> Iterator[str]:
        for key in self._inner:
            self.looks += 1
            yield key

    def __len__(self) -> int:
        return len(self._inner)

    def __contains__(self, key: object) -> bool:
        self.looks += 1
        return key in self._inner


def tree(size: int, root: str) -> tuple[Counted, Counted]:
    """Ten files in each folder, and a link to each folder and to one file: the files, and the links."""
    files = {f"{root}d{number}/f{each}.py": "" for number in range(size) for each in range(10)}
    targets = {f"{root}l{number}": f"d{number}" for number in range(size)}
    targets |= {f"{root}d{number}/own": "f1.py" for number in range(size)}
    return Counted({path: path for path in [*files, *targets]}), Counted(targets)


def of_links(size: int) -> int:
    files, targets = tree(size, "/")
    assert len(list(links.below(targets, files))) == size * 11
    return files.looks + targets.looks


def of_what_counts(size: int) -> int:
    files, targets = tree(size, "")
    assert len(links.counted(files, targets, lambda path: path.startswith("l"))) == size * 12
    return files.looks + targets.looks


def of_copies(source: str) -> Callable[[int], int]:
    def looks(size: int) -> int:
        files, targets = tree(size, "")
        found = find(Tree(files, targets), source)
        assert sum(len(each.files) for each in found) >= size * 10
        return files.looks + targets.looks

    return looks


def of_parents(size: int) -> int:
    files, targets = tree(size, "")
    (found,) = find_with_parents(Tree(files, targets), "l*")
    assert len(found.files) >= size * 10
    return files.looks + targets.looks


WORK = [of_links, of_what_counts, of_copies("d*"), of_copies("l*"), of_copies("*/f*.py"), of_parents]


@pytest.mark.parametrize(
    "work", WORK, ids=["links", "counted", "folders", "through links", "files", "parents"]
)
def test_twice_the_tree_is_twice_the_work(work: Callable[[int], int]) -> None:
    assert work(80) < MOST * work(40)


def test_a_link_longer_than_any_path_leads_nowhere() -> None:
    """As on Linux, whose paths end at 4,096 bytes; its text may be as long as any file."""
    layout = {"/a.py": "", "/l": ""}
    assert not list(links.below({"/l": "./" * 3 + "b/../" * 2 + "x/" * 2048 + "a.py"}, layout))
    assert list(links.below({"/l": "b/../a.py"}, layout)) == [("/l", "/a.py", ("/l",))]
