"""The connections of a server: how long one may ask for nothing, and which one gives way to a new one."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds in which a request's head has to be here, and in which the rest of a body may come that nobody
#: reads any more: its sender is to see the answer before the connection ends.
HEAD_S = 10.0
#: Connections, idle ones too. Below the 1,024 files that a process may open on many systems.
MOST = 900


class Connection(H11Protocol):
    """uvicorn's connection, which by itself waits for ever for the end of a head.

    A connection more than ``MOST`` takes the place of the one that has been without a request for longest,
    so that whoever only sits there keeps nobody out; where all are at work it is closed at once.
    """

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        self._asks_until: asyncio.TimerHandle | None = None
        self._resting_since = self.loop.time()

    @property
    def at_work(self) -> bool:
        """Whether a request is here that has no answer yet."""
        cycle: Any = self.cycle  # None before the first request, which uvicorn's type does not say
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Make room for it, and wait for its first request."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._make_room()
        self._watch(True)

    def data_received(self, data: bytes) -> None:
        """Take what came; the head that it belongs to has its time."""
        super().data_received(data)
        self._watch(self._asks)

    def on_response_complete(self) -> None:
        """The answer is out; what of the next request is here already has its time, too."""
        self._resting_since = self.loop.time()
        super().on_response_complete()
        self._watch(self._asks)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._watch(False)
        super().connection_lost(exc)

    @property
    def _asks(self) -> bool:
        """Whether a head has begun, or the end of a body is missing whose answer is out."""
        if self.conn.their_state is h11.IDLE:
            return self._asks_until is not None or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.SEND_BODY and not self.at_work

    def _watch(self, asks: bool) -> None:
        """Begin to wait where ``asks`` is new; end it where it is over."""
        if asks and self._asks_until is None:
            self._asks_until = self.loop.call_later(HEAD_S, self._end)
        elif not asks and self._asks_until is not None:
            self._asks_until.cancel()
            self._asks_until = None

    def _end(self) -> None:
        self.transport.close()

    def _make_room(self) -> None:
        others = (each for each in self.connections if isinstance(each, Connection) and each is not self)
        resting = [each for each in others if not each.at_work and not each.transport.is_closing()]
        (min(resting, key=lambda each: each._resting_since) if resting else self)._end()
