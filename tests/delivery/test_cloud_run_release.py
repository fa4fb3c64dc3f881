"""Releases through Google's own clients, against a Cloud Run that refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from google.cloud import run_v2
from support.limits import ENOUGH_S, OVER_S

from drift_gate.delivery.contracts import Candidate
from drift_gate.delivery.release.cloud_run import CloudRunRelease
from drift_gate.errors import CandidateError, SourceError, SplitChangedError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.testing.cloud_run import FakeCloudRun, Program

A, B = "a" * 40, "b" * 40
IMAGE = "us-west2-docker.pkg.dev/p/images/w@sha256:" + "1" * 64
OTHER = "us-west2-docker.pkg.dev/p/images/w@sha256:" + "2" * 64
CRASHES = "us-west2-docker.pkg.dev/p/images/w@sha256:" + "3" * 64
TAG = "candidate"


@pytest.fixture
def programs() -> dict[str, Program]:
    return {CRASHES: Program(["false"])}


@pytest.fixture
def cloud(programs: dict[str, Program]) -> Iterator[FakeCloudRun]:
    with FakeCloudRun(project="p", region="r", programs=programs.get) as cloud:
        yield cloud


def within(seconds: float = ENOUGH_S) -> Deadline:
    return Deadline(seconds)


@pytest.fixture
def release(cloud: FakeCloudRun) -> CloudRunRelease:
    return of(cloud)


def of(cloud: FakeCloudRun, **more: Any) -> CloudRunRelease:
    named = {"service": "w", "project": "p", "region": "r", **more}
    return CloudRunRelease(clients=Clients(cloud.host), sleep=lambda _: None, **named)


def landed(release: CloudRunRelease) -> Mapping[str, int]:
    """Who serves once nothing is under way."""
    while not (split := release.read(within())).settled:
        continue
    assert split.failure is None
    return split.shares


def test_a_candidate_stands_beside_what_serves(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    """Under its tag, by digest, stamped, and nothing moves, though the traffic followed the latest."""
    cloud.deploy("w", commit=A, env={"MODE": "x"})
    candidate = release.candidate(IMAGE, B, TAG, within())
    split = release.read(within())
    assert split.shares == {"w-00001": 100}
    assert split.tags == {TAG: candidate.revision}
    assert candidate == Candidate(revision=split.tags[TAG], url="https://candidate---w.example")
    made = cloud.revisions[candidate.revision]
    assert made.containers[0].image == IMAGE
    assert dict(made.labels) == {"commit-sha": B}
    assert [(each.name, each.value) for each in made.containers[0].env] == [("MODE", "x")]
    assert cloud.services["w"].client == "deployment-drift"
    assert release.revisions(within())[0].commit == B
    assert [(each.name, each.ready) for each in release.revisions(within())] == [
        (candidate.revision, True),
        ("w-00001", True),
    ]


def test_a_repeat_makes_nothing_anew(cloud: FakeCloudRun) -> None:
    """By another process, which knows nothing of the first: no revision, no update."""
    cloud.deploy("w", commit=A)
    first = of(cloud).candidate(IMAGE, B, TAG, within())
    generation = cloud.services["w"].generation
    assert of(cloud).candidate(IMAGE, B, TAG, within()) == first
    assert cloud.services["w"].generation == generation
    assert len(cloud.revisions) == 2


def test_whatever_names_a_commit_names_the_new_one(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    """A label or a variable of the deploy before would go on naming the old one; a secret is left alone."""
    labels = {"commit-sha": A, "git-sha": A, "team": "odds"}
    cloud.deploy("w", labels=labels, env={"GIT_SHA": A, "MODE": A}, service_labels={"git-sha": A})
    made = cloud.revisions[release.candidate(IMAGE, B, TAG, within()).revision]
    assert dict(made.labels) == {"commit-sha": B, "git-sha": B, "team": "odds"}
    assert {each.name: each.value for each in made.containers[0].env} == {"GIT_SHA": B, "MODE": A}
    assert dict(cloud.services["w"].labels) == {"git-sha": A}
    release.move({str(made.name).rpartition("/")[2]: 100}, release.read(within()).etag, within())
    landed(release)
    assert dict(cloud.services["w"].labels) == {"git-sha": B}


def test_a_commit_of_sha_256_is_stamped_as_far_as_a_label_holds_it(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    cloud.deploy("w")
    candidate = release.candidate(IMAGE, "c" * 64, TAG, within())
    assert cloud.revisions[candidate.revision].labels["commit-sha"] == "c" * 63


def test_a_long_name_has_room_for_a_revision_and_cuts_the_tag(cloud: FakeCloudRun) -> None:
    """Cloud Run takes 63 letters of a revision, and 46 of a tag and its service together."""
    name = "w" * 44
    cloud.deploy(name)
    candidate = of(cloud, service=name).candidate(IMAGE, B, TAG, within())
    assert len(candidate.revision) <= 63
    assert of(cloud, service=name).read(within()).tags == {"ca": candidate.revision}
    with pytest.raises(CandidateError, match="has no room for a tag"):
        of(cloud, service="w" * 46).candidate(IMAGE, B, TAG, within())


def test_the_traffic_moves_in_steps_and_all_of_it_follows_the_latest(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    """So that whoever deploys in another way later does not find it pinned; the tag stays."""
    cloud.deploy("w", commit=A)
    new = release.candidate(IMAGE, B, TAG, within()).revision
    release.move({"w-00001": 90, new: 10}, release.read(within()).etag, within())
    assert landed(release) == {"w-00001": 90, new: 10}
    release.move({new: 100}, release.read(within()).etag, within())
    assert landed(release) == {new: 100}
    assert [each.revision for each in cloud.services["w"].traffic if each.percent] == [""]
    assert release.read(within()).tags == {TAG: new}
    release.move({"w-00001": 100}, release.read(within()).etag, within())
    assert landed(release) == {"w-00001": 100}
    assert [each.revision for each in cloud.services["w"].traffic if each.percent] == ["w-00001"]


def test_nobody_elses_change_is_overwritten(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    cloud.deploy("w", commit=A)
    new = release.candidate(IMAGE, B, TAG, within()).revision
    etag = release.read(within()).etag
    cloud.deploy("w", commit=B)
    with pytest.raises(SplitChangedError, match="was changed by somebody else"):
        release.move({new: 100}, etag, within())
    assert landed(release) == {"w-00001": 100}


def test_a_change_between_the_last_look_and_the_update_is_refused(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    cloud.deploy("w", commit=A)
    new = release.candidate(IMAGE, B, TAG, within()).revision
    etag = release.read(within()).etag
    cloud.before("UpdateService", lambda: cloud.deploy("w", commit=A))
    with pytest.raises(SplitChangedError, match="Conflict for resource 'w'"):
        release.move({new: 100}, etag, within())
    assert landed(release) == {"w-00001": 100}


def test_where_etags_are_not_heeded_the_generation_tells(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    """One person reports that Cloud Run's v2 takes an old etag: then it is told afterwards, not hidden."""
    cloud.deploy("w", commit=A)
    new = release.candidate(IMAGE, B, TAG, within()).revision
    etag = release.read(within()).etag
    cloud.updates.heeds_etags = False
    cloud.before("UpdateService", lambda: cloud.deploy("w", commit=A))
    with pytest.raises(SplitChangedError, match="at the same moment"):
        release.move({new: 100}, etag, within())


def test_a_candidate_goes_on_where_somebody_else_changed_the_workload(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    """Both are there afterwards: the other's revision, and the candidate beside it."""
    cloud.deploy("w", commit=A)
    cloud.before("UpdateService", lambda: cloud.deploy("w", commit=A))
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert release.read(within()).shares == {"w-00002": 100}
    assert set(cloud.revisions) == {"w-00001", "w-00002", candidate.revision}


def test_an_answer_that_was_lost_does_no_harm(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    cloud.deploy("w", commit=A)
    cloud.fault("UpdateService", code="UNAVAILABLE", times=1)
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert release.read(within()).tags == {TAG: candidate.revision}
    cloud.fault("UpdateService", code="UNAVAILABLE", times=1)
    with pytest.raises(SourceError, match="could not be asked"):
        release.move({candidate.revision: 100}, release.read(within()).etag, within())
    assert landed(release) == {"w-00001": 100}


def test_a_candidate_that_does_not_start(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    """What served goes on, the platform says why, and the next candidate takes the tag from it."""
    cloud.deploy("w", commit=A)
    with pytest.raises(CandidateError, match=r"did not get ready: Revision 'w-bbbbbbb-[0-9a-f]{4}' is not"):
        release.candidate(CRASHES, B, TAG, within())
    failed = release.read(within())
    assert (failed.shares, failed.settled) == ({"w-00001": 100}, True)
    assert "is not ready" in str(failed.failure)
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert release.read(within()).tags == {TAG: candidate.revision}


def test_one_that_did_not_start_is_tried_again_under_another_name(
    cloud: FakeCloudRun, release: CloudRunRelease, programs: dict[str, Program]
) -> None:
    """A secret that was missing may be there now; a name is taken for ever."""
    cloud.deploy("w", commit=A)
    for _ in range(2):
        with pytest.raises(CandidateError):
            release.candidate(CRASHES, B, TAG, within())
    del programs[CRASHES]
    candidate = release.candidate(CRASHES, B, TAG, within())
    assert len(cloud.revisions) == 4
    assert release.read(within()).tags == {TAG: candidate.revision}


def test_the_traffic_can_be_moved_back_while_a_failed_candidate_is_the_newest(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    cloud.deploy("w", commit=A)
    cloud.deploy("w", commit=B)
    with pytest.raises(CandidateError):
        release.candidate(CRASHES, B, TAG, within())
    release.move({"w-00001": 100}, release.read(within()).etag, within())
    assert landed(release) == {"w-00001": 100}


def test_another_tag_stays_and_follows_nothing(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    """One that followed the latest would lead to the candidate all at once."""
    cloud.deploy("w", commit=A)
    cloud.set_traffic("w", "latest", tags={"stable": "latest"})
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert release.read(within()).tags == {"stable": "w-00001", TAG: candidate.revision}


def test_what_is_under_way_is_waited_for(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    cloud.deploy("w", commit=A)
    rolled = cloud.roll_out("w", commit=B)
    assert not release.read(within()).settled
    pauses: list[float] = []

    def land(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            cloud.land("w")

    patient = CloudRunRelease(service="w", project="p", region="r", clients=Clients(cloud.host), sleep=land)
    candidate = patient.candidate(IMAGE, B, TAG, within())
    assert pauses[:3] == sorted(pauses[:3])
    assert release.read(within()).shares == {rolled: 100}
    assert candidate.revision != rolled


def test_what_never_lands_ends_with_the_deadline(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    cloud.deploy("w", commit=A)
    cloud.updates.may_land.clear()
    with pytest.raises(SourceError) as caught:
        release.candidate(IMAGE, B, TAG, within(OVER_S))
    assert (caught.value.cause, caught.value.retryable) == ("timeout", True)
    cloud.updates.may_land.set()
    assert release.candidate(IMAGE, B, TAG, within()).url


def test_who_may_not_update_is_told_the_role(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    cloud.deploy("w", commit=A)
    cloud.fault("UpdateService", code="PERMISSION_DENIED", message="Permission 'run.services.update' denied")
    with pytest.raises(SourceError, match=r"may not update the service w .*--role=roles/run\.developer"):
        release.candidate(IMAGE, B, TAG, within())


def _sidecar(service: run_v2.Service) -> None:
    service.template.containers = [
        run_v2.Container(name="proxy", image="envoy"),
        run_v2.Container(name="worker", image=OTHER, ports=[run_v2.ContainerPort(container_port=8080)]),
    ]


@pytest.mark.parametrize(
    ("container", "images"),
    [(None, ["envoy", IMAGE]), ("proxy", [IMAGE, OTHER]), ("worker", ["envoy", IMAGE])],
)
def test_the_image_goes_to_one_container(
    cloud: FakeCloudRun, container: str | None, images: list[str]
) -> None:
    cloud.deploy("w", commit=A)
    _sidecar(cloud.services["w"])
    made = of(cloud, container=container).candidate(IMAGE, B, TAG, within()).revision
    assert [each.image for each in cloud.revisions[made].containers] == images


def test_a_container_that_is_not_there_is_named(cloud: FakeCloudRun) -> None:
    cloud.deploy("w", commit=A)
    _sidecar(cloud.services["w"])
    with pytest.raises(CandidateError, match=r"no container web, .*\(there: proxy, worker\)"):
        of(cloud, container="web").candidate(IMAGE, B, TAG, within())


def test_a_service_that_never_was_ready_gets_its_first_one(cloud: FakeCloudRun) -> None:
    """Nothing serves, so that nothing can be kept from the candidate."""
    cloud.deploy("w", commit=A, ready=False)
    candidate = of(cloud).candidate(IMAGE, B, TAG, within())
    assert landed(of(cloud)) == {candidate.revision: 100}


def test_a_worker_pool(cloud: FakeCloudRun) -> None:
    cloud.deploy("pool", kind="worker-pool", commit=A)
    release = of(cloud, service="pool", kind="worker-pool")
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert candidate.url is None
    assert release.read(within()).shares == {"pool-00001": 100}
    assert release.candidate(IMAGE, B, TAG, within()) == candidate
    release.move({"pool-00001": 50, candidate.revision: 50}, release.read(within()).etag, within())
    assert landed(release) == {"pool-00001": 50, candidate.revision: 50}
    release.move({candidate.revision: 100}, release.read(within()).etag, within())
    assert landed(release) == {candidate.revision: 100}
    assert [each.commit for each in release.revisions(within())] == [B, A]


def test_a_job(cloud: FakeCloudRun) -> None:
    """Its template is replaced by the move, and not before."""
    cloud.deploy("j", kind="job", commit=A, image=OTHER)
    release = of(cloud, service="j", kind="job")
    before = release.read(within())
    assert before.shares == {OTHER: 100}
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert candidate == Candidate(revision=IMAGE)
    assert release.read(within()) == before
    with pytest.raises(CandidateError, match="no candidate of the job j"):
        release.move({OTHER: 100}, before.etag, within())
    release.move({IMAGE: 100}, before.etag, within())
    assert landed(release) == {IMAGE: 100}
    assert dict(cloud.jobs["j"].template.labels) == dict(cloud.jobs["j"].labels) == {"commit-sha": B}
    assert release.revisions(within()) == ()
    with pytest.raises(SplitChangedError):
        release.move({IMAGE: 100}, before.etag, within())


@pytest.mark.parametrize(
    "ask",
    [
        lambda release: release.read(within()),
        lambda release: release.candidate(IMAGE, B, TAG, within()),
        lambda release: release.move({"w-00001": 100}, "", within()),
    ],
)
def test_a_workload_that_is_not_there(
    release: CloudRunRelease, ask: Callable[[CloudRunRelease], object]
) -> None:
    with pytest.raises(SourceError) as caught:
        ask(release)
    assert caught.value.cause == "not-found"


def test_a_name_that_holds_something_else_is_given_up(cloud: FakeCloudRun, release: CloudRunRelease) -> None:
    """The platform compares more than a client sees."""
    cloud.deploy("w", commit=A)
    refused = "Revision named 'w-bbbbbbb-0000' with different configuration already exists."
    cloud.fault("UpdateService", code="ALREADY_EXISTS", message=refused, times=1)
    candidate = release.candidate(IMAGE, B, TAG, within())
    assert release.read(within()).tags == {TAG: candidate.revision}


def test_an_update_that_will_never_be_taken_is_told_at_once(
    cloud: FakeCloudRun, release: CloudRunRelease
) -> None:
    cloud.deploy("w", commit=A)
    cloud.fault("UpdateService", code="INVALID_ARGUMENT", message="template.containers[0].image: too odd")
    with pytest.raises(CandidateError, match=r"does not take the update of the service w: .*too odd"):
        release.candidate(IMAGE, B, TAG, within())
    assert [call.method for call in cloud.calls].count("UpdateService") == 1
