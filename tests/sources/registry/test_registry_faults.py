"""What registries do wrong: the cause is told, nothing hangs, no password or token goes where it must not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from support.limits import ENOUGH_S, OVER_S, in_time
from support.registries import KEY, NEW, OLD, asked, finding_in_time, revision
from support.web import (
    Handler,
    dead,
    deaf,
    drips,
    raw,
    says,
    silent,
)

from drift_gate.errors import Cause, SourceError
from drift_gate.evidence.image import Reference
from drift_gate.facts import Finding
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http
from drift_gate.sources.http.network import Names
from drift_gate.sources.registry import artifact_registry
from drift_gate.sources.registry.oci import Cache, Oci
from drift_gate.testing.registry import INDEX, MANIFEST, FakeRegistry, digest_of

PASSWORD = "s3cret-password"
CUT = {"Content-Length": "9999", "Connection": "close"}
Break = Callable[[FakeRegistry], object]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def finding_of(registry: FakeRegistry, seconds: float = ENOUGH_S, **settings: Any) -> Finding:
    """The one finding about an image of ``registry`` whose label names its commit."""
    digest = registry.push("w", labels={KEY: NEW})
    told = asked(revision(f"{registry.host}/w@{digest}"), seconds=seconds, **settings)
    assert [item.carrier for item in told.revisions[0].evidence] == ["revision-label"]
    [finding] = told.findings
    assert finding.code == "evidence-unreachable"
    assert finding.data["carrier"] == "image-label"
    assert finding.data["revision"] == "w-00002"
    assert "127.0.0.1" in finding.message
    return finding


def manifest(**fields: Any) -> Break:
    """Serves a manifest of these fields under the digest of the true one."""
    return lambda registry: registry.fault("manifests", body=json.dumps(fields).encode())


FAULTS: list[tuple[str, Break, Cause]] = [
    ("401", lambda registry: registry.fault("w/", status=401), "credentials"),
    ("403", lambda registry: registry.fault("w/", status=403), "permission-denied"),
    ("404", lambda registry: registry.fault("w/", status=404), "not-found"),
    ("408", lambda registry: registry.fault("w/", status=408), "timeout"),
    ("429", lambda registry: registry.fault("w/", status=429), "rate-limited"),
    (
        "429 and a pause too long",
        lambda registry: registry.fault("w/", status=429, headers={"Retry-After": "99"}),
        "rate-limited",
    ),
    ("500", lambda registry: registry.fault("w/", status=500), "unavailable"),
    ("503 for the configuration", lambda registry: registry.fault("blobs", status=503), "unavailable"),
    ("403 for the configuration", lambda registry: registry.fault("blobs", status=403), "permission-denied"),
    ("no JSON", lambda registry: registry.fault("manifests", body=b"<html>"), "invalid-response"),
    ("another manifest", manifest(schemaVersion=2), "invalid-response"),
    (
        "another configuration",
        lambda registry: registry.fault("blobs", body=b'{"config": {"Labels": {}}}'),
        "invalid-response",
    ),
    (
        "cut",
        lambda registry: registry.fault("w/", headers={"Content-Length": "9999", "Connection": "close"}),
        "unavailable",
    ),
    ("huge", lambda registry: registry.fault("blobs", body=b" " * 4_000_001), "invalid-response"),
    (
        "a redirect out of the web",
        lambda registry: registry.fault("w/", status=307, headers={"Location": "file:///etc/passwd"}),
        "invalid-response",
    ),
    (
        "redirects without end",
        lambda registry: registry.fault("w/", status=307, headers={"Location": "/v2/w/manifests/x"}),
        "invalid-response",
    ),
    ("a hang", lambda registry: registry.fault("w/", hang=True), "timeout"),
    ("a hang at the configuration", lambda registry: registry.fault("blobs", hang=True), "timeout"),
]


class TestFaults:
    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A busy machine may need more."""
        monkeypatch.setattr(artifact_registry, "PATIENCE_S", ENOUGH_S)

    @pytest.mark.parametrize(("breaks", "cause"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
    def test_each_is_told_with_its_cause(self, registry: FakeRegistry, breaks: Break, cause: Cause) -> None:
        breaks(registry)
        finding = in_time(
            lambda seconds: finding_of(registry, seconds),
            late=lambda finding: finding.data["cause"] == "timeout" != cause,
        )
        assert finding.data["cause"] == cause

    @pytest.mark.parametrize(
        "handler",
        [silent, drips(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"{")],
        ids=["silent", "slow"],
    )
    def test_what_hangs_takes_no_longer_than_it_may(self, handler: Handler) -> None:
        with raw(handler) as port:
            self.timed(f"127.0.0.1:{port}")

    def test_a_connection_that_never_comes_about(self) -> None:
        with deaf() as port:
            self.timed(f"127.0.0.1:{port}")

    def test_and_never_more_than_registries_get(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(artifact_registry, "PATIENCE_S", OVER_S)
        with raw(silent) as port:
            self.timed(f"127.0.0.1:{port}", 3600)

    def timed(self, host: str, seconds: float = OVER_S) -> None:
        [finding] = asked(revision(f"{host}/w@sha256:{'0' * 64}"), seconds=seconds).findings
        assert finding.data["cause"] == "timeout"

    def test_a_dead_port_and_no_name(self) -> None:
        def nowhere(host: str) -> list[str]:
            raise OSError("no such host")

        http = partial(Http, names=Names(nowhere))
        with dead() as port:
            for host in (f"127.0.0.1:{port}", "registry.example"):
                finding = finding_in_time(revision(f"{host}/w@sha256:{'0' * 64}"), http=http)
                assert finding.data["cause"] == "unavailable"
                assert f"Check that {host} can be reached" in finding.message

    def test_nothing_is_asked_when_no_time_is_left(self, registry: FakeRegistry) -> None:
        assert finding_of(registry, seconds=0).data["cause"] == "timeout"
        assert registry.requests == []

    def test_one_failure_does_not_hide_what_another_revision_says(self, registry: FakeRegistry) -> None:
        good = registry.push("good", labels={KEY: NEW})
        bad = registry.push("bad", labels={KEY: NEW}, layer=b"another")
        registry.fault("bad/", status=403)
        told = asked(
            revision(f"{registry.host}/bad@{bad}", name="w-1", commit=OLD),
            revision(f"{registry.host}/good@{good}", name="w-2"),
        )
        assert [len(one.evidence) for one in told.revisions] == [1, 2]
        assert [finding.data["revision"] for finding in told.findings] == ["w-1"]

    def test_a_tag_that_cannot_be_compared_is_told(self, registry: FakeRegistry) -> None:
        digest = registry.push("w", labels={KEY: NEW})
        registry.fault(f"manifests/{NEW}", status=500)
        live = in_time(
            lambda seconds: asked(revision(f"{registry.host}/w@{digest}"), seconds=seconds),
            late=lambda live: [finding.data["cause"] for finding in live.findings] == ["timeout"],
        )
        assert len(live.revisions[0].evidence) == 2
        assert [finding.data["cause"] for finding in live.findings] == ["unavailable"]

    def test_a_passing_failure_heals(self, registry: FakeRegistry) -> None:
        digest = registry.push("w", labels={KEY: NEW})
        registry.fault("w/", status=503, times=2)
        told = asked(revision(f"{registry.host}/w@{digest}", commit=None))
        assert told.revisions[0].evidence[0].value == NEW

    def test_the_next_step_is_named(self, registry: FakeRegistry) -> None:
        registry.fault("w/", status=403)
        assert f"Give this check a login for {registry.host}" in finding_of(registry).message


def oci(http: Http, **settings: Any) -> Oci:
    return Oci(http, Deadline(60), cache=Cache(), **settings)


class TestDocuments:
    """Documents that have their digest and make no sense all the same."""

    @pytest.mark.parametrize(
        "document",
        [
            {},
            [],
            {"schemaVersion": 1, "fsLayers": [], "history": []},
            {"config": {"digest": "sha256:short"}},
            {"config": {"digest": "../../../etc/passwd"}},
            {"config": {"digest": "sha512:" + "0" * 128}},
            {"manifests": [{"digest": 5}]},
            {"manifests": [{"digest": f"sha256:{'0' * 64}"}] * 1001},
        ],
    )
    def test_a_manifest(self, registry: FakeRegistry, document: Any) -> None:
        body = json.dumps(document).encode()
        registry.manifests["w", digest_of(body)] = (MANIFEST, body)
        self.nonsense(registry, digest_of(body))

    def test_an_index_of_an_index(self, registry: FakeRegistry) -> None:
        inner = json.dumps({"manifests": []}).encode()
        outer = json.dumps({"manifests": [{"digest": digest_of(inner)}]}).encode()
        for body in (inner, outer):
            registry.manifests["w", digest_of(body)] = (INDEX, body)
        self.nonsense(registry, digest_of(outer))

    @pytest.mark.parametrize(
        "config", [b"", b"[]", b'{"config": {"Labels": [1]}}', b'{"config": {"Labels": {"a": 1}}}', b"\xff"]
    )
    def test_a_configuration(self, registry: FakeRegistry, config: bytes) -> None:
        self.nonsense(registry, self.of(registry, config))

    @pytest.mark.parametrize("config", [b"{}", b'{"config": null}', b'{"config": {"Labels": null}}'])
    def test_no_labels_are_none(self, registry: FakeRegistry, config: bytes) -> None:
        with Http(Deadline(60)) as http:
            assert (
                oci(http).image(Reference(registry.host, "w", digest=self.of(registry, config))).labels == {}
            )

    def test_labels_without_end_are_bounded(self, registry: FakeRegistry) -> None:
        labels = {"long": "x" * 100_000, **{f"key{number}": "x" for number in range(10_000)}}
        digest = registry.push("w", labels=labels)
        with Http(Deadline(60)) as http:
            image = oci(http).image(Reference(registry.host, "w", digest=digest))
        assert "long" not in image.labels
        assert len(image.labels) == 200

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-02-05T12:00:00.123456789Z", "2026-02-05T12:00:00.123456+00:00"),
            ("2026-02-05T13:00:00+01:00", "2026-02-05T12:00:00+00:00"),
            ("2026-02-05T12:00:00", "2026-02-05T12:00:00+00:00"),
            ("0001-01-01T00:00:00+01:00", None),
            ("yesterday", None),
        ],
    )
    def test_the_time_of_the_build(self, registry: FakeRegistry, text: str, moment: str | None) -> None:
        digest = self.of(registry, json.dumps({"created": text}).encode())
        with Http(Deadline(60)) as http:
            created = oci(http).image(Reference(registry.host, "w", digest=digest)).created
        assert (created.isoformat() if created else None) == moment

    def test_a_tag_whose_registry_tells_another_digest_than_it_sends(self, registry: FakeRegistry) -> None:
        registry.push("w", tag="v1")
        registry.fault("manifests", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})
        with Http(Deadline(60)) as http, pytest.raises(SourceError, match="has another digest"):
            oci(http).image(Reference(registry.host, "w", "v1"))

    def of(self, registry: FakeRegistry, config: bytes) -> str:
        body = json.dumps({"config": {"digest": digest_of(config)}}).encode()
        registry.blobs[digest_of(config)] = config
        registry.manifests["w", digest_of(body)] = (MANIFEST, body)
        return digest_of(body)

    def nonsense(self, registry: FakeRegistry, digest: str) -> None:
        with (
            Http(Deadline(60)) as http,
            pytest.raises(SourceError, match="answered nonsense") as caught,
        ):
            oci(http).image(Reference(registry.host, "w", digest=digest))
        assert caught.value.cause == "invalid-response"


def test_texts_of_a_registry_stay_texts(registry: FakeRegistry) -> None:
    """Its words end up on a terminal."""
    registry.fault(
        "w/", status=403, body=json.dumps({"errors": [{"message": "\x1b[2Jno\nway" * 999}]}).encode()
    )
    message = finding_of(registry).message
    assert message.isprintable()
    assert len(message) < 1000


def test_a_reset_connection_is_told() -> None:
    with raw(says(b"")) as port:
        finding = finding_in_time(revision(f"127.0.0.1:{port}/w@sha256:{'0' * 64}"))
    assert (finding.code, finding.data["cause"]) == ("evidence-unreachable", "unavailable")
