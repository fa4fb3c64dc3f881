"""Google's real clients over a channel that answers from memory: the reading code without a network.

Requests and answers are still serialised and parsed, so what a test puts in arrives as it would from
Google; only the socket is missing. Thousands of cases take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from drift_gate.sources.cloud_run.clients import Clients, Connected, connected


class _Missing(grpc.RpcError, grpc.Call):
    """What a channel raises for a resource that does not exist."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.NOT_FOUND

    def details(self) -> str:
        return "Resource was not found."

    def initial_metadata(self) -> Any:
        return ()

    def trailing_metadata(self) -> Any:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Any) -> bool:
        return False

    def result(self) -> Any:
        """An interceptor takes a failed call for a future and asks it for its outcome."""
        raise self


class Wire(grpc.Channel):
    """``messages`` by full resource name are the answers to every Get; every List is empty."""

    def __init__(self) -> None:
        self.messages: Mapping[str, Any] = {}

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any
    ) -> Any:
        return _Method(self, method, request_serializer, response_deserializer)

    def answer(self, method: str, name: str) -> bytes:
        """The bytes that the server would send. Raises what a channel raises for NOT_FOUND."""
        if method.rpartition("/")[2].startswith("List"):
            return b""
        if name not in self.messages:
            raise _Missing
        message = self.messages[name]
        return bytes(type(message).serialize(message))

    def unary_stream(self, *_: Any) -> Any:
        raise AssertionError("no client of ours asks in this way")

    def stream_unary(self, *_: Any) -> Any:
        raise AssertionError("no client of ours asks in this way")

    def stream_stream(self, *_: Any) -> Any:
        raise AssertionError("no client of ours asks in this way")

    def subscribe(self, *_: Any, **__: Any) -> None:
        """Nobody waits for a state that never changes."""

    def unsubscribe(self, *_: Any) -> None:
        """As above."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Method(grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # generic for the checker only
    def __init__(self, wire: Wire, method: str, serialize: Any, parse: Any) -> None:
        self._wire, self._method, self._serialize, self._parse = wire, method, serialize, parse

    def __call__(self, request: Any, *_: Any, **__: Any) -> Any:
        return self.with_call(request)[0]

    def with_call(self, request: Any, *_: Any, **__: Any) -> Any:
        assert self._serialize(request) is not None
        name = getattr(request, "name", "")
        return self._parse(self._wire.answer(self._method, name)), None

    def future(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("no client of ours asks in this way")


class WiredClients(Clients):
    """The clients over ``wire``."""

    def __init__(self, wire: Wire) -> None:
        super().__init__("in-memory:0")
        self._wire = wire

    def _connect(self) -> Connected:
        return connected(self._wire)
