"""What Google's libraries raise, in the gate's words: nothing slips through, and the words help."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.auth.transport.grpc
import google.auth.transport.requests
import google.oauth2.credentials
import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from support.limits import ENOUGH_S, OVER_S, in_time
from support.web import Reply, Web, raw, silent

from drift_gate.errors import CAUSES, Cause, SourceError
from drift_gate.facts import Live
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.cloud_run.clients import Clients, Connected
from drift_gate.sources.cloud_run.errors import FOREIGN, Asked, classify, translate
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.sources.one_line import MESSAGE_LIMIT, one_line
from drift_gate.testing.cloud_run import FakeCloudRun

ASKED = Asked("the service w", "run.services.get", "p", "r")


def classes(module: Any) -> list[type[Exception]]:
    """The exceptions of ``module``. The one for misused asynchronous REST is for programmers, not for us."""
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)]
    return [kind for kind in found if kind is not api.AsyncRestUnsupportedParameterError]


def made(kind: Any, text: str = "text", **more: Any) -> Exception:
    """An exception as its library makes it (their constructors carry no types)."""
    more |= {"cause": ValueError()} if issubclass(kind, api.RetryError) else {}
    error: Exception = kind(text, **more)
    return error


@pytest.mark.parametrize(
    "kind", [*classes(api), *classes(auth)], ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_every_exception_of_googles_libraries_has_a_cause(kind: type[Exception]) -> None:
    assert issubclass(kind, FOREIGN)
    error = translate(made(kind), ASKED)
    assert error.cause in CAUSES
    assert "the service w" in error.message


TABLE: list[tuple[Exception, Cause, bool]] = [
    (made(api.NotFound), "not-found", False),
    (made(api.InvalidArgument), "not-found", False),
    (made(api.MethodNotImplemented), "not-found", False),
    (made(api.PermissionDenied), "permission-denied", False),
    (made(api.Unauthenticated), "credentials", False),
    (made(api.ResourceExhausted), "rate-limited", True),
    (made(api.DeadlineExceeded), "timeout", True),
    (made(api.ServiceUnavailable), "unavailable", True),
    (made(api.InternalServerError), "unavailable", True),
    (made(api.Unknown), "unavailable", True),
    (made(api.Aborted), "unavailable", True),
    (made(api.FailedPrecondition), "unavailable", False),
    (made(api.OutOfRange), "unavailable", False),
    (made(api.DataLoss), "invalid-response", False),
    (made(api.MovedPermanently), "invalid-response", False),
    (made(api.RetryError), "unavailable", True),
    (made(api.GoogleAPICallError, "of no known kind"), "unavailable", False),
    (made(api.InternalServerError, "Exception deserializing response!"), "invalid-response", False),
    (made(api.ServiceUnavailable, "Getting metadata from plugin failed with error: x"), "credentials", False),
    (made(auth.DefaultCredentialsError), "credentials", False),
    (made(auth.RefreshError), "credentials", False),
    (made(auth.MalformedError), "credentials", False),
    (made(auth.TransportError), "unavailable", True),
    (grpc.FutureTimeoutError(), "timeout", True),
    (grpc.RpcError(), "unavailable", True),
    (PermissionError("x"), "credentials", False),
    (ValueError("x"), "invalid-response", False),
    (OverflowError("x"), "invalid-response", False),
]


@pytest.mark.parametrize(("error", "cause", "retryable"), TABLE, ids=[repr(row[0])[:60] for row in TABLE])
def test_the_entry_nearest_to_the_class_counts(error: Exception, cause: Cause, retryable: bool) -> None:
    assert classify(error) == (cause, retryable)


def test_an_error_of_grpc_itself_is_classified_by_its_status() -> None:
    """A call below the generated client fails with a bare ``RpcError`` that carries a status."""
    with FakeCloudRun() as cloud, grpc.insecure_channel(cloud.host) as channel:
        call: Any = channel.unary_unary("/google.cloud.run.v2.Services/GetService")
        cloud.fault("GetService", code="RESOURCE_EXHAUSTED")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=ENOUGH_S)
    assert classify(caught.value) == ("rate-limited", True)


def test_the_pause_that_google_asks_for_is_kept_with_the_error() -> None:
    """A quota says in the details of its status when it is open again."""
    details: Any = import_module("google.rpc.error_details_pb2")  # it comes without types
    info = details.RetryInfo(retry_delay={"seconds": 2, "nanos": 500_000_000})
    error = translate(made(api.ResourceExhausted, "slow down", details=[info]), ASKED)
    assert (error.cause, error.retry_after) == ("rate-limited", 2.5)
    assert translate(made(api.ResourceExhausted, "slow down"), ASKED).retry_after is None


class TestTokens:
    """Tokens are fetched inside gRPC, which tells of a failure under the status UNAVAILABLE."""

    def classified(self, **settings: str) -> tuple[Cause, bool]:
        """How the failure of a real call is classified whose credentials are a user's, with ``settings``."""
        user: Any = google.oauth2.credentials.Credentials
        plugin: Any = google.auth.transport.grpc.AuthMetadataPlugin
        request: Any = google.auth.transport.requests.Request
        with ThreadPoolExecutor(1) as threads:
            server = grpc.server(threads)
            port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
            server.start()
            secured = grpc.composite_channel_credentials(
                grpc.local_channel_credentials(),
                grpc.metadata_call_credentials(plugin(user(None, **settings), request())),
            )
            with grpc.secure_channel(f"127.0.0.1:{port}", secured) as channel:
                call: Any = channel.unary_unary("/google.cloud.run.v2.Services/GetService")
                with pytest.raises(grpc.RpcError) as caught:
                    call(b"", timeout=ENOUGH_S)
            server.stop(None).wait()
        return classify(caught.value)

    def test_credentials_that_cannot_be_refreshed(self) -> None:
        assert self.classified() == ("credentials", False)

    def test_no_way_to_the_server_that_refreshes_them(self) -> None:
        nowhere = "http://127.0.0.1:1/token"
        known = {"refresh_token": "r", "client_id": "c", "client_secret": "s", "token_uri": nowhere}
        assert self.classified(**known) == ("unavailable", True)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Clients]:
    """Clients with the key of a service account, whose tokens come from an address."""

    def clients(token_uri: str) -> Clients:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        settings = {
            "type": "service_account",
            "client_email": "gate@p.example",
            "private_key": key.decode(),
            "token_uri": token_uri,
        }
        (tmp_path / "key.json").write_text(json.dumps(settings))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        return Clients()

    return clients


def test_a_service_accounts_key_connects_and_names_its_account(account: Callable[[str], Clients]) -> None:
    """The way to Google itself, as far as it goes without a call."""
    clients = account("http://127.0.0.1:1/token")
    connected = clients.connect(Deadline(60), ASKED)
    assert connected.principal == "serviceAccount:gate@p.example"
    assert clients.connect(Deadline(60), ASKED) is connected


class TestToken:
    """A token for Google's other APIs."""

    def test_it_is_fetched_once_while_it_is_good(self, account: Callable[[str], Clients]) -> None:
        with Web() as web:
            web.replies["/token"] = Reply(
                200, b'{"access_token": "t0ken", "expires_in": 3600}', {"Content-Type": "application/json"}
            )
            clients = account(f"{web.url}/token")
            assert [clients.token(Deadline(60)) for _ in range(2)] == ["t0ken"] * 2
            assert len(web.seen) == 1

    def test_a_server_that_refuses_it_is_told(self, account: Callable[[str], Clients]) -> None:
        with Web() as web:
            web.replies["/token"] = Reply(400, b'{"error": "invalid_grant"}')
            clients = account(f"{web.url}/token")
            with pytest.raises(SourceError, match="no usable Google credentials") as caught:
                clients.token(Deadline(60))
        assert caught.value.cause == "credentials"

    def test_one_that_hangs_is_not_waited_for(self, account: Callable[[str], Clients]) -> None:
        with raw(silent) as port:
            clients = account(f"http://127.0.0.1:{port}/token")
            clients.connect(Deadline(ENOUGH_S), Asked("the images", "", "p", "r"))
            with pytest.raises(SourceError, match=r"no access token within 0\.3 s") as caught:
                clients.token(Deadline(OVER_S))
        assert caught.value.cause == "credentials"

    def test_an_emulator_has_none(self) -> None:
        with pytest.raises(SourceError, match="an emulator gives no access token"):
            Clients("127.0.0.1:1").token(Deadline(60))


class TestDenied:
    def test_principal_permission_and_role_are_named_with_the_line_that_grants_it(self) -> None:
        asked = Asked("the revision w-1", "run.revisions.get", "p", "r", "serviceAccount:gate@p.example")
        message = translate(made(api.PermissionDenied, "Permission denied on resource."), asked).message
        assert message == (
            "gate@p.example may not read the revision w-1 in p/r: it lacks `run.revisions.get`. "
            "Grant roles/run.viewer: `gcloud projects add-iam-policy-binding p "
            "--member=serviceAccount:gate@p.example --role=roles/run.viewer`. "
            "Cloud Run says: Permission denied on resource"
        )

    def test_an_unknown_principal_is_the_caller(self) -> None:
        message = translate(made(api.Forbidden, "no"), ASKED).message
        assert message.startswith("the caller may not read the service w in p/r: it lacks `run.services.get`")
        assert "--member=MEMBER" in message

    def test_an_api_that_is_switched_off_is_no_matter_of_roles(self) -> None:
        off = SimpleNamespace(reason="SERVICE_DISABLED", domain="googleapis.com", metadata={})
        message = translate(made(api.PermissionDenied, "it is disabled", error_info=off), ASKED).message
        assert "`gcloud services enable run.googleapis.com --project=p`" in message
        assert "roles/run.viewer" not in message

    @pytest.mark.parametrize(
        ("kind", "permission"),
        [("service", "run.services.get"), ("worker-pool", "run.workerpools.get"), ("job", "run.jobs.get")],
    )
    def test_each_kind_takes_a_permission_of_its_own(self, kind: Any, permission: str) -> None:
        with FakeCloudRun() as cloud:
            cloud.fault("*", code="PERMISSION_DENIED")
            source = CloudRun(
                service="w",
                kind=kind,
                project="p",
                region="r",
                deadline=Deadline(60),
                clients=Clients(cloud.host),
            )
            with pytest.raises(SourceError, match=permission):
                source.read()


@pytest.mark.parametrize(
    ("credentials", "principal"),
    [
        (None, None),
        (SimpleNamespace(service_account_email="gate@p.example"), "serviceAccount:gate@p.example"),
        (SimpleNamespace(service_account_email="default"), None),
        (SimpleNamespace(account="ada@p.example"), "user:ada@p.example"),
        (SimpleNamespace(account=""), None),
    ],
)
def test_who_asks_is_known_from_the_credentials(credentials: Any, principal: str | None) -> None:
    """``default`` is what the metadata server's account is called before it told its name."""
    none: Any = None
    assert Connected(none, none, none, none, credentials).principal == principal


def test_texts_from_outside_are_one_short_line() -> None:
    assert one_line("a\nb\x1b[31m\u202e\x00c\ud800  d ") == "a b [31m c d"
    assert one_line("x" * MESSAGE_LIMIT) == "x" * MESSAGE_LIMIT
    assert one_line("x" * (MESSAGE_LIMIT + 1)) == "x" * (MESSAGE_LIMIT - 1) + "…"
    assert len(translate(made(api.NotFound, "y" * 100_000), ASKED).message) < MESSAGE_LIMIT + 100


class TestFindings:
    """What the findings tell a person, and the data that they carry."""

    def read(self, cloud: FakeCloudRun, **settings: Any) -> Live:
        return CloudRun(
            service="w",
            project=cloud.project,
            region=cloud.region,
            deadline=Deadline(60),
            clients=Clients(cloud.host),
            **settings,
        ).read()

    def test_a_pin_names_both_revisions_and_the_line_that_frees_it(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w")
            cloud.deploy("w", traffic=False)
            (finding,) = self.read(cloud).findings
        line = "gcloud run services update-traffic w --to-latest --project=test-project --region=us-west2"
        assert finding.data == {"pinned": ["w-00001"], "ready": "w-00002", "command": line}
        assert finding.message == (
            "the traffic of w is pinned to w-00001, while the newest ready revision w-00002 gets none"
        )

    def test_a_pinned_worker_pool_is_freed_by_another_line(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w", kind="worker-pool")
            cloud.deploy("w", kind="worker-pool", traffic=False)
            (finding,) = self.read(cloud, kind="worker-pool").findings
        assert str(finding.data["command"]).startswith(
            "gcloud beta run worker-pools update-instance-split w --to-latest"
        )

    def test_a_failed_rollout_has_the_platforms_words_and_the_link_to_the_logs(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w")
            cloud.deploy("w", ready=False)
            cloud.services["w"].terminal_condition.message += "\x1b[2J" + "!" * 1000
            (finding,) = self.read(cloud).findings
        words = str(finding.data["platform_message"])
        assert (finding.data["created"], finding.data["ready"]) == ("w-00002", "w-00001")
        assert words.startswith(
            "Revision 'w-00002' is not ready. The user-provided container failed to start"
        )
        assert len(words) == MESSAGE_LIMIT
        assert words.isprintable()
        assert words in finding.message
        assert str(finding.data["log_uri"]).startswith(
            "https://console.cloud.google.com/logs/viewer?project=p"
        )

    def test_a_failed_rollout_without_words_or_link(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w")
            cloud.deploy("w", ready=False)
            cloud.services["w"].terminal_condition.message = ""
            (finding,) = self.read(cloud).findings
        assert finding.data["platform_message"] == "the condition Ready failed"
        assert finding.data["log_uri"] is None

    def test_a_rollout_under_way_names_both_revisions(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w")
            cloud.deploy("w", ready=False)
            cloud.services["w"].reconciling = True
            (finding,) = self.read(cloud).findings
            known = {key: value for key, value in finding.data.items() if value is not None}
        assert known == {"created": "w-00002", "ready": "w-00001"}
        assert finding.message == "a rollout of w is under way; its newest revision is w-00002"

    def test_a_split_and_its_gap_are_told_in_numbers(self) -> None:
        with FakeCloudRun() as cloud:
            names = [cloud.deploy("w"), cloud.deploy("w")]
            cloud.set_traffic("w", {names[0]: 30, names[1]: 60})
            split, gap = self.read(cloud).findings
        assert split.message == "the traffic is split over 2 revisions: w-00002 60 %, w-00001 30 %"
        assert split.data == {"revisions": ["w-00002", "w-00001"]}
        assert gap.message == "the traffic percents sum to 90, not to 100: w-00002 60 %, w-00001 30 %"
        assert gap.data == {"sum": 90}

    def test_why_nothing_serves_is_said(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w", ready=False)
            with pytest.raises(
                SourceError, match=r"no revision of w in .* serves: Revision 'w-00001' is not ready"
            ):
                self.read(cloud)
            cloud.services["w"].reconciling = True
            with pytest.raises(SourceError, match="serves: a rollout is under way"):
                self.read(cloud)

    def test_the_keys_can_be_chosen(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy(
                "w", labels={"commit-sha": "1", "rev": "2"}, env={"GIT_SHA": "3", "REV": "4"}, image="i"
            )
            live = self.read(cloud, label_keys=["rev"], env_keys=["REV"])
        assert [evidence.value for evidence in live.revisions[0].evidence] == ["2", "4"]


def test_no_thread_of_a_read_outlives_its_deadline() -> None:
    """A process that checks every minute against a hanging API must not collect threads."""
    before = set(threading.enumerate())  # what another test has left is not ours
    with FakeCloudRun() as cloud:
        cloud.deploy("w")
        cloud.fault("GetRevision", hang=True)

        def ask(seconds: float) -> Live | SourceError:
            source = CloudRun(
                service="w",
                project=cloud.project,
                region=cloud.region,
                deadline=Deadline(seconds),
                clients=Clients(cloud.host),
            )
            return gather({"w": source.read}, Deadline(ENOUGH_S))["w"]

        for _ in range(3):
            live = in_time(ask, late=lambda live: isinstance(live, SourceError))
            assert isinstance(live, Live)
            assert live.revisions[0].unknown is not None
        begun = set(threading.enumerate()) - before
        ours = [thread for thread in begun if thread.name.startswith("drift-gate")]
        for thread in ours:
            thread.join(ENOUGH_S)
    assert not any(thread.is_alive() for thread in ours)
