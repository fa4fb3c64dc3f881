"""Sockets that keep one deadline, whatever hangs: the name, the connection, TLS, or a byte a second."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import httpcore

from drift_gate.runtime.deadline import Deadline, Lookup

#: Look-ups that may hang side by side in one process, each for a host of its own.
MOST_LOOKUPS = 32
WRITTEN_AT_ONCE = 4096

#: The IP addresses of a host name. Raises ``OSError``. Nothing interrupts it.
Resolve = Callable[[str], list[str]]


def resolve(host: str) -> list[str]:
    """What the system says, in the order in which it would try them."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Names:
    """Host names to addresses, each looked up on a thread of its own that nobody has to wait for.

    A look-up that hangs is the only one for its host: whoever asks later waits for the same one. One
    per process (``NAMES``); another ``resolve`` is for tests.
    """

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._lookups: dict[str, Lookup[list[str]]] = {}

    def addresses(self, host: str, deadline: Deadline) -> list[str]:
        """The addresses of ``host``, never empty. Raises ``OSError``, ``TimeoutError`` at the deadline."""
        if is_address(host):
            return [host]
        found = list(self._lookup(host).result(deadline))
        if host == "localhost":
            found = [address for address in found if is_loopback(address)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address that may be asked")
        return found

    def forget(self) -> None:
        """Begin anew in the child of a fork: the threads stay with the parent."""
        self._lock = threading.Lock()
        self._lookups = {}

    def _lookup(self, host: str) -> Lookup[list[str]]:
        with self._lock:
            if host not in self._lookups and len(self._lookups) >= MOST_LOOKUPS:
                self._lookups = {name: lookup for name, lookup in self._lookups.items() if lookup.busy}
            if host not in self._lookups and len(self._lookups) >= MOST_LOOKUPS:
                raise socket.gaierror(socket.EAI_AGAIN, f"{MOST_LOOKUPS} other look-ups hang")
            ask = partial(self._resolve, host)
            return self._lookups.setdefault(host, Lookup(ask, f"look-up of {host}", keep=False))


#: The one of this process.
NAMES = Names()
os.register_at_fork(after_in_child=NAMES.forget)


def is_address(host: str) -> bool:
    """Whether ``host`` is an address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, under an address or the one name that is reserved for it."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


class Backend(httpcore.NetworkBackend):
    """The network of one check: each step gets what is left of ``deadline``, whatever it was promised."""

    def __init__(self, deadline: Deadline, names: Names) -> None:
        self._deadline = deadline
        self._names = names
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """The first of the host's addresses that answers; each gets an equal share of the time left."""
        addresses = self._names.addresses(host, self._deadline)
        while True:
            address = addresses.pop(0)
            share = _left(self._deadline, httpcore.ConnectTimeout) / (len(addresses) + 1)
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise
            else:
                return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """A connection on which no read and no write outlasts the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """In small pieces: below, each part of a piece that is sent renews the time of the piece."""
        for start in range(0, len(buffer), WRITTEN_AT_ONCE):
            left = _left(self._deadline, httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + WRITTEN_AT_ONCE], left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _left(deadline: Deadline, over: type[Exception]) -> float:
    left = deadline.remaining()
    if left <= 0:
        raise over(f"no time left (deadline {deadline.seconds:.3g} s)")
    return left
