"""A mirror says of a remote repository what a checkout of it says, and asks the remote little."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from support.histories import RandomHistory, histories
from support.limits import dear
from support.mirrors import NOW, Remoted, serving

from drift_gate.facts import History, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.values import is_address
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.mirror import warm
from drift_gate.sources.git.mirror_store import MANY_PACKS
from drift_gate.sources.git.remote import shown
from drift_gate.testing import HistoryBuilder
from drift_gate.testing.git_server import GitServer, Request


@pytest.fixture
def w(tmp_path: Path) -> Remoted:
    remote = serving(tmp_path / "remote")
    remote.commit({"a.py": "1\n", "b.py": "b\n"}, subject="base")
    return Remoted(remote, tmp_path / "cache")


@pytest.fixture
def server(w: Remoted, tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path) as server:
        w.address = f"{server.url}/remote/.git"
        yield server


def blobs(history: History, commit: str) -> dict[str, str]:
    return {path: entry.blob for path, entry in history.files([commit])[commit].items()}


def kinds(copy: Path) -> list[str]:
    """The type of each object that the copy holds."""
    git = ["git", f"--git-dir={copy}", "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.split()


class TestTarget:
    @pytest.mark.parametrize("ref", ["main", "origin/main", "refs/remotes/origin/main", "refs/heads/main"])
    def test_a_branch_by_any_of_its_names(self, w: Remoted, ref: str) -> None:
        target = w.mirror(ref).target()
        assert (target.ref, target.commit) == ("refs/remotes/origin/main", w.remote.tip("main"))
        assert (target.confirmed_at, target.findings) == (NOW, ())

    @pytest.mark.parametrize("ref", ["HEAD", "origin/HEAD"])
    def test_the_default_branch(self, w: Remoted, ref: str) -> None:
        w.remote.commit({"x": "1"}, branch="trunk", parents=[])
        w.remote.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        target = w.mirror(ref).target()
        assert (target.ref, target.commit) == ("refs/remotes/origin/HEAD", w.remote.tip("trunk"))

    def test_an_annotated_tag_is_the_commit_that_it_names(self, w: Remoted) -> None:
        w.remote.git("tag", "-a", "-m", "x", "v1", "main")
        target = w.mirror("refs/tags/v1").target()
        assert (target.ref, target.commit) == ("refs/tags/v1", w.remote.tip("main"))

    def test_a_tag_that_names_no_commit(self, w: Remoted) -> None:
        w.remote.git("update-ref", "refs/tags/blob", w.remote.git("rev-parse", "main:a.py"))
        assert w.failure("refs/tags/blob").cause == "target-not-found"

    def test_near_misses(self, w: Remoted) -> None:
        error = w.failure("mian")
        assert error.cause == "target-not-found"
        assert "has no ref refs/heads/mian; did you mean main" in str(error)

    def test_a_branch_that_comes_back_is_no_near_miss_of_itself(self, w: Remoted, server: GitServer) -> None:
        """It is deleted and pushed anew, between two questions of ours."""

        def pushed(request: Request) -> None:
            if [each.method for each in server.requests].count("GET") > 1:
                w.remote.branch("late", "main")

        server.misbehave = pushed
        assert str(w.failure("late")).endswith(
            "has no ref refs/heads/late; it was there a moment later: check again"
        )

    @pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "", "main:refs/heads/x"])
    def test_what_is_no_name_of_a_ref_never_reaches_git(self, w: Remoted, ref: str) -> None:
        assert w.failure(ref).cause == "target-not-found"
        assert not w.cache.exists()

    def test_a_force_push_is_followed_and_the_old_commit_stays_known(self, w: Remoted) -> None:
        old = w.remote.commit({"a.py": "2\n"})
        w.mirror().target()
        new = w.remote.commit({"z": "1"}, parents=[])
        mirror = w.mirror()
        assert mirror.target().commit == new
        assert mirror.resolve([old])[old] == old

    def test_a_sha256_repository(self, tmp_path: Path) -> None:
        remote = HistoryBuilder(tmp_path / "remote", object_format="sha256")
        commit = remote.commit({"a": "1"})
        mirror = Remoted(remote, tmp_path / "cache").mirror()
        assert mirror.target().commit == commit
        assert mirror.contents(list(blobs(mirror, commit).values())) == {blobs(mirror, commit)["a"]: b"1"}


class TestStale:
    def test_the_last_answer_serves_for_its_time_and_says_so(self, w: Remoted) -> None:
        tip = w.mirror().target().commit
        w.remote.commit({"a.py": "2\n"})
        w.remote.path.rename(w.remote.path.with_name("away"))
        mirror = w.mirror(later=timedelta(minutes=59))
        assert (mirror.target().commit, mirror.target().confirmed_at) == (tip, NOW)
        [finding] = mirror.target().findings
        assert (finding.code, finding.data["cause"]) == ("target-may-be-stale", "not-found")
        assert "59 min ago" in finding.message
        assert list(mirror.files([tip])[tip]) == ["a.py", "b.py"]
        assert w.failure(later=timedelta(minutes=61)).cause == "not-found"

    def test_a_branch_that_is_gone_is_never_replaced(self, w: Remoted) -> None:
        w.remote.branch("topic", w.remote.tip("main"))
        w.mirror("topic").target()
        w.remote.git("update-ref", "-d", "refs/heads/topic")
        assert w.failure("topic").cause == "target-not-found"

    def test_another_branch_of_the_same_mirror_does_not_serve(self, w: Remoted) -> None:
        w.mirror().target()
        w.remote.branch("topic", w.remote.tip("main"))
        w.remote.path.rename(w.remote.path.with_name("away"))
        assert w.failure("topic").cause == "not-found"

    def test_a_commit_that_cannot_be_asked_for_is_unknown_with_that_cause(self, w: Remoted) -> None:
        """Not `commit-not-in-history`: nobody has looked."""
        w.mirror().target()
        w.remote.path.rename(w.remote.path.with_name("away"))
        answer = w.mirror().resolve(["1" * 40])["1" * 40]
        assert isinstance(answer, Unknown)
        assert answer.cause == "not-found"

    def test_warm_takes_nothing_for_an_answer_but_the_remotes(self, w: Remoted) -> None:
        w.mirror().target()
        w.remote.path.rename(w.remote.path.with_name("away"))
        with pytest.raises(Exception, match="failed") as caught:
            warmed(w)
        assert getattr(caught.value, "cause", None) == "not-found"


def warmed(w: Remoted) -> str:
    return warm(
        repository=w.address or w.remote.path.as_uri(),
        target_ref="main",
        cache_dir=w.cache,
        clone_timeout=30,
        environ={"PATH": os.environ["PATH"]},
        now=lambda: NOW,
    ).commit


class TestResolve:
    def test_a_live_commit_that_the_branch_does_not_hold_is_fetched_by_its_id(self, w: Remoted) -> None:
        base = w.remote.tip("main")
        fix = w.remote.commit({"a.py": "hot\n"}, branch="fix", parents=[base])
        mirror = w.mirror()
        assert mirror.resolve([fix, base, fix[:10]]) == {fix: fix, base: base, fix[:10]: fix}
        assert [each.sha for each in mirror.walk([fix, base])] == [fix]

    def test_a_short_id_elsewhere_says_why_it_is_not_found(self, w: Remoted) -> None:
        fix = w.remote.commit({"a.py": "hot\n"}, branch="fix", parents=[])
        answer = w.mirror().resolve([fix[:10]])[fix[:10]]
        assert isinstance(answer, Unknown)
        assert answer.cause == "commit-not-in-history"
        assert "by its full id only" in answer.message

    def test_ids_that_nobody_has_do_not_keep_others_from_being_found(self, w: Remoted) -> None:
        """One unknown id fails the whole request at the remote."""
        fix = w.remote.commit({"a.py": "hot\n"}, branch="fix", parents=[])
        nobody = ["1" * 40, "f" * 40, "2" * 64]
        answers = w.mirror().resolve([*nobody, fix])
        assert answers[fix] == fix
        assert {each.cause for each in answers.values() if isinstance(each, Unknown)} == {
            "commit-not-in-history"
        }
        assert len(answers) == 4

    def test_the_id_of_a_file_is_no_commit(self, w: Remoted) -> None:
        blob = w.remote.git("rev-parse", "main:a.py")
        answer = w.mirror().resolve([blob])[blob]
        assert isinstance(answer, Unknown)
        assert answer.cause == "commit-not-in-history"


class TestContents:
    def test_the_mirror_itself_holds_no_contents(self, w: Remoted) -> None:
        w.mirror().target()
        assert sorted(kinds(w.current())) == ["commit", "tree"]

    def test_all_that_is_missing_comes_in_one_request(self, w: Remoted, server: GitServer) -> None:
        tip = w.remote.commit({f"m{n}.py": f"x = {n}\n" for n in range(300)})
        mirror = w.mirror()
        ids = blobs(mirror, tip)
        server.reset()
        found = mirror.contents(list(ids.values()))
        assert found[ids["m7.py"]] == b"x = 7\n"
        assert len(found) == 302
        fetches = [each for each in server.requests if each.method == "POST"]
        assert len(fetches) == 1
        assert mirror.contents(list(ids.values())) == found
        assert len([each for each in server.requests if each.method == "POST"]) == 1

    def test_nothing_is_fetched_that_nobody_asked_for(self, w: Remoted, server: GitServer) -> None:
        """Local questions over files that are not there answer without the remote."""
        base = w.remote.tip("main")
        tip = w.remote.commit({"a.py": "2\n"})
        mirror = w.mirror()
        mirror.target()
        server.reset()
        mirror.files([base, tip])
        list(mirror.walk([base, tip]))
        mirror.resolve([base, tip[:9]])
        assert server.requests == []
        assert "blob" not in kinds(w.current())

    def test_an_id_that_the_remote_lacks_is_dropped_and_the_rest_comes(self, w: Remoted) -> None:
        mirror = w.mirror()
        ids = blobs(mirror, w.remote.tip("main"))
        found = mirror.contents([*ids.values(), "1" * 40, "2" * 40])
        assert found == {ids["a.py"]: b"1\n", ids["b.py"]: b"b\n"}

    def test_a_remote_that_lacks_its_own_files_is_an_error_and_no_empty_answer(self, w: Remoted) -> None:
        mirror = w.mirror()
        with pytest.raises(Exception, match="its own history") as caught:
            mirror.contents([f"{number:040x}" for number in range(1, 20)])
        assert getattr(caught.value, "cause", None) == "not-found"


class TestSparing:
    def test_a_check_with_nothing_new_asks_once_and_fetches_nothing(
        self, w: Remoted, server: GitServer
    ) -> None:
        w.mirror().target()
        server.reset()
        w.mirror().target()
        assert [each.target.split("?")[0].rpartition("/")[2] for each in server.requests] == [
            "refs",
            "git-upload-pack",
        ]

    def test_the_refs_of_one_repository_share_a_mirror(self, w: Remoted) -> None:
        topic = w.remote.commit({"t": "1"}, branch="topic", parents=[w.remote.tip("main")])
        w.mirror().target()
        assert w.mirror("topic").target().commit == topic
        assert len(w.copies()) == 1

    def test_a_question_is_asked_once_per_check(self, w: Remoted) -> None:
        mirror = w.mirror()
        tip = mirror.target().commit
        w.remote.commit({"a.py": "2\n"})
        assert mirror.target().commit == tip

    def test_the_commit_graph_covers_what_was_fetched(self, w: Remoted) -> None:
        for number in range(3):
            w.remote.commit({"a.py": f"{number}\n"})
            w.mirror().target()
            git = ["git", f"--git-dir={w.current()}", "commit-graph", "verify"]
            subprocess.run(git, check=True, capture_output=True)
        graphs = w.current() / "objects" / "info" / "commit-graphs"
        assert (graphs / "commit-graph-chain").exists()

    @pytest.mark.heavy
    def test_many_fetches_leave_few_packs_and_every_file(self, w: Remoted) -> None:
        mirror = w.mirror()
        ids = blobs(mirror, mirror.target().commit)
        mirror.contents([ids["a.py"]])
        packs = w.current() / "objects" / "pack"
        counts = []
        for number in range(MANY_PACKS + 2):
            w.remote.commit({"n": f"{number}\n"})
            w.mirror().target()
            counts.append(len(list(packs.glob("*.pack"))))
        assert max(counts) == MANY_PACKS
        assert counts[-1] < 10
        assert w.mirror().contents([ids["a.py"]]) == {ids["a.py"]: b"1\n"}

    def test_warm_makes_the_mirror_that_a_check_then_uses(self, w: Remoted, server: GitServer) -> None:
        assert warmed(w) == w.remote.tip("main")
        server.reset()
        assert w.mirror().target().commit == w.remote.tip("main")
        assert len(server.requests) == 2


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "remote"),
        [
            ("https://github.com/a/b", True),
            ("ssh://git@host:22/a/b.git", True),
            ("git@github.com:a/b.git", True),
            ("file:///srv/repo", True),
            (".", False),
            ("../repo", False),
            ("/srv/a@b:c", False),
            ("C:/repo", False),
            ("-oProxyCommand=x@y:z", False),
            ("https://a b", False),
        ],
    )
    def test_what_is_an_address_and_what_a_path(self, text: str, remote: bool) -> None:
        assert is_address(text) is remote

    def test_people_see_it_without_login_and_query(self) -> None:
        assert shown("https://me:pw@host/a.git?token=x#y") == "https://host/a.git"
        assert shown("git@host:a/b.git") == "git@host:a/b.git"

    def test_an_address_with_a_password_is_refused_and_not_repeated(self, w: Remoted) -> None:
        w.address = "https://me:hunter2@127.0.0.1:1/a.git"
        error = w.failure()
        assert error.cause == "credentials"
        assert "hunter2" not in str(error)
        assert not w.cache.exists()

    def test_two_addresses_never_share_a_mirror(self, w: Remoted, tmp_path: Path) -> None:
        other = serving(tmp_path / "re-mote")
        tip = other.commit({"other": "1"})
        w.mirror().target()
        assert Remoted(other, w.cache).mirror().target().commit == tip
        assert len(list(w.cache.iterdir())) == 2

    def test_nothing_about_the_remote_is_kept_in_the_copy(self, w: Remoted) -> None:
        """Where no remote is named, no git of any version can fetch on its own account."""
        w.mirror().target()
        config = (w.current() / "config").read_text()
        assert "remote" not in config
        assert "promisor" not in config.lower()
        records = json.loads((w.place() / "confirmed.json").read_text())
        assert list(records) == ["refs/heads/main"]


def agree(history: RandomHistory, folder: Path) -> None:
    """A checkout and a mirror of one remote answer every question alike."""
    remote = serving(folder / "remote")
    commits = history.build(remote)
    remote.branch("main", commits[-1])
    remote.clone(folder / "clone")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    checkout = Checkout(
        path=folder / "clone",
        target_ref="origin/main",
        deadline=Deadline(60),
        environ=environ,
        now=lambda: NOW,
        stale_target_limit=0,
    )
    mirror = Remoted(remote, folder / "cache").mirror("origin/main", deadline=60)
    assert mirror.target() == checkout.target()
    asked = [*commits, commits[-1][:12], "1" * 40]
    ours, theirs = mirror.resolve(asked), checkout.resolve(asked)
    assert [getattr(ours[each], "cause", ours[each]) for each in asked] == [
        getattr(theirs[each], "cause", theirs[each]) for each in asked
    ]
    files = mirror.files(commits)
    assert files == checkout.files(commits)
    pairs = list(zip(commits, [*commits[1:], commits[0]], strict=True))
    for tips in (*pairs, commits[-3:], commits):
        assert list(mirror.walk(tips)) == list(checkout.walk(tips))
    blobs = {entry.blob for tree in files.values() for entry in tree.values()} | {"2" * 40}
    assert mirror.contents(blobs) == checkout.contents(blobs)


#: MIRROR_HISTORIES says how many histories; `make agree` asks for 200.
EXAMPLES = int(os.environ.get("MIRROR_HISTORIES", dear()))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(max_commits=10))
def test_checkout_and_mirror_agree(history: RandomHistory, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(history, tmp_path_factory.mktemp("agree"))
