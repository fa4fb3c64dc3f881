"""What git tells of a history is what plumbing says commit by commit, whatever the repository holds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.histories import RandomHistory, histories
from support.limits import dear
from support.processes import left_running

from drift_gate.errors import SourceError
from drift_gate.facts import Commit, Entry, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.log import (
    AUTHOR_LIMIT,
    HEADER_LIMIT,
    LAST_SECOND,
    SUBJECT_LIMIT,
    between,
    commits_of,
)
from drift_gate.sources.git.process import Git
from drift_gate.testing import Draft, File, HistoryBuilder
from drift_gate.testing.history import START

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def history_of(h: HistoryBuilder, *, shallow: bool = False, id_length: int = 40) -> GitHistory:
    git_dir = h.git("rev-parse", "--absolute-git-dir")
    git = Git(cwd=git_dir, git_dir=git_dir, environ=dict(os.environ), deadline=Deadline(60))
    return GitHistory(git=git, shallow=shallow, id_length=id_length)


@pytest.fixture
def h(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


def walked(h: HistoryBuilder, *tips: str) -> list[Commit]:
    return list(history_of(h).walk(tips))


def by_subject(h: HistoryBuilder, *tips: str) -> dict[str, set[str]]:
    return {commit.subject: set(commit.paths) for commit in walked(h, *tips)}


def raw_commit(h: HistoryBuilder, text: bytes) -> str:
    """A commit of the tip's tree with whatever stands in ``text`` after the tree, however broken."""
    tree = h.git("rev-parse", "main^{tree}")
    return h.git(
        "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=f"tree {tree}\n".encode() + text
    )


class TestAgainstPlumbing:
    @settings(max_examples=dear(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(histories(), st.data())
    def test_walk_and_files_tell_what_git_says_one_by_one(
        self, drawn: RandomHistory, data: st.DataObject
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            h = HistoryBuilder(folder)
            ids = drawn.build(h)
            tips = data.draw(st.lists(st.sampled_from(ids), min_size=2, max_size=3, unique=True))
            commits = walked(h, *tips)
            assert {each.sha for each in commits} == reached_by_some_not_all(h, tips)
            seen: set[str] = set()
            for each in commits:
                assert list(each.parents) == h.git("rev-list", "--parents", "-1", each.sha).split()[1:]
                assert seen.isdisjoint(each.parents), "a parent came before its child"
                seen.add(each.sha)
                assert set(each.paths) == changed(h, each.sha, each.parents)
                assert len(set(each.paths)) == len(each.paths)
            files = history_of(h).files(tips)
            assert {tip: set(tree) for tip, tree in files.items()} == {
                tip: differing(h, EMPTY_TREE, tip) for tip in tips
            }
            old, new = files[tips[0]], files[tips[1]]
            differ = {path for path in {*old, *new} if old.get(path) != new.get(path)}
            assert differ == differing(h, tips[0], tips[1])


def reached_by_some_not_all(h: HistoryBuilder, tips: Sequence[str]) -> set[str]:
    reached = [set(h.git("rev-list", tip).split()) for tip in tips]
    return reached[0].union(*reached) - reached[0].intersection(*reached)


def differing(h: HistoryBuilder, old: str, new: str) -> set[str]:
    names = h.git("diff", "--no-renames", "--name-only", "-z", old, new)
    return set(names.split("\0")) - {""}


def changed(h: HistoryBuilder, commit: str, parents: Sequence[str]) -> set[str]:
    """The paths that differ from every parent; all paths of a root."""
    against = [differing(h, parent, commit) for parent in parents or [EMPTY_TREE]]
    return against[0].intersection(*against)


class TestWalk:
    def test_a_merge_counts_for_what_no_parent_has(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"}, subject="base")
        h.branch("f", base)
        h.commit({"f": "1"}, branch="f", subject="f")
        h.commit({"m": "1"}, subject="m")
        h.merge("f", subject="clean")
        h.branch("g", base)
        h.commit({"g": "1"}, branch="g", subject="g")
        tip = h.merge("g", files={"a": "evil", "g": None}, subject="evil")
        assert by_subject(h, base, tip) == {
            "evil": {"a"},  # without g it is as its first parent there
            "clean": set(),
            "f": {"f"},
            "m": {"m"},
            "g": {"g"},
        }

    def test_roots_empty_commits_and_submodules(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        h.commit({}, subject="empty")
        h.commit({"sub": File("b" * 40, "160000")}, subject="submodule")
        h.commit({"z": "1", "y": "1"}, branch="o", parents=[], subject="root")
        tip = h.merge("o", files={"z": "1", "y": "1"}, take="ours", subject="joined")
        expected = {"joined": set(), "root": {"y", "z"}, "submodule": {"sub"}, "empty": set()}
        assert by_subject(h, base, tip) == expected

    def test_a_moved_file_is_two_paths(self, h: HistoryBuilder) -> None:
        base = h.commit({"old": "many lines\n" * 30})
        tip = h.rename("old", "new")
        assert walked(h, base, tip)[0].paths == ["new", "old"]

    def test_children_come_first_although_clocks_differ(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        parent = h.commit({"p": "1"})
        h.branch("slow", parent)
        early = START - timedelta(days=1)
        child = h.commit({"s": "1"}, branch="slow", when=early)
        h.commit({"a": "2"}, when=START + timedelta(days=1))
        order = [each.sha for each in walked(h, base, h.merge("slow"))]
        assert order.index(child) < order.index(parent)

    @pytest.mark.parametrize("early", [4, 12])
    def test_what_both_sides_have_is_never_listed_whatever_clocks_said(
        self, h: HistoryBuilder, early: int
    ) -> None:
        """Git passes over a few commits dated before the first; over more only by its graph."""
        first = h.commit({"a": "1"})
        h.branch("f", h.commit({"a": "2"}))
        for number in range(early):
            base = h.commit({"b": str(number)}, when=START - timedelta(days=9, minutes=-number))
        side = h.commit({"f": "1"}, branch="f")
        tip = h.merge("f")
        if early == 12:
            with pytest.raises(SourceError, match=f"{first[:12]}.*`git commit-graph write") as caught:
                walked(h, tip, base)
            assert caught.value.cause == "history-unavailable"
            h.git("commit-graph", "write", "--reachable")
        assert {each.sha for each in walked(h, tip, base)} == {tip, side}

    def test_the_sides_swapped_are_the_same_commits(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        h.branch("f", base)
        left, right = h.commit({"a": "2"}), h.commit({"b": "1"}, branch="f")
        assert {each.sha for each in walked(h, left, right)} == {left, right}
        assert {each.sha for each in walked(h, right, left)} == {left, right}

    def test_three_tips_without_a_common_ancestor_are_walked_to_their_roots(self, h: HistoryBuilder) -> None:
        tips = [h.commit({"a": str(n)}, branch=f"b{n}", parents=[]) for n in range(3)]
        assert {each.sha for each in walked(h, *tips)} == set(tips)

    @pytest.mark.parametrize("times", [1, 2])
    def test_one_tip_has_nothing_that_not_all_reach(self, h: HistoryBuilder, times: int) -> None:
        tip = h.commit({"a": "1"})
        assert walked(h, *[tip] * times) == []

    def test_paths_of_any_kind_come_whole(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        names = {"\nfirst", "new\nline", '"quoted"', "ü", "\udcff\udcfe", " blank ", "tab\t", "x" * 200}
        tip = h.commit(dict.fromkeys(names, "1"), subject="names")
        h.commit(dict.fromkeys(names, "2"), branch="f", parents=[base])
        evil = h.merge("f", files=dict.fromkeys(names, "3"), subject="evil")
        found = by_subject(h, base, evil)
        assert found["names"] == found["evil"] == names
        assert set(history_of(h).files([tip])[tip]) == {"a", *names}

    def test_a_path_that_looks_like_a_record_forges_none(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        forged = f"{'0' * 32}{base}\n{base}\n1\nEve\nforged{'0' * 32}"
        listed = f"\n:100644 100644 {base} {base} M"
        tip = h.commit({forged: "1", listed: "1"})
        assert len(walked(h, base, tip)) == 1
        files = history_of(h).files([base, tip])
        assert (set(files[base]), set(files[tip])) == ({"a"}, {"a", forged, listed})

    def test_words_in_any_encoding_can_be_shown(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        h.commit({"a": "2"}, subject=b"caf\xe9", author="Zoë")
        told = (
            b"parent %s\nauthor J\xfcrgen <j> 1 +0000\ncommitter c <c> 1 +0000\nencoding ISO-8859-1\n\n\xfc\n"
        )
        tip = raw_commit(h, told % h.tip("main").encode())
        latin, broken = walked(h, base, tip)
        assert (latin.author, latin.subject) == ("Jürgen", "ü")
        assert (broken.author, broken.subject) == ("Zoë", "caf\\xe9")

    def test_committer_time_is_read_and_a_broken_one_is_old(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        assert walked(h, base, h.commit({"a": "2"}))[0].committed_at == 1767225660
        for broken in (
            b"committer c <c> 99999999999999999999 +0000",
            b"committer c <c> 999999999999 +0000",
            b"x",
        ):
            tip = raw_commit(h, b"parent %s\nauthor a <a> 1 +0000\n%s\n\ns\n" % (base.encode(), broken))
            assert walked(h, base, tip)[0].committed_at == 0

    def test_nul_bytes_in_a_commit_shift_no_field(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        told = b"parent %s\nauthor a\0b <x> 1 +0000\ncommitter c <c> 7 +0000\n\nsub\0ject\n" % base.encode()
        [commit] = walked(h, base, raw_commit(h, told))
        assert (commit.committed_at, commit.subject, commit.paths) == (7, "sub", [])

    @pytest.mark.heavy
    def test_a_huge_subject_and_author_are_cut_and_the_paths_are_not(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        tip = h.commit({"b": "1", "c": "1"}, subject="s" * 10_000_000, author="A" * 200_000)
        [commit] = walked(h, base, tip)
        assert len(commit.author) == 200
        assert set(commit.paths) == {"b", "c"}
        tip = h.commit({"d": "1"}, subject="s" * 10_000_000)
        [commit, _] = walked(h, base, tip)
        assert commit.subject == "s" * 499 + "…"
        assert commit.paths == ["d"]

    def test_a_commit_with_more_parents_than_can_be_read_is_an_error(self, h: HistoryBuilder) -> None:
        base = h.commit({"a": "1"})
        drafts = [Draft(files={}, parents=[base], subject=str(n)) for n in range(HEADER_LIMIT // 41 + 1)]
        parents = b"".join(b"parent %s\n" % each.encode() for each in h.commits(drafts))
        tip = raw_commit(h, parents + b"author a <a> 1 +0000\ncommitter c <c> 1 +0000\n\ns\n")
        with pytest.raises(SourceError) as caught:
            next(history_of(h).walk([tip, base]))
        assert caught.value.cause == "invalid-response"

    def test_a_shallow_history_is_refused_before_the_first_commit(self, h: HistoryBuilder) -> None:
        a, b = h.commit({"a": "1"}), h.commit({"a": "2"})
        with pytest.raises(SourceError, match="unshallow") as caught:
            next(history_of(h, shallow=True).walk([a, b]))
        assert caught.value.cause == "shallow-history"
        assert list(history_of(h, shallow=True).walk([a, a])) == []

    def test_a_missing_commit_is_gits_error_and_not_an_empty_answer(self, h: HistoryBuilder) -> None:
        tip = h.commit({"a": "1"})
        with pytest.raises(SourceError) as caught:
            list(history_of(h).walk([tip, "1" * 40]))
        assert caught.value.cause == "history-unavailable"

    def test_only_full_ids_reach_git(self, h: HistoryBuilder) -> None:
        tip = h.commit({"a": "1"})
        for bad in ("main", tip[:12], "--output=pwned", "", tip.upper()):
            with pytest.raises(ValueError, match="not a full commit id"):
                list(history_of(h).walk([tip, bad]))
            with pytest.raises(ValueError, match="not a full commit id"):
                history_of(h).files([bad])

    def test_a_walk_that_is_left_early_leaves_no_git(self, h: HistoryBuilder) -> None:
        ids = h.commits(Draft(files={f"f{n % 7}": str(n)}, subject="s" * 500) for n in range(2000))
        walk = history_of(h).walk([ids[0], ids[-1]])
        assert next(walk).sha == ids[-1]
        del walk
        assert left_running(str(h.path)) == []


class TestBetween:
    @given(
        st.lists(st.binary(max_size=9).map(lambda part: part.replace(b"#", b"")), min_size=1, max_size=9),
        st.integers(1, 5),
    )
    def test_the_pieces_do_not_depend_on_where_the_chunks_end(self, pieces: list[bytes], size: int) -> None:
        text = b"#+#".join(pieces)
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(between(chunks, b"#+#")) == pieces

    def test_only_every_second_piece_is_cut(self) -> None:
        long = b"x" * (HEADER_LIMIT + 5)
        pieces = [long, long[:HEADER_LIMIT], long, long[:HEADER_LIMIT], long]
        assert list(between([long, b"#", long, b"#", long], b"#")) == pieces[:3]
        assert list(between([b"#".join([long] * 5)], b"#")) == pieces


class TestCommitsOf:
    @given(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4).map(
            "ä€😀".__add__
        ),
        st.integers(0, 3),
        st.sampled_from([0, 99_999_999_999, 100_000_000_000, LAST_SECOND, LAST_SECOND + 1]),
    )
    def test_what_fits_is_told_as_it_stands_and_the_rest_is_cut(self, text: str, more: int, at: int) -> None:
        sha, parents = "a" * 40, ["b" * 40, "c" * 40]
        words = [(text * limit)[: limit - 1 + more] for limit in (AUTHOR_LIMIT, SUBJECT_LIMIT)]
        header = "\0".join([sha, " ".join(parents), str(at), *words]).encode()
        [commit] = commits_of(iter([b"", header, b"\0\na\0b\0"]), [])
        cut = [
            each if more < 2 else f"{each[: limit - 1]}…"
            for each, limit in zip(words, (200, 500), strict=True)
        ]
        assert commit == (sha, parents, at if at <= LAST_SECOND else 0, *cut, ["a", "b"])


class TestResolve:
    def test_full_and_short_ids_in_two_processes(self, h: HistoryBuilder) -> None:
        a, b = h.commit({"a": "1"}), h.commit({"a": "2"})
        assert history_of(h).resolve([a, b[:7], a[:12], b[:39]]) == {a: a, b[:7]: b, a[:12]: a, b[:39]: b}
        assert history_of(h).resolve([]) == {}

    def test_a_ref_that_is_named_like_an_id_never_wins(self, h: HistoryBuilder) -> None:
        a, b = h.commit({"a": "1"}), h.commit({"a": "2"})
        for name in (a[:7], a):
            h.git("update-ref", f"refs/heads/{name}", b)
            h.git("update-ref", f"refs/tags/{name}", b)
        h.git("update-ref", "refs/heads/deadbeef", b)
        answer = history_of(h).resolve([a[:7], a, "deadbeef"])
        assert (answer[a[:7]], answer[a]) == (a, a)
        assert causes(answer)["deadbeef"] == "commit-not-in-history"

    def test_what_is_no_commit_names_none(self, h: HistoryBuilder) -> None:
        tip = h.commit({"a": "1"})
        tree = h.git("rev-parse", f"{tip}^{{tree}}")
        tag = h.tag("v1", tip, message="note")
        asked = [
            tree,
            tree[:8],
            tag,
            tag[:8],
            "20260205",
            "0" * 40,
            "1" * 64,
            "main",
            "abc",
            "--all",
            "A" * 40,
        ]
        assert set(causes(history_of(h).resolve(asked)).values()) == {"commit-not-in-history"}
        assert len(history_of(h).resolve(asked)) == len(asked)

    def test_a_short_id_of_two_commits_is_ambiguous(self, h: HistoryBuilder) -> None:
        """These two were found among 30,000 of the same moment."""
        alike = [Draft(files={}, subject=subject, parents=[], when=START) for subject in ("24611", "26330")]
        sha, other = h.commits(alike)
        assert sha != other
        assert sha[:7] == other[:7]
        answer = history_of(h).resolve([sha[:7], sha[:16]])
        assert causes(answer) == {sha[:7]: "ambiguous-commit"}
        assert answer[sha[:16]] == sha

    def test_in_a_shallow_clone_the_commit_may_exist_behind_the_cut(self, h: HistoryBuilder) -> None:
        tip = h.commit({"a": "1"})
        answer = history_of(h, shallow=True).resolve([tip, "1" * 40, "1234567"])
        assert answer[tip] == tip
        assert causes(answer) == {"1" * 40: "shallow-history", "1234567": "shallow-history"}

    def test_a_sha256_repository_has_longer_ids(self, tmp_path: Path) -> None:
        h = HistoryBuilder(tmp_path / "repo", object_format="sha256")
        a, b = h.commit({"a": "1"}), h.commit({"b": "1"})
        history = history_of(h, id_length=64)
        assert history.resolve([a, b[:40]]) == {a: a, b[:40]: b}
        assert [each.sha for each in history.walk([a, b])] == [b]
        assert set(history.files([b])[b]) == {"a", "b"}


def causes(answer: object) -> dict[str, str]:
    assert isinstance(answer, dict)
    return {key: value.cause for key, value in answer.items() if isinstance(value, Unknown)}


class TestTrees:
    def test_files_lists_every_file_of_each_tree(self, h: HistoryBuilder) -> None:
        a = h.commit({"d/a": "1", "run": File("x", "100755"), "link": File("d/a", "120000")})
        b = h.commit({"sub": File("b" * 40, "160000"), "d/a": None})
        same = h.commit({})
        empty = h.commit({}, branch="e", parents=[])
        files = history_of(h).files([a, b, same, empty])
        assert {path: entry.mode for path, entry in files[a].items()} == {
            "d/a": "100644",
            "run": "100755",
            "link": "120000",
        }
        assert files[a]["d/a"].blob == h.git("rev-parse", f"{a}:d/a")
        assert files[b]["sub"] == Entry("160000", "b" * 40)
        assert files[same] == files[b]
        assert files[empty] == {}

    def test_a_copy_and_a_moved_file_are_files_of_their_own(self, h: HistoryBuilder) -> None:
        text = "many lines\n" * 30
        a, b = h.commit({"a": text}), h.commit({"copy": text})
        moved = h.rename("a", "c")
        files = history_of(h).files([moved, a, b, a])
        assert {commit: set(tree) for commit, tree in files.items()} == {
            a: {"a"},
            b: {"a", "copy"},
            moved: {"c", "copy"},
        }
        assert len({entry.blob for tree in files.values() for entry in tree.values()}) == 1
        assert history_of(h).files([]) == {}

    def test_a_mode_alone_tells_two_trees_apart(self, h: HistoryBuilder) -> None:
        a, b = h.commit({"a": "1"}), h.commit({"a": File("1", "100755")})
        files = history_of(h).files([a, b])
        assert files[a]["a"].blob == files[b]["a"].blob
        assert files[a] != files[b]

    def test_a_commit_that_is_not_there_is_an_error(self, h: HistoryBuilder) -> None:
        h.commit({"a": "1"})
        with pytest.raises(SourceError, match="no commit 1111") as caught:
            history_of(h).files(["1" * 40])
        assert caught.value.cause == "commit-not-in-history"


class TestTheLine:
    def test_is_the_first_parents_newest_first_and_no_longer_than_asked(self, h: HistoryBuilder) -> None:
        first = h.commit({"a": "1"})
        h.branch("side", first)
        side = h.commit({"b": "1"}, branch="side")
        second = h.commit({"a": "2"})
        merge = h.merge("side", into="main")
        line = history_of(h).line
        assert line(merge, 10) == [merge, second, first]
        assert line(merge, 2) == [merge, second]
        assert side not in line(merge, 10)

    def test_of_a_cut_history_is_none(self, h: HistoryBuilder) -> None:
        """It would end too early, and what is older would look like nobody's."""
        tip = h.commit({"a": "1"})
        with pytest.raises(SourceError) as caught:
            history_of(h, shallow=True).line(tip, 10)
        assert caught.value.cause == "shallow-history"
