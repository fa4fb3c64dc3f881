"""The way to Google: credentials, one channel, the four clients, and how each call is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import google.auth
import grpc
from google.auth.transport.requests import Request
from google.cloud import run_v2
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, Lookup, retrying
from drift_gate.runtime.forks import CALLS
from drift_gate.sources.cloud_run.errors import CREDENTIALS_HINT, FOREIGN, Asked, translate

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: Bytes of one answer: a page of a thousand revisions, each with kilobytes of variables, is some megabytes.
ANSWER_LIMIT = 32 << 20
#: gRPC's own pauses before it connects again start at a second; a server that came back was seen
#: after 2.4 s with those, after 0.3 s with these. `grpc.min_reconnect_backoff_ms` is left alone: in
#: truth it is how long one attempt to connect may take, and with 100 ms a distant region or a cold TLS
#: handshake never connects at all. Google's clients take messages of any size; here one is bounded.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", ANSWER_LIMIT),
)


#: What a token is asked for, as an error names it.
_IMAGES = Asked(
    "the images", "artifactregistry.repositories.downloadArtifacts", "Google", "Artifact Registry"
)


class Call(Protocol[A_co]):
    """One call of a Google client that still lacks its time limit."""

    def __call__(self, *, timeout: float, retry: None) -> A_co: ...


@dataclass(frozen=True, slots=True)
class Connected:
    """The clients over one channel, and who asks (as IAM writes it; None where that is not known)."""

    services: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient
    worker_pools: run_v2.WorkerPoolsClient
    jobs: run_v2.JobsClient
    credentials: Any = None

    @property
    def principal(self) -> str | None:
        """Asked for late: the metadata server tells the account's name with the first token."""
        email = getattr(self.credentials, "service_account_email", None)
        if email and email != "default":
            return f"serviceAccount:{email}"
        account = getattr(self.credentials, "account", None)
        return f"user:{account}" if account else None


class Clients:
    """Google's clients for one endpoint, connected when first needed and shared by many reads.

    ``emulator`` is ``host:port`` of a plaintext server that asks for no credentials; None means Google.
    One per process: a channel does not survive a fork.
    """

    def __init__(self, emulator: str | None = None) -> None:
        self._emulator = emulator
        #: Whether it is the search for credentials that takes its time.
        self._searching = False
        self._connected = Lookup(self._connect, "Google")
        self._token = Lookup(self._refresh, "Google token", keep=False)

    def connect(self, deadline: Deadline, asked: Asked) -> Connected:
        """The connected clients. Raises ``SourceError``: ``credentials`` where none turn up in time.

        Where there are some, or none are needed, and the rest took too long, it is a ``timeout``: a busy
        machine is no lack of credentials.

        Credentials are looked for on a thread that nobody waits for longer than the deadline: a
        metadata server that never answers holds it for 12 s. The next call goes on waiting for the
        same look-up, or starts a new one after it failed.
        """
        try:
            deadline.require("Google credentials")
            return self._connected.result(deadline)
        except TimeoutError as error:
            within = f"within {deadline.seconds:.3g} s to read {asked.place}"
            if self._searching:
                sentence = f"no Google credentials were found {within}. {CREDENTIALS_HINT}"
                raise SourceError(sentence, "credentials", True) from error
            raise SourceError(f"Google's client was not ready {within}", "timeout", True) from error
        except FOREIGN as error:
            raise translate(error, asked) from error

    def token(self, deadline: Deadline) -> str:
        """An access token for Google's other APIs, a registry say. Raises ``SourceError``.

        It is as secret as a password. An emulator has none. A token server that hangs is not waited for
        longer than the deadline either.
        """
        self.connect(deadline, _IMAGES)
        try:
            return self._token.result(deadline)
        except TimeoutError as error:
            sentence = f"Google gave no access token within {deadline.seconds:.3g} s. {CREDENTIALS_HINT}"
            raise SourceError(sentence, "credentials", True) from error
        except FOREIGN as error:
            raise translate(error, _IMAGES) from error

    def _refresh(self) -> str:
        credentials = self._connected.result(Deadline(0)).credentials
        if credentials is None:
            sentence = (
                "an emulator gives no access token, without which Google's registries say nothing; unset "
                "CLOUD_RUN_EMULATOR_HOST, or keep the image in another registry"
            )
            raise SourceError(sentence, "credentials", False)
        if not credentials.valid:
            credentials.refresh(Request())
        return str(credentials.token)

    def _connect(self) -> Connected:
        if self._emulator is not None:
            # A proxy is for the way out; it cannot reach the loopback interface of this machine.
            options = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
            with CALLS.one():
                return connected(grpc.insecure_channel(self._emulator, options=options))
        self._searching = True
        try:
            credentials, _ = google.auth.default(scopes=SCOPES)
        finally:
            self._searching = False
        with CALLS.one():
            channel = ServicesGrpcTransport.create_channel(credentials=credentials, options=CHANNEL_OPTIONS)
            return connected(channel, credentials)


def connected(channel: grpc.Channel, credentials: Any = None) -> Connected:
    """The clients over one ``channel``, for which ``credentials`` were found (None: it asks for none)."""
    return Connected(
        run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
        run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
        run_v2.WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=channel)),
        run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel)),
        credentials,
    )


def ask(call: Call[A], deadline: Deadline, asked: Asked) -> A:
    """The answer of ``call``, tried again while that may help and the deadline leaves room.

    Google's own retries are off: they would multiply with ours, and some reads have no time limit at
    all unless they are given one. Raises ``SourceError``.
    """

    def once() -> A:
        left = deadline.require(asked.what)
        try:
            with CALLS.one():
                return call(timeout=left, retry=None)
        except FOREIGN as error:
            raise translate(error, asked) from error

    return retrying(once, deadline)
