"""A table of Cloud Run states: how each came about, and what the gate has to learn from it.

Every state is served by a loopback Cloud Run Admin API and read through Google's own clients. The
expectation is written as text, one line per fact; ``AAAA`` and so on stand for 40-digit commits:

    100% w-1 label:commit-sha=AAAA tag=AAAA      a revision with traffic, and its evidence in order
    50% w-2 unknown:not-found                    one that could not be read
    tag canary w-2                               answers at a tag URL only
    service says commit-sha=AAAA                 the workload's own label: a hint, no evidence
    rollout-failed                               a finding
    error no-serving-revision                    nothing could be said at all
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from google.cloud import run_v2

from drift_gate.errors import SourceError
from drift_gate.facts import Kind, Live
from drift_gate.policy.codes import REASONS
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.testing.cloud_run import FakeCloudRun

W = "w"
A, B, C = "a" * 40, "b" * 40, "c" * 40
FULL = "projects/test-project/locations/us-west2/services/w/revisions/"


@dataclass(frozen=True)
class State:
    """``build`` makes the state out of an empty region; ``expected`` is what has to be read from it."""

    name: str
    build: Callable[[FakeCloudRun], object]
    expected: str
    kind: Kind = "service"


def deploy(cloud: FakeCloudRun, number: int, commit: str | None = None, **more: object) -> None:
    """The revision w-NUMBER of the one service, with an image that is known by digest only."""
    settings = {"image": "registry.example/w@sha256:" + "0" * 64, **more}
    cloud.deploy(W, commit=commit, revision=f"w-{number}", **settings)  # type: ignore[arg-type]  # rows mix types


def two(cloud: FakeCloudRun) -> None:
    """w-1 at A, then w-2 at B; the traffic follows the latest."""
    deploy(cloud, 1, A)
    deploy(cloud, 2, B)


def split(shares: dict[str, int], **tags: str) -> Callable[[FakeCloudRun], object]:
    """``two``, with the traffic shared out by hand and revisions at tags of their own."""

    def build(cloud: FakeCloudRun) -> None:
        two(cloud)
        cloud.set_traffic(W, shares, tags=tags)

    return build


# How the states that take more than a line came about


def stamped_by_cloud_build(cloud: FakeCloudRun) -> None:
    cloud.deploy(W, commit=A, revision="w-1")


def rolled_back(cloud: FakeCloudRun) -> None:
    two(cloud)
    cloud.pin(W, "w-1")


def deployed_after_a_rollback(cloud: FakeCloudRun) -> None:
    rolled_back(cloud)
    deploy(cloud, 3, C)


def deployed_without_traffic(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    deploy(cloud, 2, B, traffic=False)


split_by_name = split({"w-1": 10, "w-2": 90})


def split_over_old_ones(cloud: FakeCloudRun) -> None:
    two(cloud)
    deploy(cloud, 3, C)
    cloud.set_traffic(W, {"w-1": 50, "w-2": 50})


def traffic_held_by_a_tag_entry(cloud: FakeCloudRun) -> None:
    two(cloud)
    cloud.services[W].traffic_statuses = [
        run_v2.TrafficTargetStatus(type_=2, revision="w-1", percent=100, tag="blue", uri="https://blue")
    ]


def full_names_in_the_traffic(cloud: FakeCloudRun) -> None:
    two(cloud)
    cloud.services[W].traffic_statuses = [
        run_v2.TrafficTargetStatus(type_=2, revision=FULL + "w-2", percent=70),
        run_v2.TrafficTargetStatus(type_=2, revision="w-2", percent=30),
    ]


def latest_entry_with_a_name(cloud: FakeCloudRun) -> None:
    two(cloud)
    cloud.services[W].traffic_statuses = [run_v2.TrafficTargetStatus(type_=1, revision="w-1", percent=100)]


def wanted_but_not_yet_so(cloud: FakeCloudRun) -> None:
    rolled_back(cloud)
    cloud.services[W].traffic = [run_v2.TrafficTarget(type_=1, percent=100)]


def over_a_hundred(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.set_traffic(W, {"latest": 60, "w-1": 60})


def reconciling(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    deploy(cloud, 2, B, ready=False)
    cloud.services[W].reconciling = True


def not_yet_observed(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.services[W].generation += 1


def pending_condition(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.services[W].terminal_condition = run_v2.Condition(state=run_v2.Condition.State.CONDITION_PENDING)


def created_and_neither_ready_nor_failed(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.services[W].latest_created_revision = FULL + "w-2"


def failed_deploy(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    deploy(cloud, 2, B, ready=False)


def failed_condition_beside_the_terminal_one(cloud: FakeCloudRun) -> None:
    failed_deploy(cloud)
    service = cloud.services[W]
    service.conditions = [service.terminal_condition]
    service.terminal_condition = run_v2.Condition()


def failed_deploy_of_a_pinned_service(cloud: FakeCloudRun) -> None:
    rolled_back(cloud)
    deploy(cloud, 3, C, ready=False)


def healthy_again_after_a_failure(cloud: FakeCloudRun) -> None:
    failed_deploy(cloud)
    deploy(cloud, 3, C)


def label_only_on_the_service(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, labels={}, service_labels={"commit-sha": B})


def service_label_ahead_of_what_serves(cloud: FakeCloudRun) -> None:
    deployed_without_traffic(cloud)
    cloud.services[W].labels = {"commit-sha": B, "managed-by": "github-actions"}


def secret_and_literal_variables(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1)
    secret = run_v2.EnvVarSource(secret_key_ref=run_v2.SecretKeySelector(secret="s", version="1"))
    cloud.revisions["w-1"].containers[0].env = [
        run_v2.EnvVar(name="GIT_SHA", value_source=secret),
        run_v2.EnvVar(name="COMMIT_SHA", value=A),
        run_v2.EnvVar(name="BUILD_COMMIT", value=""),
    ]


def sidecar_first(cloud: FakeCloudRun, variable: str = "UPSTREAM_SHA") -> None:
    deploy(cloud, 1)
    cloud.revisions["w-1"].containers = [
        run_v2.Container(image="proxy.example/sidecar:v2", env=[run_v2.EnvVar(name=variable, value=C)]),
        run_v2.Container(
            image=f"registry.example:5000/w:{A}", ports=[run_v2.ContainerPort(container_port=8080)]
        ),
    ]


def no_ports_anywhere(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1)
    cloud.revisions["w-1"].containers = [
        run_v2.Container(image="registry.example/w:one"), run_v2.Container(image="registry.example/w:two"),
    ]  # fmt: skip


def zip_deploy_without_an_image(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, image="")


def no_time_of_creation(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    run_v2.Revision.pb(cloud.revisions["w-1"]).ClearField("create_time")


def no_container_at_all(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1)
    cloud.revisions["w-1"].containers = []


def deleted_between_the_reads(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)

    def replaced() -> None:
        deploy(cloud, 2, B)
        del cloud.revisions["w-1"]

    cloud.before("GetRevision", replaced)


def deleted_and_still_named(cloud: FakeCloudRun) -> None:
    split_by_name(cloud)
    del cloud.revisions["w-1"]


def one_of_two_forbidden(cloud: FakeCloudRun) -> None:
    split_by_name(cloud)
    cloud.fault("GetRevision", resource="w-1", code="PERMISSION_DENIED")


def impossible_time(cloud: FakeCloudRun) -> None:
    split_by_name(cloud)
    run_v2.Revision.pb(cloud.revisions["w-1"]).create_time.seconds = 10**12


def foreign_revision_in_the_answer(cloud: FakeCloudRun) -> None:
    two(cloud)
    cloud.revisions["w-2"] = run_v2.Revision(service=W)


def empty_service_in_the_answer(cloud: FakeCloudRun) -> None:
    cloud.services[W] = run_v2.Service()


def no_traffic_entries(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.services[W].traffic_statuses = []


def nothing_but_a_tag(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.set_traffic(W, {}, tags={"canary": "w-1"})


def never_ready(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A, ready=False)


def first_deploy_under_way(cloud: FakeCloudRun) -> None:
    never_ready(cloud)
    cloud.services[W].reconciling = True


def traffic_for_nobody(cloud: FakeCloudRun) -> None:
    deploy(cloud, 1, A)
    cloud.services[W].traffic_statuses = [run_v2.TrafficTargetStatus(type_=2, percent=100)]


def worker_pool(cloud: FakeCloudRun) -> None:
    cloud.deploy(W, kind="worker-pool", commit=A, revision="w-1")


def worker_pool_pinned(cloud: FakeCloudRun) -> None:
    worker_pool(cloud)
    cloud.deploy(W, kind="worker-pool", commit=B, revision="w-2", traffic=False)


def worker_pool_split(cloud: FakeCloudRun) -> None:
    worker_pool_pinned(cloud)
    cloud.set_traffic(W, {"w-1": 50, "latest": 50}, kind="worker-pool")


def worker_pool_whose_revisions_cannot_be_read(cloud: FakeCloudRun) -> None:
    worker_pool(cloud)
    cloud.fault("GetRevision", code="UNIMPLEMENTED")


def job(cloud: FakeCloudRun) -> None:
    cloud.deploy(W, kind="job", commit=A, env={"GIT_SHA": B})


def job_being_updated(cloud: FakeCloudRun) -> None:
    cloud.deploy(W, kind="job", labels={"git-sha": "abc1234"}, image="registry.example/w@sha256:0")
    cloud.jobs[W].generation += 1


def with_labels(labels: dict[str, str]) -> Callable[[FakeCloudRun], object]:
    return lambda cloud: deploy(cloud, 1, labels=labels)


def with_image(image: str) -> Callable[[FakeCloudRun], object]:
    return lambda cloud: deploy(cloud, 1, image=image)


STATES = [
    # Where the traffic goes
    State("LATEST without a name", lambda c: two(c),
          "100% w-2 label:commit-sha=BBBB | service says commit-sha=BBBB"),
    State("rolled back", rolled_back,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | traffic-pinned"),
    State("deployed after a rollback", deployed_after_a_rollback,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=CCCC | traffic-pinned"),
    State("--no-traffic", deployed_without_traffic,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | traffic-pinned"),
    State("pinned to the newest", split({"w-2": 100}),
          "100% w-2 label:commit-sha=BBBB | service says commit-sha=BBBB"),
    State("split by name", split_by_name,
          "90% w-2 label:commit-sha=BBBB | 10% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB"
          " | traffic-split"),
    State("split with LATEST", split({"w-1": 25, "latest": 75}),
          "75% w-2 label:commit-sha=BBBB | 25% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB"
          " | traffic-split"),
    State("LATEST and the same by name", split({"latest": 60, "w-2": 40}),
          "100% w-2 label:commit-sha=BBBB | service says commit-sha=BBBB"),
    State("split over old ones", split_over_old_ones,
          "50% w-1 label:commit-sha=AAAA | 50% w-2 label:commit-sha=BBBB | service says commit-sha=CCCC"
          " | traffic-pinned | traffic-split"),
    State("canary at a tag", split({"w-1": 100}, canary="w-2"),
          "100% w-1 label:commit-sha=AAAA | tag canary w-2 | service says commit-sha=BBBB | traffic-pinned"),
    State("a tag on what serves", split({"latest": 100}, stable="w-2", old="w-1"),
          "100% w-2 label:commit-sha=BBBB | tag old w-1 | service says commit-sha=BBBB"),
    State("LATEST at a tag", split({"w-1": 100}, newest="latest"),
          "100% w-1 label:commit-sha=AAAA | tag newest w-2 | service says commit-sha=BBBB | traffic-pinned"),
    State("traffic held by a tag entry", traffic_held_by_a_tag_entry,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | traffic-pinned"),
    State("full and short names", full_names_in_the_traffic,
          "100% w-2 label:commit-sha=BBBB | service says commit-sha=BBBB"),
    State("LATEST that names a revision", latest_entry_with_a_name,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB"),
    State("traffic asked for, not given", wanted_but_not_yet_so,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | traffic-pinned"),
    State("99 percent", split({"w-1": 50, "w-2": 49}),
          "50% w-1 label:commit-sha=AAAA | 49% w-2 label:commit-sha=BBBB | 1% - unknown:invalid-response"
          " | service says commit-sha=BBBB | traffic-split | traffic-incomplete"),
    State("120 percent", over_a_hundred,
          "120% w-1 label:commit-sha=AAAA | 0% - unknown:invalid-response"
          " | service says commit-sha=AAAA | traffic-incomplete"),
    # How the rollout stands
    State("reconciling", reconciling,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | rollout-in-progress"),
    State("generation not yet observed", not_yet_observed,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=AAAA | rollout-in-progress"),
    State("pending", pending_condition,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=AAAA | rollout-in-progress"),
    State("created, neither ready nor failed", created_and_neither_ready_nor_failed,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=AAAA | rollout-in-progress"),
    State("failed deploy", failed_deploy,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | rollout-failed"),
    State("failure in another condition", failed_condition_beside_the_terminal_one,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | rollout-failed"),
    State("failed deploy of a pinned service", failed_deploy_of_a_pinned_service,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=CCCC | rollout-failed | traffic-pinned"),
    State("healthy again", healthy_again_after_a_failure,
          "100% w-3 label:commit-sha=CCCC | service says commit-sha=CCCC"),
    # What names the commit
    State("label and tag", stamped_by_cloud_build,
          "100% w-1 label:commit-sha=AAAA tag=AAAA | service says commit-sha=AAAA"),
    State("no evidence", lambda c: deploy(c, 1), "100% w-1"),
    State("label on the service only", label_only_on_the_service, "100% w-1 | service says commit-sha=BBBB"),
    State("service label ahead", service_label_ahead_of_what_serves,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=BBBB | traffic-pinned"),
    State("label says no commit", with_labels({"commit-sha": "main"}), "100% w-1 label:commit-sha=main"),
    State("label is empty", with_labels({"git-sha": ""}), "100% w-1 label:git-sha="),
    State("label in upper case", with_labels({"commit-sha": "ABCDEF1"}), "100% w-1 label:commit-sha=ABCDEF1"),
    State("label of digits", with_labels({"commit-sha": "20260205"}), "100% w-1 label:commit-sha=20260205"),
    State("dirty label", with_labels({"commit-sha": "abc1234-dirty"}),
          "100% w-1 label:commit-sha=abc1234-dirty"),
    State("label like an option", with_labels({"commit-sha": "--output=pwned"}),
          "100% w-1 label:commit-sha=--output=pwned"),
    State("two labels, in the order of the keys", with_labels({"git-commit": "2", "commit_sha": "1"}),
          "100% w-1 label:commit_sha=1 label:git-commit=2"),
    State("hash of firebase", with_labels({"firebase-functions-hash": A}), "100% w-1"),
    State("moving tag", with_image("registry.example/w:latest"), "100% w-1 tag=latest"),
    State("tag and digest", with_image(f"registry.example/w:{A}@sha256:{'0' * 64}"), "100% w-1 tag=AAAA"),
    State("registry with a port, no tag", with_image("registry.example:5000/team/w"), "100% w-1"),
    State("variables", lambda c: deploy(c, 1, env={"GIT_SHA": A, "BUILD_COMMIT": B, "PATH": C}),
          "100% w-1 env:BUILD_COMMIT=BBBB env:GIT_SHA=AAAA"),
    State("secret and empty variables", secret_and_literal_variables, "100% w-1 env:COMMIT_SHA=AAAA"),
    State("sidecar first", sidecar_first, "100% w-1 tag=AAAA"),
    State("from elsewhere, with a commit", lambda c: sidecar_first(c, "GIT_SHA"),
          "100% w-1 tag=AAAA | 100% w-1 tag=v2 env:GIT_SHA=CCCC"),
    State("no ports: each container", no_ports_anywhere, "100% w-1 tag=one | 100% w-1 tag=two"),
    State("zip deploy", zip_deploy_without_an_image, "100% w-1"),
    State("no container", no_container_at_all, "100% w-1"),
    State("no time of creation", no_time_of_creation,
          "100% w-1 label:commit-sha=AAAA | service says commit-sha=AAAA"),
    # What cannot be read
    State("deleted between the reads", deleted_between_the_reads,
          "100% w-2 label:commit-sha=BBBB | service says commit-sha=BBBB"),
    State("deleted and still named", deleted_and_still_named,
          "90% w-2 label:commit-sha=BBBB | 10% w-1 unknown:not-found | service says commit-sha=BBBB"
          " | traffic-split"),
    State("one of two forbidden", one_of_two_forbidden,
          "90% w-2 label:commit-sha=BBBB | 10% w-1 unknown:permission-denied | service says commit-sha=BBBB"
          " | traffic-split"),
    State("impossible time", impossible_time,
          "90% w-2 label:commit-sha=BBBB | 10% w-1 unknown:invalid-response | service says commit-sha=BBBB"
          " | traffic-split"),
    State("empty revision", foreign_revision_in_the_answer,
          "100% w-2 unknown:invalid-response | service says commit-sha=BBBB"),
    State("empty service", empty_service_in_the_answer, "error invalid-response"),
    State("no traffic", no_traffic_entries, "error no-serving-revision"),
    State("nothing but a tag", nothing_but_a_tag, "error no-serving-revision"),
    State("never ready", never_ready, "error no-serving-revision"),
    State("first deploy under way", first_deploy_under_way, "error no-serving-revision"),
    State("traffic for nobody", traffic_for_nobody, "error invalid-response"),
    State("negative percent", split({"w-1": -50, "w-2": 150}), "error invalid-response"),
    State("no such service", lambda c: None, "error not-found"),
    # The other kinds
    State("worker pool", worker_pool,
          "100% w-1 label:commit-sha=AAAA tag=AAAA | service says commit-sha=AAAA", "worker-pool"),
    State("worker pool, pinned", worker_pool_pinned,
          "100% w-1 label:commit-sha=AAAA tag=AAAA | service says commit-sha=BBBB"
          " | traffic-pinned", "worker-pool"),
    State("worker pool, split", worker_pool_split,
          "50% w-1 label:commit-sha=AAAA tag=AAAA | 50% w-2 label:commit-sha=BBBB tag=BBBB"
          " | service says commit-sha=BBBB | traffic-split", "worker-pool"),
    State("worker pool, revisions not served", worker_pool_whose_revisions_cannot_be_read,
          "100% w-1 unknown:not-found | service says commit-sha=AAAA", "worker-pool"),
    State("service asked for as a worker pool", rolled_back, "error not-found", "worker-pool"),
    State("job", job,
          "100% - label:commit-sha=AAAA tag=AAAA env:GIT_SHA=BBBB | service says commit-sha=AAAA", "job"),
    State("job being updated", job_being_updated,
          "100% - label:git-sha=abc1234 | rollout-in-progress", "job"),
    State("no such job", lambda c: None, "error not-found", "job"),
]  # fmt: skip


def picture(live: Live) -> list[str]:
    """``live`` in the words of the table."""
    lines = []
    for one in live.revisions:
        words = [f"{one.percent}% {one.revision or '-'}"]
        for evidence in one.evidence:
            carrier = {
                "revision-label": f"label:{evidence.key}",
                "image-tag": "tag",
                "env": f"env:{evidence.key}",
            }
            words.append(f"{carrier[evidence.carrier]}={evidence.value}")
        words += [f"unknown:{one.unknown.cause}"] if one.unknown else []
        lines.append(" ".join(words))
    lines += [f"tag {tagged.tag} {tagged.revision}" for tagged in live.tagged]
    lines += [f"service says {claim.key}={claim.value}" for claim in live.service_claims]
    return [*lines, *(finding.code for finding in live.findings)]


def read(cloud: FakeCloudRun, kind: Kind) -> list[str]:
    source = CloudRun(
        service=W,
        kind=kind,
        project=cloud.project,
        region=cloud.region,
        deadline=Deadline(60),
        clients=Clients(cloud.host),
    )
    try:
        return picture(source.read())
    except SourceError as error:
        return [f"error {error.cause}"]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_a_state_is_read_as_the_table_says(state: State) -> None:
    with FakeCloudRun() as cloud:
        state.build(cloud)
        seen = " | ".join(read(cloud, state.kind))
    assert re.sub(r"(a|b|c)\1{39}", lambda hit: hit[1].upper() * 4, seen) == state.expected


def test_the_table_is_long_enough_and_names_only_published_findings() -> None:
    """At least 30 states, no two of one name, and every word for a finding is a reason code."""
    assert len(STATES) >= 30
    assert len({state.name for state in STATES}) == len(STATES)
    facts = {fact for state in STATES for fact in state.expected.split(" | ")}
    findings = {fact for fact in facts if " " not in fact}
    assert findings <= set(REASONS)
    assert findings == {
        "rollout-in-progress", "rollout-failed", "traffic-pinned", "traffic-split", "traffic-incomplete",
    }  # fmt: skip
