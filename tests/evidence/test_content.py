"""What an image holds against a commit's tree, case by case: same, changed, missing, extra, unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from drift_gate.evidence.content import LISTED, ContentDiff, compare, rewritten
from drift_gate.facts import Content, Entry
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.union import Union

A, B, C = "a" * 40, "b" * 40, "c" * 40
LISTING = {"w/a.py": A, "w/b.py": B, "docs/x.md": C}


def content(files: Mapping[str, str], *covers: str) -> Content:
    return Content(files=files, covers=covers or ("w/",), digest="sha256:0")


def compared(said: Content, listing: Mapping[str, str] = LISTING, rules: Rules | None = None) -> ContentDiff:
    union = Union(rules or Rules(paths=("/w/",)), (Selection(),))
    return compare(said, {path: Entry("100644", blob) for path, blob in listing.items()}, union)


class TestWhatTheImageHolds:
    def test_the_same_files_prove_the_commit(self) -> None:
        found = compared(content({"w/a.py": A, "w/b.py": B}))
        assert (found, found.differs, found.proves) == (ContentDiff(same=2), False, True)

    def test_a_file_with_another_content_is_changed(self) -> None:
        found = compared(content({"w/a.py": C, "w/b.py": B}))
        assert (found.changed, found.differs, found.proves) == (("w/a.py",), True, False)

    def test_a_relevant_file_that_is_not_there_is_missing(self) -> None:
        found = compared(content({"w/a.py": A}))
        assert (found.missing, found.differs, found.proves) == (("w/b.py",), True, False)

    def test_a_file_that_no_commit_has_is_extra(self) -> None:
        found = compared(content({"w/a.py": A, "w/b.py": B, "w/new.py": C}))
        assert (found.extra, found.differs, found.proves) == (("w/new.py",), True, False)

    def test_a_file_that_does_not_count_may_differ_and_be_missing(self) -> None:
        """The image leaves out documents, or has those of another commit: nothing of it runs."""
        assert compared(content({"w/a.py": A, "w/b.py": B, "docs/x.md": A}, "")).proves
        assert compared(content({"w/a.py": A, "w/b.py": B}, "")).proves

    def test_where_nobody_looked_nothing_is_known(self) -> None:
        found = compared(content({"w/a.py": A}, "w/a.py"))
        assert (found.unseen, found.differs, found.proves) == (("w/b.py",), False, False)

    def test_what_no_fingerprint_reads_is_not_overlooked(self) -> None:
        """Names of secrets and litter are left out by every worker; a pattern of its own is its choice."""
        listing = {"w/a.py": A, "w/.env.example": B, "w/b.py": C}
        said = replace(content({"w/a.py": A}), ignored=(".env.*", "b.py"))
        found = compared(said, listing)
        assert (found.unseen, found.overlooked) == (("w/.env.example", "w/b.py"), ("w/b.py",))

    def test_no_file_at_all_proves_nothing(self) -> None:
        """An empty answer agrees with everything."""
        found = compared(content({}, "elsewhere/"))
        assert (found.same, found.proves) == (0, False)

    @pytest.mark.parametrize("rules", [Rules(paths=("/w/",), generated=("*.bin",)), Rules(ignore=("*.bin",))])
    def test_what_the_build_makes_is_declared(self, rules: Rules) -> None:
        found = compared(
            content({"w/a.py": A, "w/b.py": B, "docs/x.md": C, "w/model.bin": C}, ""), rules=rules
        )
        assert (found.extra, found.proves) == ((), True)

    def test_what_only_decides_on_the_image_need_not_be_in_it(self) -> None:
        """A Dockerfile is relevant and never copied; where it is there all the same, it is compared."""
        because = dict.fromkeys(("Dockerfile", "w/a.py"), ("why",))
        end = Selection(because=because, inputs=frozenset({"Dockerfile"}))
        union = Union(Rules(dockerfile="Dockerfile"), (end,))
        listing = {"Dockerfile": Entry("100644", C), "w/a.py": Entry("100644", A)}
        assert compare(content({"w/a.py": A}, ""), listing, union).proves
        assert compare(content({"w/a.py": A, "Dockerfile": B}, ""), listing, union).changed == ("Dockerfile",)

    def test_what_lies_in_a_submodule_is_not_known(self) -> None:
        union = Union(Rules(), (Selection(),))
        listing = {"lib": Entry("160000", A), "a.py": Entry("100644", A)}
        assert compare(content({"a.py": A, "lib/x.py": B}, ""), listing, union) == ContentDiff(same=1)

    def test_a_folder_is_no_prefix_of_its_neighbour(self) -> None:
        """``w/`` covers nothing of ``w2/``, and a file named ``w`` covers no folder."""
        assert compared(content({}, "w/"), {"w2/a.py": A}, Rules()).unseen == ("w2/a.py",)
        assert compared(content({}, "w"), {"w/a.py": A}, Rules()).unseen == ("w/a.py",)


class TestWhatChangedSinceTheStart:
    def changed(self, *paths: str) -> tuple[str, ...]:
        files = {"w/a.py": A, "w/b.py": B, "w/new.py": C, "w/cache.json": C, "docs/x.md": C}
        said = replace(content(files, ""), changed=frozenset(paths))
        listing = {path: Entry("100644", blob) for path, blob in LISTING.items()}
        return rewritten(said, listing, Union(Rules(paths=("/w/",), ignore=("*.log",)), (Selection(),)))

    def test_what_counts(self) -> None:
        assert self.changed("w/b.py", "w/a.py", "docs/x.md", "w/x.log") == ("w/a.py", "w/b.py")

    def test_code_that_no_commit_has_and_nothing_else_that_came_up(self) -> None:
        """A program may write beside its code; it does not load what it wrote."""
        said = replace(
            content({"w/a.py": A, "w/b.py": B, "w/cache.json": C}), changed=frozenset({"w/cache.json"})
        )
        assert compared(said).proves
        assert not compared(replace(said, changed=frozenset())).proves
        assert self.changed("w/new.py") == ("w/new.py",)


class TestWhatIsSaid:
    def test_each_kind_with_its_count_and_some_names(self) -> None:
        found = ContentDiff(changed=("a", "b", "c", "d"), missing=("e",), extra=("f", "g"))
        assert str(found) == "4 differing (a, b, c and 1 more), 1 missing (e), 2 unknown to it (f, g)"

    def test_the_data_lists_so_many_and_how_many_more(self) -> None:
        many = tuple(f"f{number}" for number in range(LISTED + 1))
        *listed, more = ContentDiff(changed=many, same=1).data()["changed"]
        assert listed == list(many[:LISTED])
        assert more.startswith("1 more (")
