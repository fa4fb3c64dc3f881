"""What registries do wrong: the cause is told, nothing hangs, no password or token goes where it must not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from support.registries import KEY, NEW, OLD, asked, reasons, revision
from support.web import PROMISED_S, Handler, Reply, Web, certificates, dead, deaf, drips, raw, says, silent

from shared.deployment.calling import Deadline
from shared.deployment.errors import SourceError
from shared.deployment.facts import Cause, Finding
from shared.deployment.image_claims import Reference
from shared.deployment.sources.http import Http
from shared.deployment.sources.http_network import Names
from shared.deployment.sources.oci import Cache, Oci, is_google
from shared.deployment.testing.registry import INDEX, MANIFEST, FakeRegistry, digest_of

PASSWORD = "s3cret-password"
CUT = {"Content-Length": "9999", "Connection": "close"}
Break = Callable[[FakeRegistry], object]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def finding_of(registry: FakeRegistry, seconds: float = 1, **settings: Any) -> Finding:
    """The one finding about an image of ``registry`` whose label names its commit."""
    digest = registry.push("w", labels={KEY: NEW})
    started = time.monotonic()
    told = asked(revision(f"{registry.host}/w@{digest}"), seconds=seconds, **settings)
    assert time.monotonic() - started < seconds + PROMISED_S
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
    @pytest.mark.parametrize(("breaks", "cause"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
    def test_each_is_told_with_its_cause(self, registry: FakeRegistry, breaks: Break, cause: Cause) -> None:
        breaks(registry)
        assert finding_of(registry).data["cause"] == cause

    @pytest.mark.parametrize(
        "handler",
        [silent, drips(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"{")],
        ids=["silent", "slow"],
    )
    def test_what_hangs_takes_its_share_and_no_more(self, handler: Handler) -> None:
        with raw(handler) as port:
            self.timed(f"127.0.0.1:{port}")

    def test_a_connection_that_never_comes_about(self) -> None:
        with deaf() as port:
            self.timed(f"127.0.0.1:{port}")

    def timed(self, host: str) -> None:
        started = time.monotonic()
        [finding] = asked(revision(f"{host}/w@sha256:{'0' * 64}"), seconds=1).findings
        # Half of it is the share of a registry; the rest is for a machine under load.
        assert time.monotonic() - started < 1
        assert finding.data["cause"] == "timeout"

    def test_a_dead_port_and_no_name(self) -> None:
        def nowhere(host: str) -> list[str]:
            raise OSError("no such host")

        http = partial(Http, names=Names(nowhere))
        with dead() as port:
            for host in (f"127.0.0.1:{port}", "registry.example"):
                [finding] = asked(revision(f"{host}/w@sha256:{'0' * 64}"), seconds=1, http=http).findings
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
        told = asked(revision(f"{registry.host}/w@{digest}"), seconds=1)
        assert len(told.revisions[0].evidence) == 2
        assert [finding.data["cause"] for finding in told.findings] == ["unavailable"]

    def test_a_passing_failure_heals(self, registry: FakeRegistry) -> None:
        digest = registry.push("w", labels={KEY: NEW})
        registry.fault("w/", status=503, times=2)
        told = asked(revision(f"{registry.host}/w@{digest}", commit=None))
        assert told.revisions[0].evidence[0].value == NEW

    def test_the_next_step_is_named(self, registry: FakeRegistry) -> None:
        registry.fault("w/", status=403)
        assert f"Give this check a login for {registry.host}" in finding_of(registry).message


def oci(http: Http, **settings: Any) -> Oci:
    return Oci(http, Deadline(5), cache=Cache(), **settings)


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
        with Http(Deadline(5)) as http:
            assert (
                oci(http).image(Reference(registry.host, "w", digest=self.of(registry, config))).labels == {}
            )

    def test_labels_without_end_are_bounded(self, registry: FakeRegistry) -> None:
        labels = {"long": "x" * 100_000, **{f"key{number}": "x" for number in range(10_000)}}
        digest = registry.push("w", labels=labels)
        with Http(Deadline(5)) as http:
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
        with Http(Deadline(5)) as http:
            created = oci(http).image(Reference(registry.host, "w", digest=digest)).created
        assert (created.isoformat() if created else None) == moment

    def test_a_tag_whose_registry_tells_another_digest_than_it_sends(self, registry: FakeRegistry) -> None:
        registry.push("w", tag="v1")
        registry.fault("manifests", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})
        with Http(Deadline(5)) as http, pytest.raises(SourceError, match="has another digest"):
            oci(http).image(Reference(registry.host, "w", "v1"))

    def of(self, registry: FakeRegistry, config: bytes) -> str:
        body = json.dumps({"config": {"digest": digest_of(config)}}).encode()
        registry.blobs[digest_of(config)] = config
        registry.manifests["w", digest_of(body)] = (MANIFEST, body)
        return digest_of(body)

    def nonsense(self, registry: FakeRegistry, digest: str) -> None:
        with Http(Deadline(5)) as http, pytest.raises(SourceError, match="answered nonsense about") as caught:
            oci(http).image(Reference(registry.host, "w", digest=digest))
        assert caught.value.cause == "invalid-response"


class TestPasswords:
    def labels(self, registry: FakeRegistry, **settings: Any) -> dict[str, str]:
        digest = registry.push("w", labels={KEY: NEW})
        with Http(Deadline(5)) as http:
            return dict(oci(http, **settings).image(Reference(registry.host, "w", digest=digest)).labels)

    def login(self, host: str) -> dict[str, tuple[str, SecretStr]]:
        return {host: ("me", SecretStr(PASSWORD))}

    def test_a_stranger_gets_a_token_where_strangers_may_read(self) -> None:
        with FakeRegistry(token="t0ken") as registry:
            assert self.labels(registry) == {KEY: NEW}
            [asked_for] = [request.path for request in registry.requests if request.path.startswith("/token")]
        # What the registry named as the scope is its own wish; ours is to read this one repository.
        assert asked_for == "/token?scope=repository%3Aw%3Apull&service=fake"

    def test_one_token_serves_a_whole_image(self) -> None:
        with FakeRegistry(token="t0ken") as registry:
            self.labels(registry)
            paths = [request.path.split("?")[0] for request in registry.requests]
        assert len(paths) == 4
        assert paths.count("/token") == 1

    def test_a_login_is_given_to_the_registrys_own_realm(self) -> None:
        with FakeRegistry(token="t0ken", login=("me", PASSWORD)) as registry:
            assert self.labels(registry, logins=self.login(registry.host)) == {KEY: NEW}

    def test_a_login_that_is_wrong_or_missing_is_told(self) -> None:
        with FakeRegistry(token="t0ken", login=("me", "another")) as registry:
            for logins in (self.login(registry.host), {}):
                with pytest.raises(SourceError, match="a token for the manifest") as caught:
                    self.labels(registry, logins=logins)
                assert caught.value.cause == "credentials"
                assert PASSWORD not in str(caught.value)

    def test_a_login_for_another_registry_stays_at_home(self) -> None:
        with FakeRegistry(token="t0ken") as registry:
            self.labels(registry, logins=self.login("ghcr.io"))
            assert not any("basic" in str(request.headers).lower() for request in registry.requests)

    def test_a_password_never_goes_to_a_realm_that_its_registry_made_up(self) -> None:
        with FakeRegistry(token="t0ken") as registry, Web() as thief:
            thief.replies["/token"] = Reply(200, b'{"token": "t0ken"}')
            for realm in (f"{thief.url}/token", "https://thief.example/token", "nowhere", "http://[", ""):
                registry.realm = realm or "ftp://127.0.0.1/"
                with pytest.raises(SourceError, match="wants a token fetched from") as caught:
                    self.labels(registry, logins=self.login(registry.host))
                assert caught.value.cause == "credentials"
            assert thief.seen == []

    def test_it_goes_to_one_that_is_allowed_for_that_registry(self, tmp_path: Any) -> None:
        """As Docker Hub's does, which lets another host check passwords."""
        ca_file, server = certificates(tmp_path)
        with FakeRegistry(token="t0ken") as registry, Web(server) as keeper:
            keeper.replies["/token"] = Reply(200, b'{"access_token": "t0ken"}')
            registry.realm = f"{keeper.url}/token?account=me"
            host = keeper.url.removeprefix("https://")
            digest = registry.push("w", labels={KEY: NEW})
            with Http(Deadline(5), ca_file=ca_file) as http:
                way = oci(http, logins=self.login(registry.host), realms={registry.host: [host]})
                assert way.image(Reference(registry.host, "w", digest=digest)).labels == {KEY: NEW}
            [(path, headers)] = keeper.seen
        assert path.startswith("/token?account=me&scope=repository")
        assert headers["authorization"].startswith("Basic ")

    def test_a_stranger_is_not_led_to_this_machine(self) -> None:
        """A registry of the network could otherwise have us ask what only listens here."""
        with Web() as inner, Http(Deadline(5)) as http:
            reference = Reference("registry.example", "w", digest=f"sha256:{'0' * 64}")
            with pytest.raises(SourceError, match="where nobody asks"):
                oci(http)._enter(reference, f'Bearer realm="{inner.url}/token"', "the manifest")
            assert inner.seen == []

    def test_a_registry_that_wants_the_password_itself(self) -> None:
        with Web() as web:
            body = b'{"config": {"digest": "' + digest_of(b"{}").encode() + b'"}}'
            challenge = Reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
            web.replies |= {
                f"/v2/w/manifests/{digest_of(body)}": [challenge, Reply(200, body)],
                f"/v2/w/blobs/{digest_of(b'{}')}": Reply(200, b"{}"),
            }
            host = web.url.removeprefix("http://")
            with Http(Deadline(5)) as http:
                way = oci(http, logins=self.login(host))
                way.image(Reference(host, "w", digest=digest_of(body)))
            assert [headers.get("authorization", "")[:5] for _, headers in web.seen] == ["", "Basic", "Basic"]

    @pytest.mark.parametrize("challenge", ["", "Negotiate", 'Basic realm="x"'])
    def test_a_challenge_that_nobody_can_meet(self, registry: FakeRegistry, challenge: str) -> None:
        registry.fault("w/", status=401, headers={"WWW-Authenticate": challenge})
        assert finding_of(registry).data["cause"] == "credentials"

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b'{"token": ""}']
    )
    def test_a_token_that_is_none(self, body: bytes) -> None:
        with Web() as web:
            web.replies["/token"] = Reply(200, body)
            reference = Reference(web.url.removeprefix("http://"), "w", digest=f"sha256:{'0' * 64}")
            challenge = f'Bearer realm="{web.url}/token"'
            with Http(Deadline(5)) as http, pytest.raises(SourceError, match="a token that is"):
                oci(http)._enter(reference, challenge, "the manifest")


class TestGoogle:
    @pytest.mark.parametrize(
        ("host", "google"),
        [
            ("us-docker.pkg.dev", True),
            ("europe-west1-docker.pkg.dev", True),
            ("gcr.io", True),
            ("eu.gcr.io", True),
            ("pkg.dev", False),
            ("us-docker.pkg.dev:8443", False),
            ("us-docker.pkg.dev.evil.example", False),
            ("evilpkg.dev", False),
            ("evilgcr.io", False),
            ("ghcr.io", False),
            ("127.0.0.1:5000", False),
        ],
    )
    def test_only_googles_hosts_are(self, host: str, google: bool) -> None:
        assert is_google(host) is google

    def test_a_google_token_is_not_even_asked_for_elsewhere(self, registry: FakeRegistry) -> None:
        """Whoever can name an image must not get a token sent to a host of his choice."""
        digest = registry.push("w", labels={KEY: NEW})
        told = asked(
            revision(f"{registry.host}/w@{digest}", commit=None), token=lambda deadline: pytest.fail("asked")
        )
        assert told.revisions[0].evidence[0].value == NEW
        assert not any("authorization" in request.headers for request in registry.requests)

    def test_a_google_host_hears_it_over_tls_alone(self, tmp_path: Any) -> None:
        """Its name leads to a server here that nobody vouches for: the token is not sent."""
        _, server = certificates(tmp_path)
        with Web(server) as web:
            names = Names(lambda host: ["127.0.0.1"])
            http = partial(Http, names=names)
            told = asked(
                revision(f"us-docker.pkg.dev/p/r/w@sha256:{'0' * 64}"),
                seconds=1,
                http=http,
                token=lambda deadline: "ya29.s3cret",
            )
            assert web.seen == []
        [finding] = told.findings
        assert finding.data["cause"] in ("unavailable", "timeout")
        assert "s3cret" not in finding.message

    def test_without_credentials_the_role_is_named(self) -> None:
        def none(deadline: Deadline) -> str:
            raise SourceError("no usable Google credentials", "credentials", False)

        told = asked(revision(f"us-docker.pkg.dev/p/r/w@sha256:{'0' * 64}"), seconds=1, token=none)
        [finding] = told.findings
        assert finding.data["cause"] == "credentials"
        assert "Grant roles/artifactregistry.reader" in finding.message


class TestRedirects:
    def test_storage_hosts_deliver_without_hearing_the_token(self) -> None:
        """Registries keep blobs elsewhere and send us there: normal, and no reason to tell a token."""
        with FakeRegistry(token="t0ken") as registry, Web() as storage:
            digest = registry.push("w", labels={KEY: NEW})
            [config] = [body for body in registry.blobs.values() if body.startswith(b"{")]
            storage.replies["/signed"] = Reply(200, config)
            registry.fault("blobs", status=307, headers={"Location": f"{storage.url}/signed?sig=1"})
            told = asked(revision(f"{registry.host}/w@{digest}", commit=None))
            [(_, headers)] = storage.seen
        assert told.revisions[0].evidence[0].value == NEW
        assert "authorization" not in headers

    def test_what_they_deliver_is_held_against_the_digest(self, registry: FakeRegistry) -> None:
        with Web() as storage:
            storage.replies["/signed"] = Reply(200, b'{"config": {"Labels": {"%s": "x"}}}' % KEY.encode())
            registry.fault("blobs", status=307, headers={"Location": f"{storage.url}/signed"})
            assert finding_of(registry).data["cause"] == "invalid-response"

    def test_one_that_asks_for_a_password_gets_none(self, registry: FakeRegistry) -> None:
        with Web() as storage:
            away = f"http://localhost:{storage.port}"
            storage.replies["/"] = Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{away}/token"'})
            registry.fault("w/", status=307, headers={"Location": f"{away}/"})
            finding = finding_of(registry, logins=TestPasswords().login(registry.host))
            assert [path for path, _ in storage.seen] == ["/"] * len(storage.seen)
        assert finding.data["cause"] == "credentials"
        assert "sent us to a host that asks for a password" in finding.message


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
        told = asked(revision(f"127.0.0.1:{port}/w@sha256:{'0' * 64}"), seconds=1)
    assert reasons(told.findings) == ["evidence-unreachable"]
