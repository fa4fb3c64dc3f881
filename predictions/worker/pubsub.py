"""Clients of Pub/Sub, for the coordinator and the worker: Google's own, or an emulator's that is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import grpc
from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.cloud import pubsub_v1  # type: ignore[attr-defined]  # a namespace package without types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

#: Seconds that one message may take to be taken; the library alone would try for ten minutes
#: (https://github.com/googleapis/python-pubsub/issues/303).
PUBLISH_SECONDS = 60.0
#: A request holds at most 1,000 messages and 10 MB (https://cloud.google.com/pubsub/quotas#resource_limits).
#: It leaves when it holds so many or is so old (seconds).
_MESSAGES, _BYTES, _AGE = 1000, 4_000_000, 0.02
#: What is on its way at once; whoever publishes more waits.
_FLYING, _FLYING_BYTES = 5000, 40_000_000

#: Seconds after which Pub/Sub gives the messages of a worker that died to another; one that lives asks for
#: more by itself. 10 is the least there is; the library's own are 60.
_LEASE = 10

_HEALS = if_exception_type(
    google.Aborted,
    google.DeadlineExceeded,
    google.InternalServerError,
    google.ResourceExhausted,
    google.ServiceUnavailable,
    google.Unknown,
)


class Sure(Protocol):
    """Will be the id of a message, once Pub/Sub has taken it."""

    def result(self, timeout: float | None = None) -> str:
        """The id. Raises Google's errors, and ``TimeoutError`` after ``timeout`` seconds."""
        ...


class Publisher(Protocol):
    """What we use of Google's publisher, which brings no types."""

    def publish(self, topic: str, data: bytes, **attrs: str) -> Sure:
        """Take the message; waits where too many are on their way."""
        ...

    def stop(self) -> None:
        """Send what is held, and take no more."""
        ...


class Received(Protocol):
    """A message, as Google's subscriber hands it over."""

    @property
    def data(self) -> bytes:
        """What was published."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """What was said beside it."""
        ...

    @property
    def message_id(self) -> str:
        """Pub/Sub's own name for it; the same when it comes again."""
        ...

    def ack(self) -> None:
        """It does not come again."""
        ...

    def nack(self) -> None:
        """It comes again, soon."""
        ...


class Subscriber(Protocol):
    """What we use of Google's subscriber."""

    def subscribe(
        self,
        subscription: str,
        callback: Callable[[Received], None],
        flow_control: Any,
        *,
        await_callbacks_on_shutdown: bool,
    ) -> Any:
        """Call ``callback`` on threads of its own, until what is returned is cancelled."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def holding(messages: int) -> Any:
    """The flow control of a subscriber that holds at most so many ``messages``, each by a short lease."""
    return pubsub_v1.types.FlowControl(max_messages=messages, max_duration_per_lease_extension=_LEASE)


def publisher(emulator: str | None) -> Publisher:
    """A publisher that batches and holds back; ``emulator``: ``host:port`` in clear text, None: Google."""
    transport = PublisherGrpcTransport(channel=grpc.insecure_channel(emulator)) if emulator else None
    client: Publisher = pubsub_v1.PublisherClient(
        batch_settings=pubsub_v1.types.BatchSettings(
            max_bytes=_BYTES, max_latency=_AGE, max_messages=_MESSAGES
        ),
        publisher_options=pubsub_v1.types.PublisherOptions(
            enable_message_ordering=False,
            flow_control=pubsub_v1.types.PublishFlowControl(
                message_limit=_FLYING,
                byte_limit=_FLYING_BYTES,
                limit_exceeded_behavior=pubsub_v1.types.LimitExceededBehavior.BLOCK,
            ),
            retry=Retry(predicate=_HEALS, initial=0.1, maximum=10.0, timeout=PUBLISH_SECONDS),
        ),
        **({"transport": transport} if transport else {}),
    )
    return client


def subscriber(emulator: str | None) -> Subscriber:
    """A subscriber; ``emulator`` as for ``publisher``."""
    transport = SubscriberGrpcTransport(channel=grpc.insecure_channel(emulator)) if emulator else None
    client: Subscriber = pubsub_v1.SubscriberClient(**({"transport": transport} if transport else {}))
    return client
