"""Commits that one side has under another id: what is equal, what is not, and what that comes to."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.limits import dear
from support.world import CLOUD_RUN, WORKER, World, codes

from drift_gate.comparison.picks import MOST_COMMITS, MOST_PATHS, Sides, picked
from drift_gate.facts import Patch
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.patches import PATCH_LIMIT, PATCHES_LIMIT, patches_of
from drift_gate.sources.git.process import Git
from drift_gate.testing import HistoryBuilder

LINES = [f"line {number}\n" for number in range(40)]
APP = "predictions/worker/app.py"


def history_of(builder: HistoryBuilder) -> GitHistory:
    environ = {"PATH": os.environ["PATH"], "HOME": str(builder.path)}
    git = Git(cwd=str(builder.path), environ=environ, deadline=Deadline(60))
    return GitHistory(git=git, shallow=False, id_length=40)


def text(**changed: str) -> str:
    """Forty lines, some of them changed: ``text(at7="other")``."""
    return "".join(changed.get(f"at{number}", line) for number, line in enumerate(LINES))


class TestWhatIsEqual:
    @pytest.fixture
    def h(self, tmp_path: Path) -> HistoryBuilder:
        return HistoryBuilder(tmp_path / "repo")

    def patches(self, h: HistoryBuilder, *commits: str) -> list[Patch | None]:
        found = history_of(h).patches(commits)
        return [found.get(commit) for commit in commits]

    def test_the_same_change_elsewhere_in_the_file_and_its_revert(self, h: HistoryBuilder) -> None:
        """Where it stands does not matter; what takes it back is its reverse."""
        h.commit({"a.py": text()})
        there = h.commit({"a.py": text(at30="other\n")})
        back = h.revert(there)
        h.commit({"a.py": "more\n" * 9 + text()}, branch="b", parents=[])
        here = h.commit({"a.py": "more\n" * 9 + text(at30="other\n")}, branch="b")
        first, second, third = self.patches(h, there, here, back)
        assert first is not None
        assert first == second
        assert third == Patch(first.reverse, first.change)

    @pytest.mark.parametrize(
        "other",
        [
            {"a.py": text(at30="  other\n")},  # white space is meaning to Python
            {"a.py": text(at30="other")},
            {"a.py": text(at30="other\n", at2="more\n")},
            {"b.py": text(at30="other\n")},
            {"a.py": text(at30="other\n"), "b.py": ""},
            {"a.py": text(at30="other\n\n")},
            {"a.py": text(at30="")},
            {"a.py": None},
        ],
    )
    def test_what_differs_is_not_equal(self, h: HistoryBuilder, other: dict[str, str | None]) -> None:
        base = h.commit({"a.py": text(), "c.py": ""})
        one = h.commit({"a.py": text(at30="other\n")})
        h.branch("b", base)
        two = h.commit(dict(other), branch="b")
        first, second = self.patches(h, one, two)
        assert first is not None
        assert second is not None
        assert first != second

    def test_what_is_no_text_is_compared_by_its_content(self, h: HistoryBuilder) -> None:
        base = h.commit({"m.bin": b"\0one"})
        commits = []
        for name, content in [("b", b"\0two"), ("c", b"\0two"), ("d", b"\0three")]:
            h.branch(name, base)
            commits.append(h.commit({"m.bin": content, f"{name}": ""}, branch=name, subject=name))
            commits.append(h.commit({"m.bin": b"\0one"}, branch=name, subject=name))
        two, back, again, _, three, _ = self.patches(h, *commits)
        assert two is not None
        assert back is not None
        assert len({two, again, three}) == 3  # each adds a file of its own name
        alone = [
            h.commit({"m.bin": content}, branch=name) for name, content in (("b", b"\0x"), ("c", b"\0x"))
        ]
        assert len(set(self.patches(h, *alone))) == 1
        other = h.commit({"m.bin": b"\0y"}, branch="d")
        assert self.patches(h, alone[0]) != self.patches(h, other)

    def test_a_mode_is_a_change(self, h: HistoryBuilder) -> None:
        """``chmod +x`` and ``chmod -x`` take each other back."""
        base = h.commit({"run.sh": "echo\n"})
        commits: list[str] = []
        for number, mode in enumerate(["100755", "100644", "100755"]):
            blob = h.git("rev-parse", f"{base}:run.sh")
            tree = h.git("mktree", stdin=f"{mode} blob {blob}\trun.sh\n".encode())
            parent = commits[-1] if commits else base
            commits.append(h.git("commit-tree", tree, "-p", parent, "-m", str(number)))
        up, down, again = self.patches(h, *commits)
        assert up is not None
        assert (up, down) == (again, Patch(up.reverse, up.change))

    def test_merges_and_empty_commits_are_compared_with_nothing(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1\n"})
        h.branch("side", base)
        h.commit({"b": "1\n"}, branch="side")
        h.commit({"a": "2\n"})
        merge = h.merge("side", into="main")
        empty = h.commit({})
        assert self.patches(h, merge, empty) == [None, None]
        assert self.patches(h) == []

    def test_a_root_and_odd_names(self, h: HistoryBuilder) -> None:
        name = "weird/\n\"ü'\udcff"
        one = h.commit({name: "1\n"}, subject="one")
        two = h.commit({name: "1\n"}, branch="two", parents=[], subject="two")
        first, second = self.patches(h, one, two)
        assert first is not None
        assert first == second

    def test_settings_of_the_user_change_nothing(self, h: HistoryBuilder) -> None:
        """Else two machines would disagree, or a change would go unseen."""
        base = h.commit({"a.py": text(), "b.py": "\n\n\n\n\nx\n"})
        one = h.commit({"a.py": text(at30="other\n"), "b.py": "\n\n\n\n\ny\n"})
        before = self.patches(h, one)
        for key, value in [
            ("diff.noprefix", "true"),
            ("diff.mnemonicPrefix", "true"),
            ("diff.context", "0"),
            ("diff.suppressBlankEmpty", "true"),
            ("diff.external", "true"),
            ("diff.algorithm", "histogram"),
            ("log.follow", "true"),
            ("format.pretty", "oneline"),
            ("color.ui", "always"),
            ("diff.orderFile", "/none"),
        ]:
            h.git("config", key, value)
        assert self.patches(h, one) == before
        assert base

    def test_the_attributes_of_a_work_tree_change_nothing(self, h: HistoryBuilder) -> None:
        """Else a checkout and a mirror would disagree: a mirror has no such file."""
        base = h.commit({"odds.csv": text()})
        h.branch("live", h.commit({"odds.csv": text(at5="own\n")}))
        h.branch("main", base)
        one = h.commit({"odds.csv": text(at30="other\n")})
        two = h.commit({"odds.csv": text(at5="own\n", at30="other\n")}, branch="live")
        (h.path / ".gitattributes").write_text("*.csv -diff\n")
        history = history_of(h)
        history = replace(history, git=replace(history.git, git_dir=str(h.path / ".git")))
        assert len(set(history.patches([one, two]).values())) == 1


class TestLimits:
    def stream(self, *texts: bytes) -> Iterator[bytes]:
        yield b""
        for number, each in enumerate(texts):
            yield b"%040d" % number
            yield each

    def test_a_large_patch_is_left_out_and_the_next_is_not(self) -> None:
        head = b"diff --git a/a b/a\n"
        large = head + b"x" * (PATCH_LIMIT - len(head) + 1)
        found = dict(patches_of(self.stream(large, large[:-1], head)))
        assert [int(sha) for sha in found] == [1, 2]

    def test_all_together_are_bounded(self) -> None:
        part = b"diff --git a/a b/a\n".ljust(PATCH_LIMIT, b"x")
        many = PATCHES_LIMIT // PATCH_LIMIT
        assert len(list(patches_of(self.stream(*[part] * (many + 2))))) == many

    def test_only_few_commits_and_paths_are_kept(self) -> None:
        """A drift of a hundred thousand commits is not held, and then nothing is compared."""
        for count, paths in [(MOST_COMMITS + 1, 1), (2, MOST_PATHS // 2 + 1)]:
            sides = Sides()
            sides.add("own", frozenset({"a"}), own=True)
            for number in range(count):
                assert not sides.many
                sides.add(str(number), frozenset(f"{n}" for n in range(paths)), own=False)
            assert (sides.many, sides.comparable) == (True, False)
            assert (sides.own, sides.missing) == ({}, {})
        sides = Sides()
        for number in range(MOST_COMMITS):
            sides.add(f"m{number}", frozenset("a"), own=False)
            sides.add(f"o{number}", frozenset("a"), own=True)
        assert sides.comparable


def sides_of(missing: dict[str, str], own: dict[str, str]) -> Sides:
    """Commits with the paths that they change, a letter each."""
    sides = Sides()
    for sha, paths in missing.items():
        sides.add(sha, frozenset(paths), own=False)
    for sha, paths in own.items():
        sides.add(sha, frozenset(paths), own=True)
    return sides


def change(name: str) -> Patch:
    """The change ``name``; ``-name`` takes it back."""
    other = name[1:] if name.startswith("-") else f"-{name}"
    return Patch(name.encode(), other.encode())


# missing commits and own ones (id, paths), what each changes → those that were picked
PICKED: list[tuple[str, dict[str, str], dict[str, str], dict[str, str], set[str]]] = [
    ("one on either side", {"t": "f"}, {"l": "f"}, {"t": "x", "l": "x"}, {"t", "l"}),
    ("another change", {"t": "f"}, {"l": "f"}, {"t": "x", "l": "y"}, set()),
    ("one that cannot be told", {"t": "f"}, {"l": "f"}, {"t": "x"}, set()),
    ("a further one missing", {"t": "f", "u": "f"}, {"l": "f"}, {"t": "x", "u": "y", "l": "x"}, {"t", "l"}),
    ("further own work on the file", {"t": "f"}, {"l": "f", "m": "f"}, {"t": "x", "l": "x", "m": "y"}, {"l"}),
    ("on another file", {"t": "f"}, {"l": "f", "m": "g"}, {"t": "x", "l": "x", "m": "y"}, {"t", "l"}),
    ("further work that cannot be told", {"t": "f"}, {"l": "f", "m": "f"}, {"t": "x", "l": "x"}, {"l"}),
    ("taken back on the live side", {"t": "f"}, {"l": "f", "r": "f"}, {"t": "x", "l": "x", "r": "-x"}, {"l"}),
    ("taken back on the target", {"t": "f", "r": "f"}, {"l": "f"}, {"t": "x", "r": "-x", "l": "x"}, set()),
    (
        "both on both sides",
        {"t": "f", "r": "f"},
        {"l": "f", "s": "f"},
        {"t": "x", "r": "-x", "l": "x", "s": "-x"},
        set(),
    ),
    ("twice on one side", {"t": "f", "u": "f"}, {"l": "f"}, dict.fromkeys("tul", "x"), {"t", "u", "l"}),
]


@pytest.mark.parametrize(
    ("missing", "own", "changes", "expected"), [p[1:] for p in PICKED], ids=[p[0] for p in PICKED]
)
def test_which_are_picked(
    missing: dict[str, str], own: dict[str, str], changes: dict[str, str], expected: set[str]
) -> None:
    """A doubt counts the commit as missing."""
    patches = {sha: change(name) for sha, name in changes.items()}
    assert picked(sides_of(missing, own), patches) == expected


@pytest.fixture
def hotfix(world: World) -> World:
    """``hotfix`` is a branch off the first commit, where the live side of a test grows."""
    world.first = world.history.commit({APP: text()}, subject="the app")
    world.history.branch("hotfix", world.first)
    return world


def pick(world: World, **changed: str) -> str:
    """The live side's own commit with that change."""
    return world.history.commit({APP: text(**changed)}, branch="hotfix", subject="picked")


class TestWholeChecks:
    def test_a_picked_commit_is_neither_missing_nor_ahead(self, hotfix: World) -> None:
        """What the target has on top of it is: one missing commit, dated by its own landing."""
        hotfix.history.commit({APP: text(at20="fix\n")}, subject="fix")
        hotfix.history.commit({APP: text(at20="fix\n", at2="more\n")}, subject="more")
        hotfix.cloud.deploy(WORKER, commit=pick(hotfix, at20="fix\n"))
        report = hotfix.verdict().report
        numbers = report.commits_behind, report.commits_ahead, report.commits_picked
        assert (report.status, numbers) == ("behind", (1, 0, 1))
        assert [commit.subject for commit in report.undeployed] == ["more"]
        assert report.live[0].commits_picked == 1

    def test_a_pick_that_was_taken_back_is_missing(self, hotfix: World) -> None:
        """The live side has both commits and not the change."""
        hotfix.history.commit({APP: text(at20="fix\n")}, subject="fix")
        pick(hotfix, at20="fix\n")
        hotfix.cloud.deploy(WORKER, commit=pick(hotfix))
        # Two own commits and no net change of theirs: the file differs all the same.
        verdict = hotfix.verdict()
        assert verdict.report.commits_behind == 1
        assert "behind-within-limit" in codes(verdict)

    def test_a_pick_that_a_merge_dropped_is_no_excuse(self, hotfix: World) -> None:
        """No commit that counts accounts for the file then: it is denied."""
        history = hotfix.history
        history.commit({APP: text(at20="fix\n")}, subject="fix")
        history.branch("other", hotfix.first)
        history.commit({"docs/x.md": "x"}, branch="other", subject="docs")
        pick(hotfix, at20="fix\n")
        live = history.merge("hotfix", into="other", take="ours")
        hotfix.cloud.deploy(WORKER, commit=live)
        verdict = hotfix.verdict()
        assert (verdict.decision, codes(verdict)) == ("deny", ["content-differs"])
        assert verdict.report.commits_picked == 1

    def test_a_mirror_fetches_what_it_compares(self, hotfix: World, tmp_path: Path) -> None:
        """It holds no contents; the answer is that of the checkout."""
        history = hotfix.history
        history.git("config", "uploadpack.allowFilter", "true")
        history.git("config", "uploadpack.allowAnySHA1InWant", "true")
        history.commit({APP: text(at20="fix\n")}, subject="fix")
        history.commit({APP: text(at20="fix\n", at2="more\n")}, subject="more")
        hotfix.cloud.deploy(WORKER, commit=pick(hotfix, at20="fix\n"))
        address = f'repository = "{history.path.absolute().as_uri()}"'
        hotfix.toml = CLOUD_RUN.replace("[services", f"{address}\n[services", 1)
        hotfix.environ = {"DRIFT_CACHE_DIR": str(tmp_path / "cache")}
        report = hotfix.verdict().report
        assert (report.commits_behind, report.commits_ahead, report.commits_picked) == (1, 0, 1)


def git_patch_id(builder: HistoryBuilder, commit: str, *options: str) -> str:
    text = builder.git("diff-tree", "-p", "--root", "--no-renames", "--no-prefix", *options, commit)
    done = subprocess.run(
        ["git", "patch-id", "--stable"],
        input=os.fsencode(text),
        cwd=builder.path,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().partition(" ")[0]


@settings(max_examples=dear(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(st.sampled_from("ab"), st.sampled_from("1234"), max_size=2), min_size=2, max_size=7
    )
)
def test_equal_patches_are_those_of_git(changes: list[dict[str, str]]) -> None:
    """Of text without white space: the same partition as `git patch-id`, and the same reverses."""
    with tempfile.TemporaryDirectory() as folder:
        builder = HistoryBuilder(Path(folder) / "repo")
        commits = [builder.commit({path: f"{line}\n" for path, line in each.items()}) for each in changes]
        found = history_of(builder).patches(commits)
        for one in commits:
            assert (one in found) == bool(git_patch_id(builder, one))
            for two in commits:
                if one in found and two in found:
                    equal = git_patch_id(builder, one) == git_patch_id(builder, two)
                    assert (found[one].change == found[two].change) == equal
                    undone = git_patch_id(builder, one) == git_patch_id(builder, two, "-R")
                    assert (found[one].change == found[two].reverse) == undone
