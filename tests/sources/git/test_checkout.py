"""A repository on this machine is opened as git itself would, or the reason why not is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.limits import in_time
from support.repositories import counting

from drift_gate.errors import SourceError
from drift_gate.facts import History, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.testing import HistoryBuilder

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
Open = Callable[..., Checkout]


@pytest.fixture
def h(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_checkout(path: Path, ref: str = "HEAD", environ: Mapping[str, str] | None = None) -> Checkout:
        inherited = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(environ or {})}
        return Checkout(
            path=path,
            target_ref=ref,
            deadline=Deadline(60),
            environ=inherited,
            now=lambda: NOW,
            stale_target_limit=3600,
        )

    return open_checkout


def failure(checkout: Checkout) -> SourceError:
    with pytest.raises(SourceError) as caught:
        checkout.target()
    return caught.value


class TestWhatIsOpened:
    def test_a_checkout_any_folder_of_it_and_a_file(self, h: HistoryBuilder, opened: Open) -> None:
        tip = h.commit({"d/e/f": "1"})
        h.check_out("main")
        for inside in (".", "d/e", "d/e/f", ".git"):
            assert opened(h.path / inside).target().commit == tip

    @pytest.mark.parametrize("config", [True, False])
    def test_a_bare_repository_also_without_config(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path, config: bool
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        bare = h.clone(tmp_path / "bare.git", bare=True)
        if not config:
            (bare.path / "config").unlink()
        history: History = opened(bare.path, "main")
        assert history.target().commit == tip
        assert [each.sha for each in history.walk([base, tip])] == [tip]

    def test_a_linked_worktree_has_its_own_head(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        h.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), base)
        assert opened(tmp_path / "linked").target().commit == base
        assert opened(tmp_path / "linked", "main").target().commit == tip

    def test_a_path_with_a_symbolic_link_spaces_and_unicode(self, opened: Open, tmp_path: Path) -> None:
        h = HistoryBuilder(tmp_path / "rep ö")
        tip = h.commit({"d/f": "1"})
        h.check_out("main")
        (tmp_path / "link").symlink_to(h.path / "d")
        assert opened(tmp_path / "link").target().commit == tip

    def test_every_question_of_the_history_is_answered(self, h: HistoryBuilder, opened: Open) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"b": "1"})
        history: History = opened(h.path)
        assert history.resolve([base[:8]]) == {base[:8]: base}
        assert set(history.files([tip])[tip]) == {"a", "b"}
        assert [each.subject for each in history.walk([base, tip])] == ["a change"]

    def test_a_shallow_clone_gives_its_target_and_no_count(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        history = opened(h.clone(tmp_path / "shallow", depth=1).path)
        assert history.target().commit == tip
        with pytest.raises(SourceError) as caught:
            next(history.walk([tip, base]))
        assert caught.value.cause == "shallow-history"

    def test_sha256(self, tmp_path: Path, opened: Open) -> None:
        h = HistoryBuilder(tmp_path / "repo", object_format="sha256")
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        assert [each.sha for each in opened(h.path).walk([base, tip])] == [tip]

    @pytest.mark.parametrize("name", ["GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_DIR", "GIT_WORK_TREE"])
    def test_variables_of_the_process_mislead_nobody(
        self, h: HistoryBuilder, opened: Open, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """With some of them GitPython takes a good repository for none."""
        tip = h.commit({"a": "1"})
        monkeypatch.setenv(name, "/nowhere")
        assert opened(h.path, environ=os.environ).target().commit == tip


@pytest.mark.parametrize("ref", ["HEAD", "main", "origin/main"])
class TestWhatIsNot:
    def test_a_path_that_is_not_there(self, opened: Open, tmp_path: Path, ref: str) -> None:
        error = failure(opened(tmp_path / "nosuch", ref))
        assert (error.cause, str(error)) == (
            "history-unavailable",
            f"{tmp_path}/nosuch does not exist, or may not be looked at",
        )

    def test_a_folder_that_is_no_repository(self, opened: Open, tmp_path: Path, ref: str) -> None:
        error = failure(opened(tmp_path, ref))
        assert (error.cause, str(error)) == (
            "history-unavailable",
            f"{tmp_path} is no git repository, nor inside one",
        )

    def test_a_repository_that_is_damaged(self, h: HistoryBuilder, opened: Open, ref: str) -> None:
        h.commit({"a": "1"})
        (h.path / ".git" / "config").write_text("[core\n")
        error = failure(opened(h.path, ref))
        assert error.cause == "history-unavailable"
        assert "bad config" in str(error)

    def test_one_with_a_line_break_in_its_path(self, opened: Open, tmp_path: Path, ref: str) -> None:
        h = HistoryBuilder(tmp_path / "re\npo")
        tip = h.commit({"a": "1"})
        with pytest.raises(SourceError, match="line break"):
            opened(h.path, ref).resolve([tip])

    def test_one_of_another_user_names_the_line_that_trusts_it(
        self,
        h: HistoryBuilder,
        opened: Open,
        tmp_path: Path,
        other_owner: Callable[[Path], Mapping[str, str]],
        ref: str,
    ) -> None:
        tip = h.commit({"a": "1"})
        environ = other_owner(h.path)
        error = failure(opened(h.path, ref, environ=environ))
        assert error.cause == "history-unavailable"
        assert f"git config --global --add safe.directory {h.path}" in str(error)
        (tmp_path / ".gitconfig").write_text(f"[safe]\ndirectory = {h.path}\n")
        assert opened(h.path, environ=environ).target().commit == tip

    def test_no_git_program(self, h: HistoryBuilder, opened: Open, tmp_path: Path, ref: str) -> None:
        h.commit({"a": "1"})
        error = failure(opened(h.path, ref, environ={"PATH": str(tmp_path)}))
        assert (error.cause, error.retryable) == ("history-unavailable", False)
        assert "git is not installed" in str(error)

    def test_no_git_program_when_the_room_is_loaded(
        self, h: HistoryBuilder, tmp_path: Path, ref: str
    ) -> None:
        """GitPython, which names a repository in an error, refuses to load without one: nobody sees that."""
        script = f"""
from datetime import UTC, datetime
from drift_gate.runtime.deadline import Deadline
from drift_gate.errors import SourceError
from drift_gate.sources.git.checkout import Checkout
try:
    environ = {{"PATH": {str(tmp_path)!r}}}
    Checkout(path={str(h.path)!r}, target_ref={ref!r}, deadline=Deadline(60), environ=environ,
             now=lambda: datetime.now(UTC), stale_target_limit=0).target()
except SourceError as error:
    print(error.cause, error)
"""
        environ = {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("history-unavailable git is not installed, or not on the PATH")
        assert "Traceback" not in done.stderr


@pytest.fixture
def other_owner() -> Callable[[Path], Mapping[str, str]]:
    """Gives a repository to another user; what comes back is the environment to open it with."""

    def give_away(path: Path) -> Mapping[str, str]:
        if os.geteuid() != 0:
            pytest.skip("only root can give a repository to another user")
        for each in (path, path / ".git"):
            os.chown(each, 12345, 12345)
        if subprocess.run(["git", "rev-parse"], cwd=path, capture_output=True, check=False).returncode == 0:
            pytest.skip("this git does not ask whom a repository belongs to")
        return {}

    return give_away


class TestLocalTargets:
    def test_a_local_branch_by_either_name(self, h: HistoryBuilder, opened: Open) -> None:
        tip = h.commit({"a": "1"})
        for name in ("main", "refs/heads/main"):
            target = opened(h.path, name).target()
            assert (target.ref, target.commit, target.confirmed_at) == ("refs/heads/main", tip, NOW)
            assert target.findings == ()

    def test_head_also_detached(self, h: HistoryBuilder, opened: Open) -> None:
        base, _ = h.commit({"a": "1"}), h.commit({"a": "2"})
        h.check_out(base)
        target = opened(h.path, "HEAD").target()
        assert (target.ref, target.commit) == ("HEAD", base)

    def test_a_tag_stands_for_its_commit_and_a_branch_goes_first(
        self, h: HistoryBuilder, opened: Open
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        h.tag("v1", base, message="a release")
        h.git("tag", "v2", "v1")
        for name, ref in (("v1", "refs/tags/v1"), ("refs/tags/v1", "refs/tags/v1"), ("v2", "refs/tags/v2")):
            target = opened(h.path, name).target()
            assert (target.ref, target.commit) == (ref, base)
        h.branch("v1", tip)
        assert opened(h.path, "v1").target().commit == tip

    @pytest.mark.parametrize("said", ["", "0" * 39 + "\n", "ref: refs/heads/gone\n"])
    def test_a_tag_never_stands_in_for_a_branch_that_is_damaged(
        self, h: HistoryBuilder, opened: Open, said: str
    ) -> None:
        """Git lists no such branch, and says so in a warning: a machine that went down leaves empty files."""
        h.tag("prod", h.commit({"a": "1"}))
        h.branch("prod", h.commit({"a": "2"}))
        (h.path / ".git" / "refs" / "heads" / "prod").write_text(said)
        for name in ("prod", "refs/heads/prod"):
            error = failure(opened(h.path, name))
            assert error.cause == "history-unavailable"
            assert "has refs/heads/prod, which says no commit" in str(error)
        assert opened(h.path, "refs/tags/prod").target().ref == "refs/tags/prod"

    def test_any_full_name(self, h: HistoryBuilder, opened: Open) -> None:
        tip = h.commit({"a": "1"})
        h.git("update-ref", "refs/deploys/prod", tip)
        assert opened(h.path, "refs/deploys/prod").target().ref == "refs/deploys/prod"

    def test_a_local_branch_behind_its_upstream_as_last_fetched_may_be_stale(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path
    ) -> None:
        base = h.commit({"a": "1"})
        for n in range(2):
            h.commit({"a": f"more {n}"})
        clone = h.clone(tmp_path / "clone")
        assert opened(clone.path, "main").target().findings == ()
        clone.branch("main", base)
        target = opened(clone.path, "main").target()
        assert target.commit == base
        assert [(each.code, each.data) for each in target.findings] == [
            ("target-may-be-stale", {"behind": 2})
        ]

    def test_a_missing_ref_comes_with_its_near_misses(self, h: HistoryBuilder, opened: Open) -> None:
        h.commit({"a": "1"})
        error = failure(opened(h.path, "mian"))
        assert error.cause == "target-not-found"
        assert "has no ref mian; did you mean main?" in str(error)
        assert "refs/heads/main" in str(failure(opened(h.path, "refs/heads/mian")))

    def test_a_remote_branch_without_a_remote_is_never_the_last_fetched_one(
        self, h: HistoryBuilder, opened: Open
    ) -> None:
        """An image's baked-in `refs/remotes/origin/main` must not pass for main."""
        tip = h.commit({"a": "1"})
        h.git("update-ref", "refs/remotes/origin/main", tip)
        for name in ("origin/main", "refs/remotes/origin/main"):
            error = failure(opened(h.path, name))
            assert error.cause == "target-not-found"
            assert "the repository has no remote" in str(error)

    def test_a_repository_without_a_commit(self, h: HistoryBuilder, opened: Open) -> None:
        for name in ("HEAD", "main"):
            assert failure(opened(h.path, name)).cause == "target-not-found"

    def test_a_ref_that_names_no_commit(self, h: HistoryBuilder, opened: Open) -> None:
        tip = h.commit({"a": "1"})
        h.git("tag", "tree", f"{tip}^{{tree}}")
        assert failure(opened(h.path, "tree")).cause == "target-not-found"

    @pytest.mark.parametrize(
        "name",
        ["--output=pwned", "main~1", "main^", "@{u}", "a b", "a..b", "x\n", "", "*", ":/x", "a.lock", "/"],
    )
    def test_what_is_no_name_of_a_ref_never_reaches_git(
        self, h: HistoryBuilder, opened: Open, name: str
    ) -> None:
        h.commit({"a": "1"})
        shutil.rmtree(h.path / ".git")  # git would say that this is no repository
        error = failure(opened(h.path, name))
        sentence = f"{name!r} is no name of a ref: name a branch, a tag or HEAD"
        assert (error.cause, str(error)) == ("target-not-found", sentence)

    def test_it_is_found_out_once_also_when_that_failed(self, h: HistoryBuilder, opened: Open) -> None:
        h.commit({"a": "1"})
        found, missing = opened(h.path, "main"), opened(h.path, "later")
        before, error = found.target(), failure(missing)
        h.branch("later", h.commit({"a": "2"}))
        assert found.target() == before
        assert failure(missing) is error


class TestFewStarts:
    """A start of git finds the repository and answers a question, in the place of two."""

    def test_a_check_of_a_branch_takes_three(self, h: HistoryBuilder, opened: Open, tmp_path: Path) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        history = opened(h.path, "main", counting(tmp_path))
        assert history.target().commit == tip
        assert history.resolve([base, tip]) == {base: base, tip: tip}
        assert [each.sha for each in history.walk([base, tip])] == [tip]
        told = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
        commands = ("rev-parse", "for-each-ref", "cat-file", "log")
        assert [[word for word in line if word in commands] for line in told] == [
            ["for-each-ref"],
            ["rev-parse"],
            ["log"],
        ]

    def test_a_check_of_what_is_checked_out_and_serves_takes_one(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path
    ) -> None:
        tip = h.commit({"a": "1"})
        history = opened(h.path, "HEAD", counting(tmp_path))
        assert history.target().commit == tip
        assert history.resolve([tip]) == {tip: tip}
        assert len((tmp_path / "calls").read_text().splitlines()) == 1

    @pytest.mark.parametrize("bare", [True, False])
    @pytest.mark.parametrize("depth", [None, 2])
    def test_no_id_means_another_commit_than_it_does_alone(
        self, h: HistoryBuilder, opened: Open, tmp_path: Path, bare: bool, depth: int | None
    ) -> None:
        """What the start that opens the repository sees is what the next would see."""
        old, base, tip = (h.commit({"a": str(n)}) for n in range(3))
        h.tag("v1", base, message="a release")
        clone = h.clone(tmp_path / "clone", bare=bare, depth=depth)
        tag, named = clone.git("rev-parse", "v1"), "1" * 40
        clone.git("update-ref", f"refs/heads/{named}", tip)
        clone.git("update-ref", f"refs/tags/{base}", tip)
        clone.git("replace", base, tip)
        (clone.path / f"{'2' * 40}^{{commit}}").write_text("no commit has this name, and a file has")
        ids = [old, base, tip, tag, named, "2" * 40, "3" * 64, clone.git("rev-parse", "main^{tree}"), tip[:9]]
        for asked in ([base], [base, tip], *([each] for each in ids), ids, [base] * 200, []):
            at_once, later = opened(clone.path, "main"), opened(clone.path, "main")
            later.kept_in()
            answer = at_once.resolve(asked)
            assert answer == later.resolve(asked)
            assert answer.items() >= {each: each for each in asked if each in (base, tip)}.items()
            unknown = "shallow-history" if depth else "commit-not-in-history"
            for each in {tag, named, "2" * 40, "3" * 64} & set(asked):
                assert isinstance(why := answer[each], Unknown)
                assert why.cause == unknown

    def test_a_history_that_is_cut_after_the_branch_was_found_is_not_walked(
        self, h: HistoryBuilder, opened: Open
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        history = opened(h.path, "main")
        history.target()
        (h.path / ".git" / "shallow").write_text(f"{tip}\n")
        assert history.resolve([tip]) == {tip: tip}
        with pytest.raises(SourceError) as caught:
            next(history.walk([tip, base]))
        assert caught.value.cause == "shallow-history"

    def test_another_repository_in_its_place_has_another_history(
        self, h: HistoryBuilder, opened: Open
    ) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        history = opened(h.path, "main")
        assert history.target().commit == tip
        shutil.rmtree(h.path)
        HistoryBuilder(h.path).commit({"b": "1"})
        assert isinstance(history.resolve([base])[base], Unknown)
        with pytest.raises(SourceError) as caught:
            next(history.walk([tip, base]))
        assert caught.value.cause == "history-unavailable"

    def test_a_branch_that_moves_is_walked_from_where_it_was(self, h: HistoryBuilder, opened: Open) -> None:
        base, tip = h.commit({"a": "1"}), h.commit({"a": "2"})
        history = opened(h.path, "main")
        assert history.target().commit == tip
        h.commit({"a": "3"})
        assert history.resolve([base]) == {base: base}
        assert [each.sha for each in history.walk([history.target().commit, base])] == [tip]

    def test_a_name_that_ends_like_a_full_one_is_not_the_branch(
        self, h: HistoryBuilder, opened: Open
    ) -> None:
        tip = h.commit({"a": "1"})
        h.git("update-ref", "refs/tags/refs/heads/prod", tip)
        h.git("update-ref", "refs/heads/release/1", tip)
        for name in ("prod", "refs/heads/prod", "refs/heads/release", "release"):
            assert failure(opened(h.path, name)).cause == "target-not-found"

    @pytest.mark.parametrize("question", [lambda slow: slow.target(), lambda slow: slow.resolve(["1" * 40])])
    def test_after_the_deadline_nothing_else_is_tried(
        self, h: HistoryBuilder, tmp_path: Path, question: Callable[[Checkout], object]
    ) -> None:
        program, calls = tmp_path / "git", tmp_path / "calls"
        program.write_text(f"#!/bin/sh\necho >> {calls}\nexec sleep 60\n")
        program.chmod(0o755)

        def asked(seconds: float) -> SourceError:
            calls.write_text("")
            slow = Checkout(
                path=h.path,
                target_ref="main",
                deadline=Deadline(seconds),
                environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
                now=lambda: NOW,
                stale_target_limit=0,
            )
            with pytest.raises(SourceError) as caught:
                question(slow)
            return caught.value

        error = in_time(asked, late=lambda _: not calls.read_text())
        assert (error.cause, calls.read_text()) == ("timeout", "\n")
        assert "did not end within" in str(error)
