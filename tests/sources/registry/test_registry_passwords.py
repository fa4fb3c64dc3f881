"""No password and no token goes where it must not: what registries ask for, and what they get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support.registries import KEY, NEW, asked, finding_in_time, revision
from support.web import (
    Reply,
    Web,
    certificates,
    raw,
    tunnel,
)

from drift_gate.errors import SourceError
from drift_gate.evidence.image import Reference
from drift_gate.facts import Finding
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http
from drift_gate.sources.registry.oci import Cache, Oci, is_google
from drift_gate.testing.registry import FakeRegistry, digest_of

PASSWORD = "s3cret-password"
CUT = {"Content-Length": "9999", "Connection": "close"}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def finding_of(registry: FakeRegistry, **settings: Any) -> Finding:
    """The one finding about an image of ``registry``."""
    digest = registry.push("w", labels={KEY: NEW})
    return finding_in_time(revision(f"{registry.host}/w@{digest}"), **settings)


def oci(http: Http, **settings: Any) -> Oci:
    return Oci(http, Deadline(60), cache=Cache(), **settings)


class TestPasswords:
    def labels(self, registry: FakeRegistry, **settings: Any) -> dict[str, str]:
        digest = registry.push("w", labels={KEY: NEW})
        with Http(Deadline(60)) as http:
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

    def test_it_goes_to_one_that_is_allowed_for_that_registry(self, tmp_path: Path) -> None:
        """As Docker Hub's does, which lets another host check passwords."""
        ca_file, server = certificates(tmp_path)
        with FakeRegistry(token="t0ken") as registry, Web(server) as keeper:
            keeper.replies["/token"] = Reply(200, b'{"access_token": "t0ken"}')
            registry.realm = f"{keeper.url}/token?account=me"
            host = keeper.url.removeprefix("https://")
            digest = registry.push("w", labels={KEY: NEW})
            with Http(Deadline(60), ca_file=ca_file) as http:
                way = oci(http, logins=self.login(registry.host), realms={registry.host: [host]})
                assert way.image(Reference(registry.host, "w", digest=digest)).labels == {KEY: NEW}
            [(path, headers)] = keeper.seen
        assert path.startswith("/token?account=me&scope=repository")
        assert headers["authorization"].startswith("Basic ")

    def test_a_stranger_is_not_led_to_this_machine(self) -> None:
        """A registry of the network could otherwise have us ask what only listens here."""
        with Web() as inner, Http(Deadline(60)) as http:
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
            with Http(Deadline(60)) as http:
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
            with Http(Deadline(60)) as http, pytest.raises(SourceError, match="a token that is"):
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

    HOST = "us-docker.pkg.dev"

    def test_its_own_registry_gets_it_at_once(self, tmp_path: Path) -> None:
        """Under its name and a certificate for that, at the end of a tunnel that leads to this machine."""
        config = json.dumps({"config": {"Labels": {KEY: NEW}}}).encode()
        body = json.dumps({"config": {"digest": digest_of(config)}}).encode()
        ca_file, server = certificates(tmp_path, self.HOST)
        lines: list[bytes] = []
        with Web(server) as web, raw(tunnel(web.port, lines)) as port:
            web.replies |= {
                f"/v2/p/r/w/manifests/{digest_of(body)}": Reply(200, body),
                f"/v2/p/r/w/blobs/{digest_of(config)}": Reply(200, config),
            }
            http = partial(Http, ca_file=ca_file, proxy=f"http://127.0.0.1:{port}")
            told = asked(
                revision(f"{self.HOST}/p/r/w@{digest_of(body)}", commit=None),
                http=http,
                token=lambda deadline: "ya29.s3cret",
            )
            assert [headers["authorization"] for _, headers in web.seen] == ["Bearer ya29.s3cret"] * 2
        assert told.revisions[0].evidence[0].value == NEW
        assert lines == [b"CONNECT us-docker.pkg.dev:443 HTTP/1.1"]

    def test_one_that_does_not_take_it_is_not_asked_what_else_it_wants(self, tmp_path: Path) -> None:
        ca_file, server = certificates(tmp_path, self.HOST)
        with Web(server) as web, raw(tunnel(web.port, [])) as port:
            challenge = {"WWW-Authenticate": 'Bearer realm="https://thief.example/token"'}
            web.replies[f"/v2/p/r/w/manifests/sha256:{'0' * 64}"] = Reply(401, b"", challenge)
            told = asked(
                revision(f"{self.HOST}/p/r/w@sha256:{'0' * 64}", commit=None),
                http=partial(Http, ca_file=ca_file, proxy=f"http://127.0.0.1:{port}"),
                token=lambda deadline: "ya29.s3cret",
            )
            assert len(web.seen) == 1
        [finding] = told.findings
        assert finding.data["cause"] == "credentials"
        assert "s3cret" not in finding.message

    def test_a_server_that_nobody_vouches_for_does_not_hear_it(self, tmp_path: Path) -> None:
        _, server = certificates(tmp_path, self.HOST)
        with Web(server) as web, raw(tunnel(web.port, [])) as port:
            told = asked(
                revision(f"{self.HOST}/p/r/w@sha256:{'0' * 64}"),
                http=partial(Http, proxy=f"http://127.0.0.1:{port}"),
                token=lambda deadline: "ya29.s3cret",
            )
            assert web.seen == []
        [finding] = told.findings
        assert finding.data["cause"] == "unavailable"
        assert "certificate verify failed" in finding.message
        assert "s3cret" not in finding.message

    def test_without_credentials_the_role_is_named(self) -> None:
        def none(deadline: Deadline) -> str:
            raise SourceError("no usable Google credentials", "credentials", False)

        told = asked(revision(f"us-docker.pkg.dev/p/r/w@sha256:{'0' * 64}"), token=none)
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
