"""One small server for everything that a network, or what answers there, can do wrong.

It listens on loopback and treats every connection in one way: it relays to a true server and spoils what
comes back, or answers by itself. Nothing in the gate is patched; it is told this address instead.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

#: Seconds between two bytes of an answer that drips.
DRIP_S = 0.4
CHUNK = 1 << 16

Address = tuple[str, int]
#: What is done with one connection; it is closed afterwards. The event is set when the server ends.
Way = Callable[[socket.socket, threading.Event], None]


@dataclass
class FaultServer:
    """Listens while the ``with`` block lasts; ``tls`` is spoken first where it is given.

    ``connections`` counts what came. ``close_all`` resets what is open, and goes on listening.
    """

    way: Way
    tls: ssl.SSLContext | None = None
    connections: int = 0
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> FaultServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and reset what is open."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.close_all()

    def close_all(self) -> None:
        """End every open connection with a reset.

        Whoever serves one closes it: closed from here, its number could be another file's while TLS still
        writes to it.
        """
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.shutdown(socket.SHUT_RD)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            if self.tls:
                connection = self._secured(connection, self.tls)
            self.way(connection, self._ended)
        except (OSError, ValueError):
            return  # the other side, or the end of the server, was faster
        finally:
            with self._lock:
                self._open.discard(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # a close alone waits for whoever reads from it
            connection.close()

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._open.discard(connection)
            self._open.add(secured)
        return secured


def reset(connection: socket.socket) -> None:
    """End it as a crash does: the other side gets a reset and no farewell."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()


#: Bytes that no answer of a test has more of.
LONGEST = 500_000

# Ways


def silence(_: socket.socket, ended: threading.Event) -> None:
    """Take the connection and never say a word."""
    ended.wait()


def slam(connection: socket.socket, _: threading.Event) -> None:
    """Reset it when the first bytes come."""
    connection.recv(1)
    reset(connection)


Spoil = Callable[[socket.socket, bytes, threading.Event], None]


def answering(answer: bytes, then: Spoil | None = None) -> Way:
    """Wait for the head of an HTTP request and say ``answer``; ``then`` is what happens after it."""

    def way(connection: socket.socket, ended: threading.Event) -> None:
        if request_head(connection):
            connection.sendall(answer)
            if then is not None:
                then(connection, b"", ended)

    return way


def routed(answer: Callable[[bytes], bytes | None], otherwise: Way) -> Way:
    """``answer`` says what to say to a request by its head; what it has no answer for goes ``otherwise``."""

    def way(connection: socket.socket, ended: threading.Event) -> None:
        said = answer(connection.recv(CHUNK, socket.MSG_PEEK))
        (otherwise if said is None else answering(said))(connection, ended)

    return way


def tunnel(target: Address) -> Way:
    """A proxy that takes whoever asks for any host to ``target``."""

    def way(connection: socket.socket, ended: threading.Event) -> None:
        request_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        relay(target)(connection, ended)

    return way


def request_head(connection: socket.socket) -> bytes:
    """The head of the next HTTP request; its body is thrown away. Empty: there is none."""
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = connection.recv(CHUNK)
        if not chunk:
            return b""
        text += chunk
    head, _, body = text.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0:
                missing -= len(connection.recv(min(missing, CHUNK)))
    return head


def relay(upstream: Address, *, after: int = 0, then: Spoil | None = None) -> Way:
    """Carry bytes to ``upstream`` and back; ``then`` is what happens to the answer ``after`` so many bytes.

    ``then`` gets the connection and the rest of what came, and the way ends with it. None: nothing does.
    """

    def way(connection: socket.socket, ended: threading.Event) -> None:
        with socket.create_connection(upstream) as there:
            threading.Thread(target=_carry, args=(connection, there), daemon=True).start()
            left = after
            while piece := there.recv(CHUNK):
                if then is None:
                    connection.sendall(piece)
                    continue
                connection.sendall(piece[:left])
                if len(piece) > left:
                    then(connection, piece[left:], ended)
                    return
                left -= len(piece)

    return way


def _carry(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := here.recv(CHUNK):
            there.sendall(piece)
        there.shutdown(socket.SHUT_WR)


def stalling(_: socket.socket, __: bytes, ended: threading.Event) -> None:
    """Say nothing more."""
    ended.wait()


def cutting(connection: socket.socket, _: bytes, __: threading.Event) -> None:
    """Close in good manners, in the middle of the answer."""
    connection.shutdown(socket.SHUT_WR)


def resetting(connection: socket.socket, _: bytes, __: threading.Event) -> None:
    reset(connection)


def garbling(connection: socket.socket, rest: bytes, _: threading.Event) -> None:
    """Bytes that mean nothing, in place of the rest, and more of them than any of it may still want.

    Of a long answer only the beginning is known here; too few of them would be an answer that was cut.
    """
    connection.sendall(b"\xfe\xff\x00garbage\r\n" * (1 + max(len(rest), LONGEST) // 12))


def dripping(connection: socket.socket, rest: bytes, ended: threading.Event) -> None:
    """The rest, one byte at a time."""
    for byte in rest:
        if ended.wait(DRIP_S):
            return
        connection.sendall(bytes([byte]))


def slowly(data: bytes) -> Spoil:
    """``data``, one byte at a time."""
    return lambda connection, _, ended: dripping(connection, data, ended)


def forever(data: bytes) -> Spoil:
    """``data`` again and again, as long as somebody listens."""

    def spoil(connection: socket.socket, _: bytes, ended: threading.Event) -> None:
        while not ended.is_set():
            connection.sendall(data)

    return spoil


# Ports on which nobody serves


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """One that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """One whose queue is full: a connection to it is neither made nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield int(listener.getsockname()[1])


# HTTP answers


def http(status: str, *fields: str, body: bytes = b"", kind: str = "text/plain") -> bytes:
    """A whole answer, after which the connection ends."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + body


#: What a server may answer in place of the truth, by the fault.
ANSWERS = {
    "401": http("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'),
    "403": http("403 Forbidden"),
    "404": http("404 Not Found"),
    "408": http("408 Request Timeout"),
    "429": http("429 Too Many Requests"),
    "429 with Retry-After": http("429 Too Many Requests", "Retry-After: 60"),
    "500": http("500 Internal Server Error"),
    "503": http("503 Service Unavailable"),
    "wrong content type": http("200 OK", kind="text/html", body=b"<html>\n<p>Please log in\n</html>\n"),
}
#: What may happen to a true answer on its way.
SPOILS: dict[str, Spoil] = {
    "reset": resetting,
    "hang in the answer": stalling,
    "slow drip": dripping,
    "truncated": cutting,
    "malformed": garbling,
}


def over_http(there: Address, *, middle: int, huge: Way) -> dict[str, Way]:
    """Every way in which what is asked over HTTP, and is truly ``there``, can go wrong; and the sound one.

    So many bytes, ``middle``, of a spoiled answer are sound.
    """
    return {
        "nothing": relay(there),
        **{fault: answering(answer) for fault, answer in ANSWERS.items()},
        **{fault: relay(there, after=middle, then=then) for fault, then in SPOILS.items()},
        "hang before the answer": silence,
        "huge": huge,
    }
