"""Whole checks: a real repository and a loopback Cloud Run in, a verdict out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from support.limits import ENOUGH_S, OVER_S, in_time
from support.world import WORKER, World, codes

from drift_gate import gate
from drift_gate.comparison.report import DriftReport
from drift_gate.errors import DeploymentDriftError, DriftCheckError, DriftUnknownError
from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import deadline
from shared.utils.deployment_checker import check_worker_drift, require_current_worker


def test_a_current_worker_is_allowed(world: World) -> None:
    """The live commit is the target commit: identical, nothing to say."""
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = world.verdict()
    assert (verdict.decision, verdict.severity, codes(verdict)) == ("allow", None, [])
    report = verdict.report
    assert (report.status, report.commits_behind, report.drift_age_s) == ("identical", 0, 0)
    assert report.target is not None
    assert (report.target.ref, report.target.commit) == ("refs/heads/main", world.first)
    (live,) = report.live
    assert (live.percent, live.commit, live.commits_behind) == (100, world.first, 0)


def test_a_stale_worker_is_denied(world: World) -> None:
    """Four relevant commits behind is one more than the built-in policy lets pass."""
    world.cloud.deploy(WORKER, commit=world.first)
    shas = [world.change() for _ in range(4)]
    verdict = world.verdict()
    assert (verdict.decision, verdict.enforced) == ("deny", True)
    assert "too-many-commits-behind" in codes(verdict)
    report = verdict.report
    assert (report.status, report.commits_behind, report.content_differs) == ("behind", 4, True)
    assert [commit.sha for commit in report.undeployed] == shas[::-1]
    assert report.undeployed[0].paths[0].path == "predictions/worker/worker.py"


def test_commits_elsewhere_do_not_count(world: World) -> None:
    """Documents and other services' code are no drift of this worker."""
    world.cloud.deploy(WORKER, commit=world.first)
    for path in ("docs/readme.md", "predictions/coordinator/app.py", "shared/notes.md"):
        world.change(path)
    verdict = world.verdict()
    assert verdict.decision == "allow"
    assert (verdict.report.status, verdict.report.commits_behind) == ("identical", 0)
    assert codes(verdict) == ["content-identical"]


def test_a_change_and_its_revert_are_neutral(world: World) -> None:
    """They are counted as neutral, never as behind, and do not date the drift."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.revert(world.change())
    report = world.verdict().report
    assert (report.status, report.commits_behind, report.commits_neutral) == ("identical", 0, 2)
    assert report.drift_age_s == 0


def test_a_merge_that_dropped_one_side_differs_in_content(world: World) -> None:
    """No commit on either side accounts for the difference; a count alone would call it current."""
    history = world.history
    history.branch("fix", world.first)
    fix = history.commit({"predictions/worker/fix.py": "FIX = 1\n"}, branch="fix", subject="the fix")
    world.change("docs/readme.md")
    history.merge("fix", into="main", take="ours")
    world.cloud.deploy(WORKER, commit=fix)
    verdict = world.verdict()
    assert verdict.report.status == "diverged"
    assert (verdict.report.commits_behind, verdict.report.commits_ahead) == (0, 0)
    assert (verdict.decision, codes(verdict)) == ("deny", ["content-differs"])


@pytest.mark.parametrize("side", ["main", "fix", "both"])
def test_one_more_commit_does_not_hide_what_a_merge_dropped(world: World, side: str) -> None:
    """Whichever side it is on: it accounts for its own files, and not for the one that was dropped."""
    history = world.history
    history.branch("fix", world.first)
    live = history.commit({"predictions/worker/fix.py": "FIX = 1\n"}, branch="fix", subject="the fix")
    history.merge("fix", into="main", take="ours")
    if side != "fix":
        world.change("predictions/worker/later.py")
    if side != "main":
        live = history.commit({"shared/own.py": "OWN = 1\n"}, branch="fix", subject="an own change")
    world.cloud.deploy(WORKER, commit=live)
    verdict = world.verdict()
    counts = verdict.report.commits_behind, verdict.report.commits_ahead
    assert counts == (int(side != "fix"), int(side != "main"))
    assert (verdict.decision, verdict.severity, codes(verdict)[0]) == ("deny", "critical", "content-differs")
    assert verdict.reasons[0].data["paths"] == ["predictions/worker/fix.py"]


def test_a_worker_ahead_of_main_is_told(world: World) -> None:
    """Work that is live and not on the target: GitHub's word is ahead."""
    world.history.branch("hotfix", world.first)
    hotfix = world.history.commit({"predictions/worker/worker.py": "VERSION = 9\n"}, branch="hotfix")
    world.cloud.deploy(WORKER, commit=hotfix)
    verdict = world.verdict()
    assert (verdict.report.status, verdict.report.commits_ahead) == ("ahead", 1)
    assert (verdict.decision, codes(verdict)) == ("warn", ["ahead"])
    assert verdict.report.drift_age_s is None


def test_a_branch_dates_the_drift_by_its_landing(world: World) -> None:
    """Written three weeks ago, merged two hours ago: the drift is two hours old, however busy main is."""
    now = datetime.now(UTC)
    history = world.history
    base = history.commit({"predictions/worker/a.py": ""}, when=now - timedelta(days=30))
    world.cloud.deploy(WORKER, commit=base)
    history.branch("feature", base)
    history.commit({"predictions/worker/b.py": "1"}, branch="feature", when=now - timedelta(days=21))
    history.merge("feature", into="main", when=now - timedelta(hours=2))
    history.commit({"predictions/worker/c.py": "1"}, when=now - timedelta(minutes=1))
    report = world.verdict().report
    assert report.commits_behind == 2
    assert report.drift_age_s is not None
    assert 7200 <= report.drift_age_s <= 7260


def test_several_live_revisions_are_each_compared(world: World) -> None:
    """The worst decides; ``live`` tells the traffic-weighted picture."""
    old = world.cloud.deploy(WORKER, commit=world.first)
    head = [world.change() for _ in range(5)][-1]
    new = world.cloud.deploy(WORKER, commit=head)
    world.cloud.set_traffic(WORKER, {old: 30, new: 70})
    verdict = world.verdict()
    assert {live.revision: (live.percent, live.commits_behind) for live in verdict.report.live} == {
        old: (30, 5),
        new: (70, 0),
    }
    assert verdict.report.commits_behind == 5
    assert codes(verdict) == ["too-many-commits-behind", "traffic-split"]


def test_an_unreadable_revision_beside_a_stale_one(world: World) -> None:
    """Totals are null, what is known stays, and a known denial is a denial (exit code 1)."""
    old = world.cloud.deploy(WORKER, commit=world.first)
    head = [world.change() for _ in range(5)][-1]
    new = world.cloud.deploy(WORKER, commit=head)
    world.cloud.set_traffic(WORKER, {old: 50, new: 50})
    del world.cloud.revisions[new].labels["commit-sha"]
    world.cloud.revisions[new].containers[0].image = "r/worker:latest"
    outcome = world.outcome()
    (verdict,) = outcome.services
    report = verdict.report
    assert (report.status, report.commits_behind, report.drift_age_s) == ("unknown", None, None)
    assert {live.revision: live.commits_behind for live in report.live} == {old: 5, new: None}
    assert report.unknown is not None
    assert report.unknown.cause == "no-commit-evidence"
    assert {"unknown-drift", "too-many-commits-behind"} <= set(codes(verdict))
    assert outcome.exit_code == 1


def test_a_folder_that_does_not_exist_is_unknown(world: World) -> None:
    """A gate that watches nothing would be silent for ever, also while the ids are equal."""
    world.toml = world.toml.replace('["/predictions/worker/", "/shared/"]', '["/predictions/werker/"]')
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = world.verdict()
    assert verdict.report.unknown is not None
    assert verdict.report.unknown.cause == "nothing-relevant"
    assert (verdict.decision, verdict.refuses_unknown) == ("deny", True)


def test_a_pattern_that_matches_nothing_is_told(world: World) -> None:
    """One idle pattern among others warns; the others go on watching."""
    world.toml = world.toml.replace('"/shared/"]', '"/sahred/"]')
    world.cloud.deploy(WORKER, commit=world.first)
    assert codes(world.verdict()) == ["path-matches-nothing"]


def test_a_folder_deleted_on_main_still_counts(world: World) -> None:
    """The set is the union of both ends: what the live commit has and main dropped is relevant."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commit({"shared/odds.py": None}, subject="drop odds")
    verdict = world.verdict()
    assert (verdict.report.commits_behind, codes(verdict)[-1]) == (1, "behind-within-limit")


def test_nothing_declared_means_everything(world: World) -> None:
    """Without paths every file is relevant."""
    world.toml = world.toml.replace('paths = ["/predictions/worker/", "/shared/"]', "").replace(
        "ignore", "# ignore"
    )
    world.cloud.deploy(WORKER, commit=world.first)
    world.change("docs/readme.md")
    assert world.verdict().report.commits_behind == 1


def test_a_service_label_is_no_evidence(world: World) -> None:
    """It says new while all traffic goes to the old revision: denied, and said."""
    old = world.cloud.deploy(WORKER, commit=world.first)
    head = [world.change() for _ in range(4)][-1]
    world.cloud.deploy(WORKER, commit=head, service_labels={"commit-sha": head})
    world.cloud.pin(WORKER, old)
    verdict = world.verdict()
    assert verdict.decision == "deny"
    assert {"too-many-commits-behind", "traffic-pinned", "service-label-disagrees"} <= set(codes(verdict))


def test_a_shallow_clone_is_unknown_unless_the_ids_are_equal(world: World) -> None:
    """Counts over a cut history are wrong; equal ids need no history."""
    world.change()
    head = world.change()
    world.toml = world.toml.replace("[defaults]", '[defaults]\nrepository = "../shallow"')
    world.history.clone(world.folder.parent / "shallow", depth=1)
    world.cloud.deploy(WORKER, commit=head)
    assert world.verdict().report.status == "identical"
    world.cloud.deploy(WORKER, commit=world.first)
    unknown = world.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause == "shallow-history"


def test_many_services_are_judged_by_one_walk(world: World) -> None:
    """Each has its own live commit, paths and policy; the history is asked once for all."""
    world.toml += '\n[services.other]\npaths = ["/shared/"]\nmax_commits_behind = 0\n'
    world.cloud.deploy(WORKER, commit=world.first)
    middle = world.change("shared/odds.py")
    world.cloud.deploy("other", commit=middle)
    world.change("shared/odds.py")
    outcome = world.outcome()
    behind = {each.service: each.report.commits_behind for each in outcome.services}
    assert behind == {WORKER: 2, "other": 1}
    assert {each.service: each.decision for each in outcome.services} == {WORKER: "warn", "other": "deny"}
    assert outcome.decision == "deny"


def test_one_failing_service_leaves_the_others_known(world: World) -> None:
    """What fails makes the services that depend on it unknown, and no other."""
    world.toml += '\n[services.gone]\npaths = ["/shared/"]\n'
    world.cloud.deploy(WORKER, commit=world.first)
    statuses = {each.service: each.report.status for each in world.outcome().services}
    assert statuses == {WORKER: "identical", "gone": "unknown"}


def test_the_deadline_holds_while_cloud_run_hangs(world: World) -> None:
    """A check ends at its deadline, with the cause and what the other side did answer."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.fault("GetService", hang=True)

    def reported(seconds: float) -> DriftReport:
        world.environ = {"DRIFT_DEADLINE": f"{seconds:g}s"}
        return world.verdict().report

    report = in_time(reported, late=lambda report: report.target is None)
    assert report.unknown is not None
    assert report.unknown.cause == "timeout"
    assert report.target is not None


def test_the_front_door_reports_and_never_raises_for_drift(world: World) -> None:
    """``check_worker_drift`` compares, whatever comes out."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(5):
        world.change()
    drift = check_worker_drift(settings=world.settings())
    assert drift["commits_behind"] > 3
    assert drift.commits_behind == dict(drift)["commits_behind"] == drift.get("commits_behind") == 5
    assert "commits_behind" in drift
    assert drift.get("nothing", 7) == 7
    with pytest.raises(KeyError):
        drift["nothing"]


def test_the_front_door_raises_where_it_cannot_know(world: World) -> None:
    """The error carries cause and report; nothing is called current by mistake."""
    with pytest.raises(DriftCheckError) as caught:
        check_worker_drift(settings=world.settings())
    assert caught.value.cause == "not-found"
    assert caught.value.report is not None
    assert caught.value.report.status == "unknown"


def test_a_refusal_names_everything(world: World) -> None:
    """Live commit, target, the missing commits, the age, and lines to paste."""
    world.cloud.deploy(WORKER, commit=world.first)
    shas = [world.change() for _ in range(4)]
    with pytest.raises(DeploymentDriftError) as caught:
        require_current_worker(settings=world.settings())
    message = str(caught.value)
    assert not isinstance(caught.value, DriftUnknownError)
    for words in (
        world.first[:12],
        *[sha[:12] for sha in shas],
        "change 4",
        "age",
        "gcloud run deploy",
        "DRIFT_SKIP_CHECK=1",
    ):
        assert words in message
    assert caught.value.verdict is not None
    assert caught.value.verdict.decision == "deny"


def test_not_knowing_is_an_error_of_its_own(world: World) -> None:
    """``DriftUnknownError`` tells an operator that nothing is known to be stale."""
    with pytest.raises(DriftUnknownError, match="could not be determined"):
        require_current_worker(settings=world.settings())


class Broken:
    """A sink that fails."""

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Fails."""
        raise RuntimeError(f"no place for {verdicts[0].service}")


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Remembers."""
        self.verdicts.extend(verdicts)


def test_a_failing_sink_changes_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is warned about, and the next sink still gets the verdict."""
    world.cloud.deploy(WORKER, commit=world.first)
    kept = Kept()
    gate.write([world.verdict()], [Broken(), kept])
    assert len(kept.verdicts) == 1
    assert "Broken could not keep the verdict on prediction-worker: no place" in caplog.text


def test_a_check_leaves_no_thread_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started for a check that went well ends with it, or once it would have told of a long wait."""
    monkeypatch.setattr(deadline, "LOG_AFTER_S", OVER_S)
    world.cloud.deploy(WORKER, commit=world.first)
    before = set(threading.enumerate())
    world.verdict()
    ours = [each for each in set(threading.enumerate()) - before if each.name.startswith("drift-gate")]
    for thread in ours:
        thread.join(ENOUGH_S)
    assert [each.name for each in ours if each.is_alive()] == []


def test_a_live_revision_with_a_tag_has_an_address_of_its_own(world: World) -> None:
    """At which a coordinator may keep a batch; not part of the published JSON."""
    revision = world.cloud.deploy(WORKER, commit=world.first)
    assert world.verdict().report.live[0].url is None
    world.cloud.set_traffic(WORKER, {revision: 100}, tags={"judged": revision})
    (live,) = world.verdict().report.live
    assert live.url == f"https://judged---{WORKER}.example"
    assert "url" not in live.model_dump(mode="json")


def test_a_check_that_takes_its_time_says_what_it_waits_for(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Cloud Run answers only once the sentence is there."""
    world.cloud.deploy(WORKER, commit=world.first)
    monkeypatch.setattr(deadline, "LOG_AFTER_S", 0.0)
    caplog.set_level(logging.INFO, "drift_gate")
    sentence = f"waiting for what is live, and what should be, of {WORKER}, until "

    def until_said() -> None:
        while not any(said.startswith(sentence) for said in caplog.messages):
            time.sleep(0.01)

    world.cloud.before("GetService", until_said)
    assert world.verdict().decision == "allow"
