"""A rollout that is under way, stalled, failed or landed: what the gate says, and what would be live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes

from drift_gate.policy.verdict import Reason
from drift_gate.testing.cloud_run import FakeCloudRun

LINK = "https://console.cloud.google.com/logs/viewer?resource=newest"


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def rollout(world: World) -> Reason:
    """The one reason that speaks of a rollout."""
    (found,) = [each for each in world.verdict().reasons if each.code.startswith("rollout-")]
    return found


@pytest.mark.parametrize(
    ("minutes", "timeout", "code", "decision"),
    [
        (29, "30m", "rollout-in-progress", "warn"),
        (31, "30m", "rollout-stalled", "deny"),
        (31, "2h", "rollout-in-progress", "warn"),
        (3, "2m", "rollout-stalled", "deny"),
        (-60, "30m", "rollout-in-progress", "warn"),
        (None, "30m", "rollout-in-progress", "warn"),
    ],
    ids=["young", "old", "patient", "impatient", "a clock that is ahead", "no time given"],
)
def test_a_rollout_is_stalled_once_it_is_known_to_be_too_old(
    world: World, minutes: int | None, timeout: str, code: str, decision: str
) -> None:
    world.toml = world.toml.replace("[defaults]", f'[defaults]\nrollout_timeout = "{timeout}"')
    world.cloud.deploy(WORKER, commit=world.first)
    since = None if minutes is None else ago(minutes)
    world.cloud.roll_out(WORKER, commit=world.first, since=since)
    verdict = world.verdict()
    assert (codes(verdict), verdict.decision) == ([code], decision)


def test_half_an_hour_is_built_in(world: World) -> None:
    assert world.settings().service(WORKER).rollout_timeout == 1800


def test_the_time_of_a_condition_that_succeeded_is_that_of_the_rollout_before(world: World) -> None:
    """A deploy that was only just asked for leaves the old condition in place for a moment."""
    world.cloud.deploy(WORKER, commit=world.first)
    service = world.cloud.services[WORKER]
    service.terminal_condition.last_transition_time = ago(600)
    service.generation += 1
    assert codes(world.verdict()) == ["rollout-in-progress"]


def test_without_a_time_of_the_whole_the_longest_waiting_part_counts(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit=world.first)
    pending = run_v2.Condition.State.CONDITION_PENDING
    world.cloud.services[WORKER].conditions = [
        run_v2.Condition(type_="RoutesReady", state=pending, last_transition_time=ago(10)),
        run_v2.Condition(type_="ConfigurationsReady", state=pending, last_transition_time=ago(50)),
    ]
    reason = rollout(world)
    assert (reason.code, reason.data["under_way_s"] // 60) == ("rollout-stalled", 50)


def test_a_rollout_that_overtakes_a_stalled_one_gets_its_own_time(world: World) -> None:
    """The condition keeps its time when a second deploy comes before the first is over."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit=world.first, since=ago(50), created_at=ago(2))
    reason = rollout(world)
    assert (reason.code, reason.data["under_way_s"] // 60) == ("rollout-in-progress", 2)


def test_a_time_out_of_range_is_no_time(world: World) -> None:
    """Such an answer cannot be built with the library's own types; it is made of bytes."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit=world.first, since=ago(50))
    condition = run_v2.Condition.pb(world.cloud.services[WORKER].terminal_condition)
    condition.last_transition_time.seconds = 10**15
    assert codes(world.verdict()) == ["rollout-in-progress"]


def test_it_says_which_commit_would_be_live_since_when_and_where_the_log_is(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    newest = world.change()
    name = world.cloud.roll_out(WORKER, commit=newest, since=ago(5))
    world.cloud.revisions[name].log_uri = LINK
    reason = rollout(world)
    assert (
        f"for 5 min; its newest revision is {name}; it would make the commit {newest[:12]}" in reason.message
    )
    assert "revision-label commit-sha=" in reason.message
    assert (reason.data["created"], reason.data["commit"], reason.data["log_uri"]) == (name, newest, LINK)


def test_a_failed_one_says_what_it_would_have_made_live_and_why_it_did_not(world: World) -> None:
    """The link of the platform's message counts first, the revision's own where it has none."""
    world.cloud.deploy(WORKER, commit=world.first)
    newest = world.change()
    name = world.cloud.deploy(WORKER, commit=newest, ready=False)
    world.cloud.revisions[name].log_uri = LINK
    reason = rollout(world)
    assert reason.code == "rollout-failed"
    assert f"it would have made the commit {newest[:12]} live" in reason.message
    assert "The user-provided container failed to start" in reason.message
    assert reason.data["log_uri"].startswith("https://console.cloud.google.com/logs/viewer?project=p")
    world.cloud.services[WORKER].terminal_condition.message = "no link"
    assert rollout(world).data["log_uri"] == LINK


@pytest.mark.parametrize(
    "uri", ["https://evil.example/", "https://console.cloud.google.com/\x1b[31m", "x" * 9]
)
def test_a_log_link_leads_to_the_console_or_is_none(world: World, uri: str) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.revisions[world.cloud.roll_out(WORKER, commit=world.first)].log_uri = uri
    assert rollout(world).data["log_uri"] is None


def test_a_newest_revision_that_cannot_be_read_harms_no_verdict(world: World) -> None:
    """NOT_FOUND is normal for one that gets no traffic; the answer stays the known one."""
    world.cloud.deploy(WORKER, commit=world.first)
    del world.cloud.revisions[world.cloud.roll_out(WORKER, commit=world.first)]
    verdict = world.verdict()
    assert (verdict.report.status, codes(verdict)) == ("identical", ["rollout-in-progress"])
    assert rollout(world).data["commit"] is None


@pytest.mark.parametrize("fault", [{"hang": True}, {"code": "UNAVAILABLE"}], ids=["hangs", "is down"])
def test_a_newest_revision_does_not_use_up_the_time_of_the_check(world: World, fault: Any) -> None:
    """It only says what is to come; the history still has its share of the deadline."""
    world.cloud.deploy(WORKER, commit=world.first)
    newest = world.cloud.roll_out(WORKER, commit=world.change())
    world.cloud.fault("GetRevision", resource=newest, **fault)
    assert codes(world.verdict())[:2] == ["behind-within-limit", "rollout-in-progress"]


def test_before_there_is_a_newest_revision_the_template_says_what_comes(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    newest = world.change()
    service = world.cloud.services[WORKER]
    service.generation += 1
    service.template = run_v2.RevisionTemplate(
        labels={"commit-sha": newest}, containers=[run_v2.Container(image="worker:latest")]
    )
    assert rollout(world).data["commit"] == newest


def test_a_pinned_service_is_told_that_its_rollout_moves_nothing(world: World) -> None:
    old = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.pin(WORKER, old)
    world.cloud.roll_out(WORKER, commit=world.change())
    assert "pinned by name and would stay where it is" in rollout(world).message


def test_one_more_revision_is_read_only_while_a_rollout_is_not_over(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)

    def asked() -> list[str]:
        world.cloud.calls.clear()
        world.outcome()
        return sorted(call.resource[-5:] for call in world.cloud.calls if call.method == "GetRevision")

    assert asked() == ["00001"]
    world.cloud.roll_out(WORKER, commit=world.first)
    assert asked() == ["00001", "00002"]
    world.cloud.fail(WORKER)
    assert asked() == ["00001", "00002"]
    world.cloud.deploy(WORKER, commit=world.first)
    assert asked() == ["00003"]


def test_a_rollout_lands_or_fails(world: World) -> None:
    """From one state to the next, as the platform goes through them."""
    world.cloud.deploy(WORKER, commit=world.first)
    newest = world.change()
    name = world.cloud.roll_out(WORKER, commit=newest)
    assert codes(world.verdict())[:1] == ["behind-within-limit"]
    world.cloud.land(WORKER)
    verdict = world.verdict()
    assert ([live.revision for live in verdict.report.live], codes(verdict)) == ([name], [])
    world.cloud.roll_out(WORKER, commit=newest)
    world.cloud.fail(WORKER)
    verdict = world.verdict()
    assert ([live.revision for live in verdict.report.live], codes(verdict)) == ([name], ["rollout-failed"])


def test_a_worker_pool_rolls_out_as_a_service_does(world: World) -> None:
    world.toml = world.toml.replace("[defaults]", '[defaults]\nkind = "worker-pool"')
    world.cloud.deploy(WORKER, commit=world.first, kind="worker-pool")
    newest = world.change()
    world.cloud.roll_out(WORKER, commit=newest, kind="worker-pool", since=ago(40))
    assert (rollout(world).code, rollout(world).data["commit"]) == ("rollout-stalled", newest)
    world.cloud.land(WORKER, kind="worker-pool")
    assert codes(world.verdict()) == []


def test_a_job_has_no_rollout(fake_cloud_run: FakeCloudRun) -> None:
    with pytest.raises(ValueError, match="a job has no rollout"):
        fake_cloud_run.roll_out("grader", kind="job")


def test_a_job_that_is_changed_for_hours_is_stalled(world: World) -> None:
    world.toml = world.toml.replace("[defaults]", '[defaults]\nkind = "job"')
    world.cloud.deploy(WORKER, commit=world.first, kind="job")
    world.cloud.jobs[WORKER].reconciling = True
    world.cloud.jobs[WORKER].terminal_condition = run_v2.Condition(
        state=run_v2.Condition.State.CONDITION_RECONCILING, last_transition_time=ago(90)
    )
    assert codes(world.verdict()) == ["rollout-stalled"]
