"""One image that is named after two commits, and one that its registry did not tell, in whole checks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.world import WORKER, World, codes

from drift_gate.testing.registry import FakeRegistry

DOCUMENT = "docs/readme.md"
FILE = "predictions/worker/worker.py"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def with_registry(world: World) -> World:
    world.toml = world.toml.replace("[defaults]", '[defaults]\nevidence = ["registry"]')
    return world


@pytest.mark.parametrize(
    ("changed", "decision", "told"),
    [
        (DOCUMENT, "allow", []),
        (FILE, "deny", ["evidence-conflict"]),
    ],
)
def test_one_image_under_two_commits_matters_where_they_differ_for_the_service(
    changed: str, decision: str, told: list[str], world: World, registry: FakeRegistry
) -> None:
    """A monorepo's build takes all of an image from its cache where nothing of the service changed."""
    digest = registry.push("w", layer=changed.encode())
    newer = world.history.commit({changed: "NEW = 1\n"})
    for commit in (world.first, newer):
        world.cloud.deploy(WORKER, commit=commit, image=f"{registry.host}/w@{digest}")
    verdict = with_registry(world).verdict()
    assert (verdict.decision, codes(verdict)) == (decision, told)


def test_the_same_holds_for_an_image_whose_own_label_names_the_earlier_commit(
    world: World, registry: FakeRegistry
) -> None:
    """Built at the first commit, taken from the cache for the second, and deployed under that one's name."""
    label = {"org.opencontainers.image.revision": world.first}
    digest = registry.push("w", layer=b"labelled", labels=label)
    document = world.history.commit({DOCUMENT: "more\n"})
    world.cloud.deploy(WORKER, commit=document, image=f"{registry.host}/w@{digest}")
    assert "evidence-conflict" not in codes(with_registry(world).verdict())
    newer = world.change()
    world.cloud.deploy(WORKER, commit=newer, image=f"{registry.host}/w@{digest}")
    assert "evidence-conflict" in codes(world.verdict())


def test_a_commit_that_nobody_has_is_never_the_same(world: World, registry: FakeRegistry) -> None:
    digest = registry.push("w", layer=b"pushed away")
    for commit in ("0" * 39 + "1", world.first):
        world.cloud.deploy(WORKER, commit=commit, image=f"{registry.host}/w@{digest}")
    assert codes(with_registry(world).verdict()) == ["evidence-conflict"]


def test_one_answer_that_did_not_come_is_no_conflict(world: World, registry: FakeRegistry) -> None:
    """The tag holds an index over the very image that runs, and the image's own digest was not found once."""
    index = registry.push(
        "w", tag=world.first, platforms=["linux/amd64", "linux/arm64"], layer=b"unread once"
    )
    child = json.loads(registry.manifests["w", index][1])["manifests"][0]["digest"]
    world.cloud.deploy(WORKER, commit=world.first, image=f"{registry.host}/w@{child}")
    registry.fault(f"manifests/{child}", status=404, times=1)
    verdict = with_registry(world).verdict()
    assert (verdict.decision, codes(verdict)) == ("warn", ["evidence-unreachable"])


def test_a_child_that_its_index_names_and_nobody_has_is_told(world: World, registry: FakeRegistry) -> None:
    """The tag is there: that the image under it was not compared is no matter of how one tags."""
    platforms = ["linux/amd64", "linux/arm64"]
    index = registry.push("w", tag=world.first, platforms=platforms, layer=b"without its child")
    child = json.loads(registry.manifests["w", index][1])["manifests"][0]["digest"]
    other = registry.push("w", layer=b"runs")
    world.cloud.deploy(WORKER, commit=world.first, image=f"{registry.host}/w@{other}")
    registry.fault(f"manifests/{child}", status=404)
    assert codes(with_registry(world).verdict()) == ["evidence-unreachable"]


DESCRIBED = "image_tag_pattern = 'v[0-9.]+(?:-[0-9]+)?-g(?P<commit>[0-9a-f]{7,40})'\n"


@pytest.mark.parametrize(("moved", "told"), [(False, []), (True, ["evidence-conflict"])])
def test_a_tag_by_pattern_names_the_commit_and_is_looked_up_whole(
    moved: bool, told: list[str], world: World, registry: FakeRegistry
) -> None:
    """git-describe's tag: by its group the commit is live, and under all of it the image is there."""
    tag = f"v1.4.2-12-g{world.first[:7]}"
    digest = registry.push("w", tag=tag, layer=b"described")
    if moved:
        registry.push("w", tag=tag, layer=b"pushed anew")
    world.cloud.deploy(WORKER, image=f"{registry.host}/w:{tag}@{digest}", labels={}, service_labels={})
    world.toml += DESCRIBED
    verdict = with_registry(world).verdict()
    assert codes(verdict) == told
    assert [one.commit for one in verdict.report.live] == [world.first]


@pytest.mark.parametrize(
    ("tag", "cause"),
    [
        ("v1.4.2-12-g{known}", None),
        ("{known}", None),  # in the words that need no pattern
        ("v1.4.2-12-g0ddba11", "commit-not-in-history"),
        ("v1.4.2", "no-commit-evidence"),
        ("v{long}-g{known}", "no-commit-evidence"),  # no tag is as long as that
    ],
)
def test_a_pattern_only_adds_to_what_a_tag_may_say(tag: str, cause: str | None, world: World) -> None:
    image = f"pkg.example/w:{tag.format(known=world.first[:7], long='1' * 120)}"
    world.cloud.deploy(WORKER, image=image, labels={}, service_labels={})
    world.toml += DESCRIBED
    (live,) = world.verdict().report.live
    assert (live.commit, live.unknown and live.unknown.cause) == (None if cause else world.first, cause)


@pytest.mark.parametrize(("changed", "told"), [(DOCUMENT, False), (FILE, True)])
@pytest.mark.parametrize("label_is_newer", [False, True])
def test_a_service_label_of_another_commit_matters_where_they_differ_for_the_service(
    changed: str, told: bool, label_is_newer: bool, world: World
) -> None:
    """A deploy that rewrites the label and takes the image from its cache says nothing wrong about it."""
    newer = world.history.commit({changed: "NEW = 1\n"})
    label, live = (newer, world.first) if label_is_newer else (world.first, newer)
    world.cloud.deploy(WORKER, commit=live, service_labels={"commit-sha": label})
    assert ("service-label-disagrees" in codes(world.verdict())) is told


@pytest.mark.parametrize(("changed", "told"), [(DOCUMENT, []), (FILE, ["weak-evidence-disagrees"])])
def test_a_variable_of_another_commit_matters_where_they_differ_for_the_service(
    changed: str, told: list[str], world: World
) -> None:
    """A deploy that sets the variable and takes the image, label and all, from before."""
    newer = world.history.commit({changed: "NEW = 1\n"})
    world.cloud.deploy(WORKER, commit=newer, env={"GIT_SHA": world.first})
    verdict = world.verdict()
    assert (codes(verdict), verdict.report.live[0].commit) == (told, newer)


def test_a_service_label_is_right_about_any_of_the_revisions_that_serve(world: World) -> None:
    """Half of the traffic is at a commit that is as the label's for the service, half is not."""
    newer = world.history.commit({FILE: "NEW = 1\n"})
    document = world.history.commit({DOCUMENT: "more\n"})
    labels = {"commit-sha": document}
    both = [world.cloud.deploy(WORKER, commit=each, service_labels=labels) for each in (world.first, newer)]
    world.cloud.set_traffic(WORKER, dict.fromkeys(both, 50))
    assert "service-label-disagrees" not in codes(world.verdict())


def test_a_service_label_of_nobodys_commit_still_tells(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first, service_labels={"commit-sha": "0" * 39 + "1"})
    assert codes(world.verdict()) == ["service-label-disagrees"]
