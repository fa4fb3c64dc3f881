"""ID tokens: from Google's real library against loopback servers, kept, and never waited for too long."""

from __future__ import annotations

import base64
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.impersonated_credentials import IDTokenCredentials
from google.auth.transport.requests import Request
from support.limits import ENOUGH_S, OVER_S
from support.web import Reply, Web, raw, says

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.health import tokens as health_tokens
from drift_gate.sources.health.tokens import EARLY_S, TOKENS, Fetched, IdTokens, fetch

ROOT = Path(__file__).parents[3]
AUDIENCE = "https://worker.example"
NOW = 1_800_000_000.0


def web_token(ends: float) -> str:
    """A JSON web token with an end and no signature worth the name."""
    parts = ({"alg": "RS256", "typ": "JWT"}, {"aud": AUDIENCE, "exp": int(ends)}, "signature")
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


class TestKeeping:
    def test_one_is_kept_until_shortly_before_it_ends(self) -> None:
        """An hour's token is asked for once an hour and not for each check."""
        times = iter([NOW + 3600 - EARLY_S - 1, NOW + 3600 - EARLY_S])
        asked = []

        def fetch(audience: str) -> Fetched:
            asked.append(audience)
            return Fetched(f"token{len(asked)}", NOW + 3600 * len(asked))

        tokens = IdTokens(fetch, lambda: next(times))
        assert tokens.get(AUDIENCE, Deadline(60)) == "token1"
        assert [tokens.get(AUDIENCE, Deadline(60)) for _ in range(2)] == ["token1", "token2"]
        assert asked == [AUDIENCE] * 2

    def test_each_audience_has_its_own(self) -> None:
        """A token for one service must not open another."""
        tokens = IdTokens(lambda audience: Fetched(f"for-{audience[8:]}", time.time() + 3600))
        services = [f"https://s{number}.example" for number in range(20)]
        got: dict[str, str] = {}

        def ask(service: str) -> None:
            got[service] = tokens.get(service, Deadline(60))

        threads = [threading.Thread(target=ask, args=(service,)) for service in services * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == {service: f"for-{service[8:]}" for service in services}

    def test_one_thread_hangs_and_no_more_and_nobody_waits(self) -> None:
        """Whatever is asked for meanwhile is fetched by the same thread when it goes on."""
        over = threading.Event()

        def fetch(audience: str) -> Fetched:
            over.wait()
            return Fetched("late", time.time() + 3600)

        tokens = IdTokens(fetch)
        before = threading.active_count()
        for service in (AUDIENCE, "https://other.example", AUDIENCE):
            with pytest.raises(SourceError, match=r"turned up within 0\.3 s") as caught:
                tokens.get(service, Deadline(OVER_S))
            assert caught.value.cause == "credentials"
        assert threading.active_count() - before <= 1
        over.set()
        assert tokens.get("https://other.example", Deadline(60)) == "late"

    def test_a_failure_is_not_kept(self) -> None:
        outcomes: list[Fetched | Exception] = [ValueError("no\x1b[31m key"), Fetched("t", time.time() + 3600)]

        def fetch(audience: str) -> Fetched:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        tokens = IdTokens(fetch)
        with pytest.raises(SourceError, match="service account") as caught:
            tokens.get(AUDIENCE, Deadline(60))
        assert caught.value.message.isprintable()
        assert isinstance(caught.value.__cause__, ValueError)
        assert tokens.get(AUDIENCE, Deadline(60)) == "t"

    @pytest.mark.parametrize("value", ["", "a b", "a\r\nX: y", "ü", "a" * 9000])
    def test_what_is_no_token_is_not_sent(self, value: str) -> None:
        """A header of ours is not written by others."""
        with pytest.raises(SourceError, match="no token"):
            IdTokens(lambda _: Fetched(value, time.time() + 3600)).get(AUDIENCE, Deadline(60))

    def test_one_that_ends_soon_is_used_once(self) -> None:
        tokens = IdTokens(lambda _: Fetched("short", time.time() + 10))
        assert tokens.get(AUDIENCE, Deadline(60)) == "short"

    def test_no_secret_is_in_a_repr(self) -> None:
        assert "eyJ" not in repr(Fetched("eyJ.s3cret", 1.0))

    def test_the_child_of_a_fork_begins_anew(self) -> None:
        """The parent's thread does not exist in it; to wait for it would be to wait for ever."""
        hanging = threading.Event()
        tokens = IdTokens(lambda _: Fetched(str(hanging.wait()), time.time() + 3600))
        with pytest.raises(SourceError):
            tokens.get(AUDIENCE, Deadline(OVER_S))
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(tokens,))
        child.start()
        child.join(ENOUGH_S)
        hanging.set()
        assert child.exitcode == 0
        assert TOKENS is health_tokens.TOKENS


def _in_child(tokens: IdTokens) -> None:
    tokens.forget()
    tokens._fetch = lambda _: Fetched("child", time.time() + 3600)
    assert tokens.get(AUDIENCE, Deadline(60)) == "child"


class TestGooglesLibrary:
    """``fetch`` with what a machine may have."""

    @pytest.fixture(autouse=True)
    def web(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
        """Neither the tester's credentials nor a metadata server: this web server is none."""
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("NO_PROXY", "*")
        with Web() as web:
            monkeypatch.setenv("GCE_METADATA_HOST", web.url.removeprefix("http://"))
            monkeypatch.setenv("GCE_METADATA_IP", web.url.removeprefix("http://"))
            yield web

    @pytest.fixture
    def key(self) -> str:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        return made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def test_a_service_accounts_key(self, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The token and its end come from the token server that the key names."""
        ends = int(time.time()) + 3600
        body = json.dumps({"id_token": web_token(ends)}).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        with raw(says(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as port:
            info = {
                "type": "service_account",
                "client_email": "gate@p.iam.gserviceaccount.com",
                "private_key": key,
                "token_uri": f"http://127.0.0.1:{port}/token",
            }
            (tmp_path / "key.json").write_text(json.dumps(info))
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
            fetched = fetch(AUDIENCE)
        assert fetched == Fetched(web_token(ends), float(ends))

    def test_a_metadata_server(self, web: Web) -> None:
        """As on Cloud Run: the attached account's, for the audience that was asked for."""
        ends = int(time.time()) + 3600
        account = "/computeMetadata/v1/instance/service-accounts/default"
        web.replies = {
            "/": Reply(200, b"", {"Metadata-Flavor": "Google"}),
            f"{account}/": Reply(200, b'{"email": "gate@p.iam"}', {"Content-Type": "application/json"}),
            f"{account}/identity": Reply(200, web_token(ends).encode(), {"Content-Type": "text/plain"}),
        }
        code = (  # a process of its own: the library reads its variables when it is loaded
            "import sys; from drift_gate.sources.health.tokens import fetch\n"
            "token = fetch(sys.argv[1]); print(token.value, token.ends)"
        )
        argv = [sys.executable, "-c", code, AUDIENCE]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (f"{web_token(ends)} {float(ends)}\n", "")
        asked, headers = web.seen[-1]
        assert parse_qs(urlsplit(asked).query)["audience"] == [AUDIENCE]
        assert headers["metadata-flavor"] == "Google"

    def test_a_persons_own_login_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A person's credentials bear no audience; the message names what does."""
        monkeypatch.setenv("PATH", str(tmp_path))  # or the library starts gcloud to ask for a project
        info = {"type": "authorized_user", "client_id": "c", "client_secret": "s3cret", "refresh_token": "r"}
        (tmp_path / "application_default_credentials.json").write_text(json.dumps(info))
        with pytest.raises(SourceError, match="--impersonate-service-account=ACCOUNT") as caught:
            IdTokens().get(AUDIENCE, Deadline(60))
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        "kind", ["impersonated_service_account", pytest.param("external_account", marks=pytest.mark.heavy)]
    )
    def test_an_account_to_act_as(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The login that acts as an account, and an identity that another provider vouches for."""
        person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        (tmp_path / "subject").write_text("token")
        account = "projects/-/serviceAccounts/gate@p.iam.gserviceaccount.com:generateAccessToken"
        info = {
            "type": kind,
            "service_account_impersonation_url": f"https://iamcredentials.googleapis.com/v1/{account}",
            "source_credentials": person,
            "audience": "//iam.googleapis.com/projects/1/workloadIdentityPools/p/providers/g",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": str(tmp_path / "subject")},
        }
        (tmp_path / "application_default_credentials.json").write_text(json.dumps(info))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")  # otherwise the library asks Google for it
        monkeypatch.setenv("PATH", str(tmp_path))  # or gcloud
        found = health_tokens._credentials(AUDIENCE, Request())
        assert isinstance(found, IDTokenCredentials)
        assert found._target_audience == AUDIENCE
        assert found._target_credentials.signer_email == "gate@p.iam.gserviceaccount.com"

    def test_nothing_at_all(self) -> None:
        with pytest.raises(SourceError, match="service account") as caught:
            IdTokens().get(AUDIENCE, Deadline(60))
        assert caught.value.cause == "credentials"
