"""A service that changes while it is checked, whose traffic is no whole, or that is about to be another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from support.world import WORKER, World, codes

from drift_gate import gate
from drift_gate.facts import Live, Unknown
from drift_gate.policy.verdict import Verdict
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.wiring import rollouts


def lacking(world: World) -> tuple[str, str]:
    """A commit that lacks more than is allowed, and the target."""
    return world.first, [world.change() for _ in range(5)][-1]


def gets(world: World) -> int:
    return sum(call.method == "GetService" for call in world.cloud.calls)


def when_read(world: World, times: int) -> None:
    """Change the service each time that a revision is read: between that and the last question."""
    service = world.cloud.services[WORKER]
    for number in range(times):
        world.cloud.before("GetRevision", partial(setattr, service, "etag", f"e{number}"))


@pytest.mark.parametrize("shares", [{"latest": 1}, {"latest": 99}, {"latest": 60, "w-1": 60}])
def test_traffic_that_is_no_whole_is_unknown_for_now(world: World, shares: dict[str, int]) -> None:
    _, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new, revision="w-1")
    world.cloud.deploy(WORKER, commit=new, revision="w-2")
    world.cloud.set_traffic(WORKER, shares)
    verdict = world.verdict()
    assert verdict.decision == "deny"
    (unknown,) = [reason for reason in verdict.reasons if reason.code == "unknown-drift"]
    assert (unknown.data["cause"], unknown.data["retryable"]) == ("invalid-response", True)
    assert f"sum to {sum(shares.values())}, not to 100" in unknown.message
    assert "traffic-incomplete" in codes(verdict)


def test_a_denial_is_a_denial_whatever_the_rest_of_the_traffic_does(world: World) -> None:
    old, _ = lacking(world)
    world.cloud.deploy(WORKER, commit=old)
    world.cloud.set_traffic(WORKER, {"latest": 50})
    verdict = world.verdict()
    assert {"too-many-commits-behind", "unknown-drift"} <= set(codes(verdict))
    assert not verdict.refuses_unknown


def test_a_split_in_motion_is_read_once_more(world: World) -> None:
    _, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new)
    world.cloud.set_traffic(WORKER, {"latest": 40})
    world.cloud.before("GetRevision", lambda: world.cloud.set_traffic(WORKER, "latest"))
    assert (world.verdict().decision, gets(world)) == ("allow", 3)


def test_what_is_current_is_asked_once_more_and_what_is_denied_is_not(world: World) -> None:
    old, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new)
    assert (world.verdict().decision, gets(world)) == ("allow", 2)
    world.cloud.deploy(WORKER, commit=old)
    assert (world.verdict().decision, gets(world)) == ("deny", 3)


@pytest.mark.parametrize("kind", ["service", "worker-pool"])
def test_a_deploy_in_the_middle_of_a_check_is_what_is_judged(world: World, kind: str) -> None:
    old, new = lacking(world)
    world.toml += f'kind = "{kind}"\n'
    made = {"kind": kind, "commit": old}
    world.cloud.deploy(WORKER, kind=kind, commit=new)  # type: ignore[arg-type]
    world.cloud.before("GetRevision", lambda: world.cloud.deploy(WORKER, **made))  # type: ignore[arg-type]
    verdict = world.verdict()
    assert (verdict.decision, verdict.report.live[0].commit) == ("deny", old)


def test_a_service_that_never_stands_still_is_unknown_for_now(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    when_read(world, gate.LOOKS)
    verdict = world.verdict()
    assert (verdict.decision, codes(verdict)) == ("deny", ["unknown-drift"])
    assert (verdict.reasons[0].data["cause"], verdict.reasons[0].data["retryable"]) == ("timeout", True)
    assert "changed while it was checked" in verdict.reasons[0].message


def test_one_that_comes_to_rest_is_judged(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    when_read(world, gate.LOOKS - 1)
    assert world.verdict().decision == "allow"


def test_one_that_cannot_be_asked_again_is_unknown(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.before("GetRevision", lambda: world.cloud.fault("GetService", code="PERMISSION_DENIED"))
    verdict = world.verdict()
    assert (verdict.decision, verdict.reasons[0].data["cause"]) == ("deny", "permission-denied")


def test_only_the_service_that_changed_is_looked_at_again(world: World) -> None:
    world.toml += '\n[services.other]\npaths = ["/shared/"]\n'
    for name in (WORKER, "other"):
        world.cloud.deploy(name, commit=world.first)
    world.cloud.before("GetRevision", lambda: setattr(world.cloud.services["other"], "etag", "new"))
    assert {each.decision for each in world.outcome().services} == {"allow"}
    asked = [call.resource.rsplit("/", 1)[1] for call in world.cloud.calls if call.method == "GetService"]
    assert asked.count(WORKER) == 2


def test_what_a_rollout_brings_is_judged_before_it_lands(world: World) -> None:
    old, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new)
    world.cloud.roll_out(WORKER, commit=old)
    verdict = world.verdict()
    assert (verdict.decision, verdict.report.status, codes(verdict)[0]) == (
        "deny",
        "identical",
        "rollout-in-progress",
    )
    assert verdict.reasons[0].data["would_deny"] == ["too-many-commits-behind"]
    assert "once it has landed, that is denied: too-many-commits-behind" in verdict.reasons[0].message


def test_a_rollout_of_a_commit_that_nobody_has_is_denied(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit="c0ffee" + "0" * 34)
    assert world.verdict().decision == "deny"


@pytest.mark.parametrize("more", [{"image": "r/w@sha256:" + "a" * 64, "labels": {}}, {"commit": None}])
def test_a_rollout_of_which_nobody_says_what_it_brings_warns(world: World, more: dict[str, Any]) -> None:
    """Whoever goes by the registry's labels has no other mark; that is judged once it has landed."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, **more)
    assert world.verdict().decision == "warn"


def test_the_policy_has_the_last_word_on_rollouts(world: World) -> None:
    old, new = lacking(world)
    world.toml += '[policy]\nreasons = {rollout-in-progress = "allow"}\n'
    world.cloud.deploy(WORKER, commit=new)
    world.cloud.roll_out(WORKER, commit=old)
    assert "deny" not in [reason.decision for reason in world.verdict().reasons]


def test_whoever_waits_for_a_rollout_waits_as_before(world: World) -> None:
    """What serves is fine; the verdict falls on what has landed, which may be another rollout's."""
    old, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new)
    world.cloud.roll_out(WORKER, commit=old)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.cloud.land(WORKER)

    outcome = rollouts.check(wait=60, settings=world.settings(), pace=rollouts.Pace(sleep=sleep))
    assert (len(slept), outcome.decision, codes(outcome.services[0])[0]) == (
        1,
        "deny",
        "too-many-commits-behind",
    )


def test_nothing_is_to_be_waited_for_where_the_rollout_is_what_denies(world: World) -> None:
    old, new = lacking(world)
    world.cloud.deploy(WORKER, commit=new)
    world.cloud.roll_out(WORKER, commit=old, since=datetime.now(UTC) - timedelta(minutes=1))
    verdict: Verdict = world.verdict()
    assert not rollouts.cures(verdict, settings=world.settings())


def test_the_mark_changes_with_each_part_of_what_serves(world: World) -> None:
    """Etag, generation, split and readiness: a live API need not change all of them together."""
    world.cloud.deploy(WORKER, commit=world.first)
    service = world.cloud.services[WORKER]

    def unchanged(live: Live) -> bool:
        return source().unchanged(live)

    def source() -> CloudRun:
        return CloudRun(
            service=WORKER,
            project=world.cloud.project,
            region=world.cloud.region,
            deadline=Deadline(60),
            clients=Clients(world.cloud.host),
        )

    for change in (
        partial(setattr, service, "etag", "x"),
        partial(setattr, service, "generation", 9),
        partial(setattr, service, "observed_generation", 9),
        partial(setattr, service, "latest_created_revision", "a/b/w-9"),
        partial(setattr, service.traffic_statuses[0], "percent", 50),
    ):
        live = source().read()
        assert unchanged(live)
        change()
        assert not unchanged(live)


def test_a_ledger_is_read_once_more(world: World) -> None:
    from drift_gate.sources import ledger

    path = world.folder / "ledger.jsonl"
    now = datetime.now(UTC)
    ledger.record(path, WORKER, world.first, now)
    source = ledger.Ledger(path=path, service=WORKER)
    live = source.read()
    assert source.unchanged(live)
    ledger.record(path, WORKER, world.first, now + timedelta(seconds=1))
    assert not source.unchanged(live)


def test_the_sentence_of_an_incomplete_split_is_a_cause_that_may_heal() -> None:
    from drift_gate.sources.cloud_run.states import Workload, incomplete

    workload = Workload(
        name="w",
        kind="service",
        project="p",
        region="r",
        entries=(),
        ready="",
        created="",
        changing=False,
        failure=None,
    )
    assert incomplete(workload, {"a": 60, "b": 40}) is None
    for total in (*range(1, 100), 101, 200):
        why = incomplete(workload, {"a": total})
        assert isinstance(why, Unknown)
        assert why.retryable
