"""Twice the tree is twice the work: counted in paths that are looked at, never in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from drift_gate.errors import SourceError
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


def all_alike(number: int) -> tuple[Counted, Counted]:
    """So many links that each show the same hundred files: the files, and the links."""
    targets = {f"l{each}": "data" for each in range(number)}
    paths = [*(f"data/f{each}.py" for each in range(100)), *targets]
    return Counted({path: path for path in paths}), Counted(targets)


ALIKE: list[Callable[[Counted, Counted], object]] = [
    lambda files, targets: find(Tree(files, targets), "l*"),
    lambda files, targets: find_with_parents(Tree(files, targets), "l*"),
    lambda files, targets: links.counted(files, targets, lambda path: False),
]


@pytest.mark.parametrize("work", ALIKE, ids=["copied", "with parents", "counted"])
def test_links_that_each_show_the_whole_tree_are_given_up_before_they_are_followed(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[Counted, Counted], object]
) -> None:
    """What is looked at is bounded by the tree and the links, not by their product."""
    monkeypatch.setattr(links, "MOST_SHOWN", 1000)
    work(*all_alike(10))
    looks = []
    for number in (80, 160):
        files, targets = all_alike(number)
        with pytest.raises(SourceError) as caught:
            work(files, targets)
        assert (caught.value.cause, caught.value.retryable) == ("history-unavailable", False)
        assert "links show more than 1,000 paths, " in caught.value.message
        looks.append(files.looks + targets.looks)
    assert looks[1] < MOST * looks[0]


def test_a_link_longer_than_any_path_leads_nowhere() -> None:
    """As on Linux, whose paths end at 4,096 bytes; its text may be as long as any file."""
    layout = {"/a.py": "", "/l": ""}
    assert not list(links.below({"/l": "./" * 3 + "b/../" * 2 + "x/" * 2048 + "a.py"}, layout))
    assert list(links.below({"/l": "b/../a.py"}, layout)) == [("/l", "/a.py", ("/l",))]
