"""The selections of all ends of a service put together, and patterns that decide alone."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
from relevance.test_selection import Link, selected, tree_of

from drift_gate.facts import Entry, Finding
from drift_gate.relevance.patterns import PathRules
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection, Tree, by_patterns, deciding
from drift_gate.relevance.union import Union

IMAGE = Rules(dockerfile="Dockerfile")
FILES = ("Dockerfile", "worker/main.py", "shared/odds.py", "docs/readme.md")


class TestPatternsAlone:
    @pytest.mark.parametrize(
        ("rules", "nothing", "idle"),
        [
            (Rules(paths=("/worker/",)), None, ()),
            (Rules(paths=("/worker/", "/gone/")), None, ("/gone/",)),
            (
                Rules(paths=("/lost/", "/gone/")),
                "paths (/lost/, /gone/) select no file",
                ("/lost/", "/gone/"),
            ),
            (Rules(paths=("/worker/",), ignore=("*",)), "paths (/worker/) select no file", ()),
            (Rules(paths=("/worker/", "", "  ", "# a comment", "!/gone/", "\\#gone")), None, ("\\#gone",)),
            (Rules(), None, ()),
            (Rules(ignore=("*",)), "paths (everything) select no file", ()),
        ],
    )
    def test_whether_they_match_anything(
        self, rules: Rules, nothing: str | None, idle: tuple[str, ...]
    ) -> None:
        """A gate that watches a folder which does not exist would be silent for ever."""
        assert by_patterns(rules, tree_of(dict.fromkeys(FILES, ""))) == Selection(nothing=nothing, idle=idle)

    def test_the_pattern_that_decides_is_the_reason(self) -> None:
        """The last one that matches; what lies in a folder that matched has that folder's, as git says."""
        union = Union(Rules(paths=("/worker/*.txt", "*.py", "/lib/", "*.c")), (Selection(),))
        reasons = [union.because(path) for path in ("worker/a.txt", "worker/a.py", "lib/a.c", "docs/a")]
        assert reasons == [("paths: /worker/*.txt",), ("paths: *.py",), ("paths: /lib/",), ()]
        assert PathRules(["/worker/"]).matching("docs/a.txt") is None

    def test_what_only_builds_the_image_is_not_in_it(self) -> None:
        union = Union(Rules(paths=("/worker/",), build_files=("worker/setup.cfg",)), (Selection(),))
        paths = ("worker/a.py", "worker/setup.cfg", "docs/a.py")
        assert [union.in_image(path) for path in paths] == [True, False, False]

    def test_each_path_is_judged_by_itself(self) -> None:
        """Also one that neither end has any more."""
        union = Union(Rules(paths=("/worker/", "!*.md"), ignore=("*.txt",)), (Selection(), Selection()))
        assert [union.relevant(path) for path in ("worker/gone.py", "worker/a.txt", "docs/a.py")] == [
            True,
            False,
            False,
        ]
        assert union.because("worker/gone.py") == ("paths: /worker/",)
        assert union.because("worker/a.txt") == ()
        assert Union(Rules(), (Selection(),)).because("any") == ("everything is relevant",)

    LINKED: ClassVar[dict[str, str | None]] = {
        "worker/main.py": "",
        "worker/common": Link("../lib"),
        "lib/odds.py": "",
        "lib/deep": Link("../far/a.txt"),
        "far/a.txt": "",
        "docs/lib": Link("../lib"),
        "other/x": "",
    }

    @pytest.mark.parametrize(
        ("paths", "beyond"),
        [
            (("/worker/",), {"worker/common", "lib/odds.py", "lib/deep", "far/a.txt"}),
            (("/worker/common/*.py",), {"worker/common", "lib/odds.py"}),
            (("/worker/main.py",), set()),
            (("/lib/",), {"lib/deep", "far/a.txt"}),
            (("/other/", "/docs/lib"), {"docs/lib", "lib/odds.py", "lib/deep", "far/a.txt"}),
        ],
    )
    def test_what_a_relevant_link_leads_to_is_relevant(
        self, paths: tuple[str, ...], beyond: set[str]
    ) -> None:
        """And the links on the way; in the image it lies elsewhere."""
        rules, tree = Rules(paths=paths), tree_of(self.LINKED)
        assert deciding(rules, tree.files) == {"worker/common", "lib/deep", "docs/lib"}
        union = Union(rules, (by_patterns(rules, tree),))
        assert union.ends[0].because.keys() == beyond
        assert all(map(union.relevant, beyond))
        assert not union.in_image("far/a.txt")
        assert all(union.because(path) for path in beyond)
        with_image = Rules(paths=paths, dockerfile="Dockerfile")
        files = {**self.LINKED, "Dockerfile": "FROM python\n"}
        assert beyond <= selected(with_image, files).because.keys()

    def test_ignore_wins_over_a_link(self) -> None:
        rules = Rules(paths=("/worker/",), ignore=("/lib/",))
        assert by_patterns(rules, tree_of(self.LINKED)).because.keys() == {"worker/common", "far/a.txt"}

    def test_a_submodule_is_a_folder(self) -> None:
        """To git, which holds no more of it than which commit it is; a file of the same pattern is none."""
        files = tree_of({"vendor/lib": "", "a/vendor": ""})
        tree = Tree({**files.files, "vendor/lib": Entry("160000", "f" * 40)}, files.text)
        chosen, left_out = Rules(paths=("/vendor/lib/", "/a/vendor/")), Rules(ignore=("/vendor/lib/",))
        assert by_patterns(chosen, tree).idle == ("/a/vendor/",)
        for rules, counts in ((chosen, True), (left_out, False)):
            union = Union(rules, (by_patterns(rules, tree), Selection()))
            assert union.relevant("vendor/lib") is counts
            assert bool(union.because("vendor/lib")) is counts

    @pytest.mark.parametrize(
        ("pattern", "counts"),
        [
            ("/vendor/lib/pkg/", True),
            ("/vendor/lib/x.py", True),
            ("vendor/*/x.py", True),
            ("vendor/**/*.py", True),
            ("**/*.py", True),
            ("*.py", True),
            ("[v]endor/l[^a]b/x[y]", True),
            ("vendor/l[a/b]/x", True),
            ("/vendor/other/x.py", False),
            ("/vendor/x.py", False),
            ("/other/**/*.py", False),
        ],
    )
    def test_a_pattern_that_leads_into_a_submodule_counts_it(self, pattern: str, counts: bool) -> None:
        """What it holds is not known, so it may hold what the pattern matches."""
        files = tree_of({"a.py": "", "vendor/lib": ""})
        tree = Tree({**files.files, "vendor/lib": Entry("160000", "f" * 40)}, files.text)
        rules = Rules(paths=("/a.py", pattern))
        selection = by_patterns(rules, tree)
        union = Union(rules, (selection, Selection()))
        assert union.relevant("vendor/lib") is counts
        assert bool(union.because("vendor/lib")) is counts
        assert selection.idle == (() if counts else (pattern,))

    def test_a_submodule_that_is_taken_back_does_not_count(self) -> None:
        tree = Tree(
            {"a.py": Entry("100644", "a" * 40), "vendor/lib": Entry("160000", "f" * 40)}, lambda _: None
        )
        for rules in (
            Rules(paths=("*.py", "!/vendor/lib/")),
            Rules(paths=("*.py",), ignore=("/vendor/lib/",)),
        ):
            assert not Union(rules, (by_patterns(rules, tree), Selection())).relevant("vendor/lib")


def idle(pattern: str) -> Finding:
    said = f"the pattern '{pattern}' in paths matches no file"
    return Finding(code="path-matches-nothing", message=said, data={"pattern": pattern})


class TestBothEnds:
    OLD = Selection(because={"a": ("old",), "both": ("old",)}, findings=(Finding(code="x", message="one"),))
    NEW = Selection(
        because={"b": ("new",), "both": ("new",)},
        findings=(
            Finding(code="x", message="one"),
            Finding(code="x", message="two"),
            Finding(code="y", message="two"),
        ),
    )

    def test_what_any_end_selects_is_relevant(self) -> None:
        """With the reason of the first end that has it."""
        union = Union(IMAGE, (self.OLD, self.NEW))
        assert [union.relevant(path) for path in ("a", "b", "both", "c")] == [True, True, True, False]
        assert [union.because(path) for path in ("a", "b", "both", "c")] == [("old",), ("new",), ("old",), ()]

    def test_each_finding_is_told_once(self) -> None:
        """The same code with another sentence is another finding."""
        findings = Union(IMAGE, (self.OLD, self.NEW)).findings()
        assert [(each.code, each.message) for each in findings] == [("x", "one"), ("x", "two"), ("y", "two")]

    @pytest.mark.parametrize(
        ("ends", "told"),
        [
            ([("b", "a"), ("a", "b")], ["a", "b"]),
            ([("a", "b"), ("b",)], ["b"]),
            ([("a",), ()], []),
            ([("a",)], ["a"]),
        ],
    )
    def test_a_pattern_is_idle_only_where_no_end_has_a_file_for_it(
        self, ends: list[tuple[str, ...]], told: list[str]
    ) -> None:
        union = Union(Rules(paths=("a", "b")), tuple(Selection(idle=each) for each in ends))
        assert union.findings() == tuple(idle(each) for each in told)

    @pytest.mark.parametrize(
        ("old", "new", "nothing"),
        [("no file", "none", "no file"), ("no file", None, None), (None, "none", None), (None, None, None)],
    )
    def test_it_selects_nothing_only_where_no_end_does(
        self, old: str | None, new: str | None, nothing: str | None
    ) -> None:
        assert Union(IMAGE, (Selection(nothing=old), Selection(nothing=new))).nothing == nothing

    def test_an_end_that_cannot_be_trusted_is_told(self) -> None:
        """Beside one that can; patterns alone say it by their idle ones."""
        ends = (Selection(nothing="there is no Dockerfile"), Selection())
        said = Finding(
            code="path-matches-nothing",
            message="at one end there is no Dockerfile",
            data={"pattern": "there is no Dockerfile"},
        )
        assert Union(IMAGE, ends).findings() == (said,)
        both = tuple(replace(end, idle=("/gone/",)) for end in ends)
        assert Union(IMAGE, both).findings() == (idle("/gone/"), said)
        assert Union(Rules(paths=("a",)), ends).findings() == ()
