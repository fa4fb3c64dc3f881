"""One image that is named after two commits, and one that its registry did not tell, in whole checks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.world import WORKER, World, codes

from shared.deployment.testing.registry import FakeRegistry

DOCUMENT = "docs/readme.md"


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
        ("predictions/worker/worker.py", "deny", ["evidence-conflict"]),
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
