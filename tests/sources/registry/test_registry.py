"""What images say of their commit, read out of a registry: a real one, and the one for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from support.limits import OVER_S
from support.registries import (
    KEY,
    NEW,
    NOON,
    OLD,
    PROGRAM,
    Pushed,
    asked,
    fake,
    live,
    real,
    reasons,
    revision,
)

from drift_gate.evidence.image import Reference
from drift_gate.facts import Evidence, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.sources.http.client import Http
from drift_gate.sources.registry.artifact_registry import Registry
from drift_gate.sources.registry.oci import Cache, Oci
from drift_gate.testing.cloud_run import FakeCloudRun
from drift_gate.testing.registry import FakeRegistry


@pytest.fixture(scope="module", params=["fake", "docker-registry"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    if request.param == "fake":
        with fake() as pushed:
            yield pushed
    elif PROGRAM is None:
        pytest.skip("docker-registry is not installed (Debian has it)")
    else:
        with real(tmp_path_factory.mktemp("registry")) as pushed:
            yield pushed


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"team/{abs(hash(request.node.name))}"


class TestLabels:
    def test_the_label_of_the_running_digest_comes_first(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={KEY: NEW, "other": "x"})
        told = asked(revision(f"{registry.host}/{name}@{digest}"))
        [label, deployed] = told.revisions[0].evidence
        assert label == Evidence(carrier="image-label", key=KEY, value=NEW)
        assert deployed.carrier == "revision-label"
        assert told.findings == ()

    def test_the_keys_can_be_chosen_and_keep_their_order(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={"b": "1", "a": "2", KEY: NEW})
        told = asked(revision(f"{registry.host}/{name}@{digest}"), label_keys=["a", "none", "b"])
        assert [(item.key, item.value) for item in told.revisions[0].evidence[:2]] == [("a", "2"), ("b", "1")]

    def test_an_index_means_its_image_for_cloud_run(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={KEY: NEW}, platforms=["linux/amd64", "linux/arm64"])
        told = asked(revision(f"{registry.host}/{name}@{digest}"))
        assert told.revisions[0].evidence[0].value == NEW

    def test_or_the_only_one_beside_what_the_build_attests(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={KEY: NEW}, platforms=["linux/arm64", "unknown/unknown"])
        told = asked(revision(f"{registry.host}/{name}@{digest}"))
        assert told.revisions[0].evidence[0].value == NEW

    def test_of_several_foreign_ones_none_is_taken(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={KEY: NEW}, platforms=["linux/arm64", "linux/s390x"])
        told = asked(revision(f"{registry.host}/{name}@{digest}"))
        [finding] = told.findings
        assert (finding.code, finding.data["cause"]) == ("evidence-unreachable", "not-found")
        assert "holds no image for linux/amd64" in finding.message

    def test_a_tag_beside_the_digest_changes_nothing(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name, labels={KEY: NEW}, tag="latest")
        registry.push(name, labels={KEY: OLD}, tag="latest")
        told = asked(revision(f"{registry.host}/{name}:latest@{digest}"))
        assert told.revisions[0].evidence[0].value == NEW

    def test_a_tag_alone_is_no_proof(self, registry: Pushed, name: str) -> None:
        """What the tag holds now may have been pushed after the deploy."""
        registry.push(name, labels={KEY: NEW}, tag="latest")
        told = asked(revision(f"{registry.host}/{name}:latest"))
        assert "image-label" not in [item.carrier for item in told.revisions[0].evidence]
        [finding] = told.findings
        assert (finding.code, finding.data["cause"]) == ("evidence-unreachable", "no-commit-evidence")
        assert "Deploy by digest" in finding.message

    def test_an_image_without_labels_says_nothing(self, registry: Pushed, name: str) -> None:
        digest = registry.push(name)
        told = asked(revision(f"{registry.host}/{name}@{digest}"))
        assert len(told.revisions[0].evidence) == 1
        assert told.findings == ()

    def test_an_image_that_is_gone_is_told(self, registry: Pushed, name: str) -> None:
        told = asked(revision(f"{registry.host}/{name}@sha256:{'0' * 64}"))
        [finding] = told.findings
        assert finding.code == "evidence-unreachable"
        assert finding.data == {"carrier": "image-label", "cause": "not-found", "revision": "w-00002"}
        assert "127.0.0.1" in finding.message

    def test_what_has_no_image_or_could_not_be_read_is_left_as_it_is(self) -> None:
        gone = Unknown(cause="timeout", message="no")
        before = live(revision(None), revision("127.0.0.1:1/x@sha256:" + "0" * 64, unknown=gone))
        assert Registry(deadline=Deadline(60)).with_evidence(before) == before

    def test_the_second_check_asks_nobody(self) -> None:
        """What a digest names never changes."""
        cache = Cache()
        with FakeRegistry() as registry:
            digest = registry.push("w", labels={KEY: NEW})
            for _ in range(2):
                told = asked(revision(f"{registry.host}/w@{digest}", commit=None), cache=cache)
                assert told.revisions[0].evidence[0].value == NEW
            assert len(registry.requests) == 2

    def test_the_memory_is_bounded(self) -> None:
        cache = Cache(most=2)
        with FakeRegistry() as registry:
            digests = [registry.push("w", labels={KEY: str(number)}) for number in range(3)]
            for digest in (digests[0], digests[1], digests[0], digests[2]):
                asked(revision(f"{registry.host}/w@{digest}", commit=None), cache=cache)
        assert [cache.get(digest) is None for digest in digests] == [False, True, False]


class TestTags:
    def test_the_tag_named_after_the_commit_holds_another_image(self, registry: Pushed, name: str) -> None:
        """Two builds raced for one tag: what runs is the other one."""
        running = registry.push(name)
        registry.push(name, layer=b"another", tag=NEW)
        told = asked(revision(f"{registry.host}/{name}@{running}"))
        assert reasons(told.findings) == ["tag-holds-another"]
        assert told.findings[0].code == "evidence-conflict"

    def test_an_image_that_was_pushed_after_the_deploy_that_named_it(
        self, registry: Pushed, name: str
    ) -> None:
        """Every deploy ran the build before, under the new commit."""
        running = registry.push(name, labels={KEY: OLD}, layer=b"old", created=NOON - timedelta(days=1))
        registry.push(name, labels={KEY: NEW}, tag=NEW, created=NOON + timedelta(minutes=5))
        told = asked(revision(f"{registry.host}/{name}@{running}"))
        assert reasons(told.findings) == ["built-after-deploy"]
        assert told.revisions[0].evidence[0].value == OLD

    def test_also_where_only_the_tag_is_known(self, registry: Pushed, name: str) -> None:
        registry.push(name, tag=NEW, created=NOON + timedelta(minutes=5))
        told = asked(revision(f"{registry.host}/{name}:{NEW}"))
        assert reasons(told.findings) == ["built-after-deploy", "evidence-unreachable"]

    def test_the_tag_that_holds_what_runs_is_no_finding(self, registry: Pushed, name: str) -> None:
        running = registry.push(name, tag=NEW)
        assert asked(revision(f"{registry.host}/{name}@{running}")).findings == ()

    def test_an_index_and_its_image_are_one(self, registry: Pushed, name: str) -> None:
        """The platform may run the image for its own kind, where the tag names the index."""
        index = registry.push(name, tag=NEW, platforms=["linux/amd64", "linux/arm64"])
        with Http(Deadline(60)) as http:
            oci = Oci(http, Deadline(60), cache=Cache())
            _, manifest = oci._manifest(Reference(registry.host, name, digest=index))
        assert manifest.manifests
        running = manifest.manifests[0].digest
        assert running != index
        assert asked(revision(f"{registry.host}/{name}@{running}")).findings == ()

    def test_a_second_build_of_the_same_commit_is_harmless(self, registry: Pushed, name: str) -> None:
        running = registry.push(name, labels={KEY: NEW})
        registry.push(name, labels={KEY: NEW}, layer=b"rebuilt", tag=NEW, created=NOON + timedelta(days=1))
        assert asked(revision(f"{registry.host}/{name}@{running}")).findings == ()

    def test_who_tags_otherwise_is_not_bothered(self, registry: Pushed, name: str) -> None:
        running = registry.push(name, tag="v1.2.3")
        assert asked(revision(f"{registry.host}/{name}:v1.2.3@{running}")).findings == ()


class TestNeighbours:
    def test_one_image_under_two_commits(self, registry: Pushed, name: str) -> None:
        """A label that a later deploy of another image inherited, or an image that nobody built anew."""
        digest = registry.push(name)
        image = f"{registry.host}/{name}@{digest}"
        told = asked(revision(image), others=(revision(image, commit=OLD, name="w-00001"),))
        assert reasons(told.findings) == ["two-commits"]

    def test_one_commit_in_two_images(self, registry: Pushed, name: str) -> None:
        one, two = registry.push(name), registry.push(name, layer=b"another")
        old = revision(f"{registry.host}/{name}@{two}", name="w-00001")
        assert reasons(asked(revision(f"{registry.host}/{name}@{one}"), others=(old,)).findings) == [
            "two-images"
        ]

    def test_an_index_and_its_image_are_one_here_too(self, registry: Pushed, name: str) -> None:
        index = registry.push(name, platforms=["linux/amd64", "linux/arm64"])
        with Http(Deadline(60)) as http:
            _, manifest = Oci(http, Deadline(60), cache=Cache())._manifest(
                Reference(registry.host, name, digest=index)
            )
        assert manifest.manifests
        old = revision(f"{registry.host}/{name}@{manifest.manifests[0].digest}", name="w-00001")
        assert asked(revision(f"{registry.host}/{name}@{index}"), others=(old,)).findings == ()

    def test_out_of_cloud_run_itself(self, registry: Pushed, name: str) -> None:
        """The whole way: the platform lists what ran before, and the registry shows that it still runs."""
        digest = registry.push(name)
        image = f"{registry.host}/{name}@{digest}"
        with FakeCloudRun() as cloud:
            for commit in (OLD, NEW):
                cloud.deploy("w", commit=commit, image=image)
            deadline = Deadline(60)
            source = CloudRun(
                service="w",
                project=cloud.project,
                region=cloud.region,
                deadline=deadline,
                clients=Clients(cloud.host),
                others=True,
            )
            told = Registry(deadline=deadline).with_evidence(source.read())
        assert reasons(told.findings) == ["two-commits"]
        assert told.findings[0].data["revisions"] == ["w-00002", "w-00001"]


def test_each_part_of_a_split_is_asked_about() -> None:
    with FakeRegistry() as registry:
        digests = [registry.push("w", labels={KEY: str(number)}) for number in range(8)]
        revisions = [
            revision(f"{registry.host}/w@{digest}", commit=None, name=digest[-5:]) for digest in digests
        ]
        told = asked(*revisions)
    assert [one.evidence[0].value for one in told.revisions] == [str(number) for number in range(8)]


def test_no_thread_is_left() -> None:
    with FakeRegistry() as registry:
        digest = registry.push("w")
        registry.fault("manifests", hang=True)
        asked(revision(f"{registry.host}/w@{digest}"), seconds=OVER_S)
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("drift-gate 127")]
        for thread in ours:
            thread.join(60)
    assert not any(thread.is_alive() for thread in ours)
