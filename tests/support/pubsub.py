"""Topics and subscriptions in a Pub/Sub emulator, and worker processes beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PullRequest, PushConfig, ReceivedMessage, Subscription

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Desk:
    """A topic for tasks with its subscription, and one for completions with its own, in one project."""

    host: str
    project: str
    tasks: str
    tasks_subscription: str
    completions: str
    completions_subscription: str

    @classmethod
    def open(cls, host: str) -> Desk:
        """Made anew."""
        project = f"projects/p{uuid4().hex[:12]}"
        desk = cls(
            host,
            project,
            f"{project}/topics/tasks",
            f"{project}/subscriptions/tasks",
            f"{project}/topics/completions",
            f"{project}/subscriptions/completions",
        )
        with grpc.insecure_channel(host) as channel:
            topics = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            subscriptions = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            for name in (desk.tasks, desk.completions):
                topics.create_topic(name=name)
            for name, topic in (
                (desk.tasks_subscription, desk.tasks),
                (desk.completions_subscription, desk.completions),
            ):
                subscriptions.create_subscription(
                    Subscription(name=name, topic=topic, ack_deadline_seconds=10)
                )
        return desk

    def pull(
        self, subscription: str, expected: int, *, ack: bool = True, seconds: float = 30
    ) -> list[ReceivedMessage]:
        """The messages that come, until ``expected`` of them did or ``seconds`` are over."""
        deadline, found = time.monotonic() + seconds, list[ReceivedMessage]()
        with grpc.insecure_channel(self.host) as channel:
            client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            while len(found) < expected and time.monotonic() < deadline:
                # Deprecated, and what we want: the emulator lets whoever waits go on waiting when one comes.
                request = PullRequest(subscription=subscription, max_messages=1000, return_immediately=True)
                with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                    answer = client.pull(request, timeout=20)
                found += answer.received_messages
                if answer.received_messages:
                    ids = [each.ack_id for each in answer.received_messages]
                    client.acknowledge(subscription=subscription, ack_ids=ids)
                else:
                    time.sleep(0.02)
        return found

    def push(self, name: str, endpoint: str, topic: str | None = None) -> None:
        """Push ``topic`` (None: the tasks) to ``endpoint`` as well, by a subscription of its own."""
        with grpc.insecure_channel(self.host) as channel:
            client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            full, config = f"{self.project}/subscriptions/{name}", PushConfig(push_endpoint=endpoint)
            client.create_subscription(Subscription(name=full, topic=topic or self.tasks, push_config=config))


@contextmanager
def worker(module: str, environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m predictions.worker.MODULE`` until the end of the block; ``log`` takes its stderr."""
    argv = [sys.executable, "-m", f"predictions.worker.{module}"]
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    with log.open("wb") as stream, subprocess.Popen(argv, cwd=ROOT, env=own, stderr=stream) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(environ: Mapping[str, str], log: Path, port: int | None = None) -> Iterator[str]:
    """The address of a worker process that serves HTTP, on ``port`` (None: a free one)."""
    port = port or free_port()
    with worker("serve", {**environ, "PORT": str(port)}, log) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                yield f"http://127.0.0.1:{port}"
                return
            time.sleep(0.05)
        raise AssertionError(f"the worker does not serve: {log.read_text()}")
