"""The builder writes the history that was ordered, the same on every machine."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import drift_gate.testing as testing
from drift_gate.testing import Draft, File, HistoryBuilder


@pytest.fixture
def h(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


def names(h: HistoryBuilder, commit: str) -> set[str]:
    return set(h.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")) - {""}


def test_the_same_order_gives_the_same_ids_whatever_the_users_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = HistoryBuilder(tmp_path / "one").commit({"a": "1"})
    (tmp_path / ".gitconfig").write_text("[user]\nname = Eve\nemail = e@x\n[commit]\ngpgSign = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Eve")
    assert HistoryBuilder(tmp_path / "two").commit({"a": "1"}) == first


def test_a_commit_changes_deletes_and_keeps_files_with_their_modes(h: HistoryBuilder) -> None:
    h.commit({"keep": "k", "gone": "g", "run": File("#!", "100755"), "link": File("keep", "120000")})
    tip = h.commit({"gone": None, "new\n\"ü\udcff'": b"\xff", "sub": File("a" * 40, "160000")})
    modes = {line.split("\t")[1]: line[:6] for line in h.git("ls-tree", "-z", tip).split("\0") if line}
    assert modes == {
        "keep": "100644",
        "run": "100755",
        "link": "120000",
        "sub": "160000",
        "new\n\"ü\udcff'": "100644",
    }
    assert h.git("cat-file", "blob", f"{tip}:keep") == "k"


def test_dates_are_pinned_and_the_author_may_have_written_earlier(h: HistoryBuilder) -> None:
    h.commit({"a": "1"})
    h.commit({"a": "2"})
    landed, written = datetime(2026, 2, 5, tzinfo=UTC), datetime(2026, 1, 9, tzinfo=UTC)
    h.commit({"a": "3"}, when=landed, authored=written)
    assert h.git("log", "--format=%ct %at").split("\n") == [
        f"{int(landed.timestamp())} {int(written.timestamp())}",
        "1767225660 1767225660",
        "1767225600 1767225600",
    ]


def test_a_merge_brings_both_sides_and_evil_files_on_top(h: HistoryBuilder) -> None:
    base = h.commit({"a": "1", "b": "1", "both": "1"})
    h.branch("f", base)
    h.commit({"b": None, "both": "theirs", "f": "1"}, branch="f")
    h.commit({"a": "2", "both": "ours"})
    merge = h.merge("f", files={"evil": "1"})
    assert names(h, merge) == {"a", "both", "f", "evil"}
    assert h.git("cat-file", "blob", f"{merge}:both") == "ours"
    assert h.git("rev-parse", f"{merge}^2") == h.tip("f")


def test_a_merge_may_drop_a_side_or_take_theirs(h: HistoryBuilder) -> None:
    base = h.commit({"a": "1"})
    h.branch("f", base)
    h.commit({"f": "1"}, branch="f")
    ours = h.commit({"o": "1"})
    assert names(h, h.merge("f", take="ours")) == {"a", "o"}
    h.branch("main", ours)
    assert names(h, h.merge("f", take="theirs")) == {"a", "f"}


def test_revert_rename_and_a_moved_branch(h: HistoryBuilder) -> None:
    first = h.commit({"d/a": "1", "d/b": "1"})
    change = h.commit({"d/a": "2"})
    revert = h.revert(change)
    assert h.git("rev-parse", f"{revert}^{{tree}}") == h.git("rev-parse", f"{first}^{{tree}}")
    assert names(h, h.rename("d", "e")) == {"e/a", "e/b"}
    h.branch("main", first)
    assert h.tip("main") == first


def test_drafts_of_one_call_may_be_each_others_parents(h: HistoryBuilder) -> None:
    a, b, c, d = h.commits(
        [
            Draft(files={"a": "1"}),
            Draft(files={"b": "1"}, branch="f", parents=[0]),
            Draft(files={"c": "1"}),
            Draft(files={"b": "1"}, parents=[2, 1]),
        ]
    )
    assert h.git("rev-list", "--parents", "-1", d).split() == [d, c, b]
    assert h.git("rev-list", "--parents", "-1", c).split() == [c, a]


def test_an_empty_list_of_parents_makes_a_root_on_a_branch_that_exists(h: HistoryBuilder) -> None:
    h.commit({"a": "1"})
    root = h.commit({"z": "1"}, parents=[])
    assert h.git("rev-list", "--parents", "main") == root
    assert names(h, root) == {"z"}


def test_clones_are_repositories_of_their_own(h: HistoryBuilder, tmp_path: Path) -> None:
    h.commit({"a": "1"})
    tip = h.commit({"a": "2"})
    shallow = h.clone(tmp_path / "shallow", depth=1)
    assert shallow.git("rev-list", "HEAD") == tip
    assert (tmp_path / "shallow" / "a").read_text() == "2"
    bare = h.clone(tmp_path / "bare.git", bare=True)
    bare.commit({"a": "3"})
    assert h.tip("main") == tip


def test_tags_check_out_and_sha256(tmp_path: Path) -> None:
    h = HistoryBuilder(tmp_path / "repo", object_format="sha256")
    first = h.commit({"a": "1"})
    assert len(first) == 64
    assert h.tag("light", first) == first
    note = h.tag("heavy", first, message="a release")
    assert note != first
    assert h.tip("heavy") == first
    h.check_out("heavy")
    assert (h.path / "a").read_text() == "1"


def test_what_git_refuses_is_said_in_its_words(h: HistoryBuilder) -> None:
    with pytest.raises(RuntimeError, match="nosuch"):
        h.tip("nosuch")


def test_history_loads_no_google_library() -> None:
    code = (
        "import sys; from drift_gate.testing import HistoryBuilder; "
        "sys.exit(any(name.startswith(('grpc', 'google')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_room_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="FakeAzure"):
        getattr(testing, "FakeAzure")  # noqa: B009  # mypy would refuse the plain form
