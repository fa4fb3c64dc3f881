"""What an unknown says about the deploy that named no commit: by whom, with what, and where one stands."""

from __future__ import annotations

import grpc
import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes

IMAGE = "us-west2-docker.pkg.dev/test-project/images/w@sha256:" + "a" * 64


def said(world: World) -> str:
    verdict = world.verdict()
    assert (verdict.decision, verdict.reasons[0].data["cause"]) == ("deny", "no-commit-evidence")
    return verdict.reasons[0].message


def test_an_apply_that_lost_the_label_is_told_with_where_it_still_stands(world: World) -> None:
    """The service's own label is no evidence, and the first thing that a person looks at."""
    name = world.cloud.deploy(WORKER, image=IMAGE, labels={}, service_labels={"commit-sha": world.first})
    world.cloud.revisions[name].creator = "terraform@test-project.iam.gserviceaccount.com"
    service = world.cloud.services[WORKER]
    service.last_modifier, service.client, service.client_version = "ann@example.com", "terraform", "1.9"
    message = said(world)
    assert f"the service's own label commit-sha says {world.first}" in message
    assert "it was made by terraform@test-project.iam.gserviceaccount.com at 2026-02-05 09:00 UTC" in message
    assert "the service was last changed by ann@example.com with terraform 1.9" in message


def test_a_deploy_of_an_archive_says_which(world: World) -> None:
    name = world.cloud.deploy(WORKER, image="", labels={})
    stored = run_v2.SourceCode.CloudStorageSource(bucket="b", object_="w.zip", generation=7)
    world.cloud.revisions[name].containers[0].source_code = run_v2.SourceCode(cloud_storage_source=stored)
    assert "it runs gs://b/w.zip#7" in said(world)


def test_a_build_from_source_says_from_what(world: World) -> None:
    name = world.cloud.deploy(WORKER, image=IMAGE, labels={})
    build = run_v2.BuildInfo(source_location="gs://run-sources/w.zip#9")
    world.cloud.revisions[name].containers[0].build_info = build
    assert "it was built from gs://run-sources/w.zip#9" in said(world)


def test_what_a_stranger_writes_steers_no_terminal(world: World) -> None:
    world.cloud.deploy(WORKER, image=IMAGE, labels={})
    world.cloud.services[WORKER].client = "evil\x1b[2J\nDENY"
    assert "\x1b" not in said(world)


def test_a_base_image_that_floats_is_told_and_may_be_denied(world: World) -> None:
    name = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.revisions[name].containers[0].base_image_uri = "r/google-22/python313"
    verdict = world.verdict()
    assert (verdict.decision, codes(verdict)) == ("allow", ["base-image-floating"])
    world.toml += '[policy]\nreasons = {base-image-floating = "deny"}\n'
    assert world.verdict().decision == "deny"


@pytest.mark.parametrize("reference", [f"r/p@sha256:{'b' * 64}", "r/p:3.13@sha256:b"])
def test_a_base_image_that_is_named_by_its_digest_does_not_float(world: World, reference: str) -> None:
    name = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.revisions[name].containers[0].base_image_uri = reference
    assert codes(world.verdict()) == []


@pytest.mark.parametrize("updates", [False, True])
def test_a_base_image_stays_where_the_last_deploy_says_so(world: World, updates: bool) -> None:
    """What the deploy before had asked for is not told any more, so that its revision is told as before."""
    base = "r/google-22/python313"
    both = [world.cloud.deploy(WORKER, commit=world.first) for _ in range(2)]
    for name in both:
        world.cloud.revisions[name].containers[0].base_image_uri = base
    build = run_v2.BuildConfig(base_image=base, enable_automatic_updates=updates)
    world.cloud.services[WORKER].build_config = build
    assert codes(world.verdict()) == (["base-image-floating"] if updates else [])
    world.cloud.pin(WORKER, both[0])
    assert "base-image-floating" in codes(world.verdict())


def calls(world: World) -> list[str]:
    return [call.method for call in world.cloud.calls]


def test_an_earlier_revision_of_the_same_image_tells_what_it_was(world: World) -> None:
    """One call more, in this case alone, and whoever is asked for evidence beside Cloud Run."""
    earlier = world.cloud.deploy(WORKER, image=IMAGE, commit=world.first)
    assert world.verdict().decision == "allow"
    assert "ListRevisions" not in calls(world)
    world.cloud.deploy(WORKER, image=IMAGE, labels={}, service_labels={})
    said_so = f"{earlier} runs the same image and says revision-label commit-sha={world.first}"
    assert said_so in said(world)
    assert calls(world).count("ListRevisions") == 1


def test_that_the_others_cannot_be_listed_is_said_and_changes_nothing_else(world: World) -> None:
    world.cloud.deploy(WORKER, image=IMAGE, labels={}, service_labels={})
    plain, before = said(world), codes(world.verdict())
    world.cloud.fault("ListRevisions", code=grpc.StatusCode.PERMISSION_DENIED)
    more = said(world).replace(plain, "")
    assert "; whether another revision of the same image names a commit is not known: " in said(world)
    assert "lacks `run.revisions.list`" in more
    assert codes(world.verdict()) == before


def test_a_job_says_who_made_it_and_with_what(world: World) -> None:
    world.cloud.deploy(WORKER, image=IMAGE, labels={}, service_labels={"commit-sha": world.first}, kind="job")
    job = world.cloud.jobs[WORKER]
    job.creator, job.last_modifier, job.client, job.client_version = "ann", "bob", "gcloud", "540.0.0"
    world.toml += 'kind = "job"\n'
    message = said(world)
    assert f"the job's own label commit-sha says {world.first}" in message
    assert "the job was made by ann; the job was last changed by bob with gcloud 540.0.0" in message
