"""What becomes of the calls of a loopback Cloud Run: noted, delayed, failed, or preceded by an event."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the server saw it.

    ``resource`` is the name or the parent that was asked for; ``routing`` the routing header;
    ``timeout`` the seconds that the caller gave it, None for a caller that would wait for ever.
    """

    method: str
    resource: str
    routing: str
    timeout: float | None

    @classmethod
    def of(cls, method: str, resource: str, context: grpc.ServicerContext) -> Call:
        """The request of ``method`` that ``context`` belongs to."""
        metadata = dict(context.invocation_metadata() or ())
        # Typed as always a number; for a caller without a limit it is None or some hundred years.
        timeout: float | None = context.time_remaining()
        bounded = timeout if timeout and timeout < 1e6 else None
        return cls(method, resource, str(metadata.get("x-goog-request-params", "")), bounded)


@dataclass(slots=True)
class Fault:
    """What goes wrong with calls, as ``FakeCloudRun.fault`` has it."""

    method: str
    resource: str | None
    times: int | None
    delay: float
    code: grpc.StatusCode | None
    message: str
    hang: bool
    garbage: bool

    def fits(self, call: Call) -> bool:
        """Whether ``call`` meets it."""
        named = self.resource is None or self.resource in (call.resource, call.resource.rpartition("/")[2])
        return self.method in ("*", call.method) and named and self.times != 0


@dataclass(slots=True)
class Behaviour:
    """The course of all calls of one server: ``calls`` so far, the ``faults`` and ``actions`` that are due.

    Each of ``actions`` is a method and what happens once before its next call. With ``closing`` those that
    wait end.
    """

    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    actions: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, call: Call, context: grpc.ServicerContext) -> bool:
        """Let ``call`` take its course: it may be aborted here; True when the answer has to be garbage."""
        fault = self._arrived(call)
        return fault is not None and self._go_wrong(fault, context)

    def _arrived(self, call: Call) -> Fault | None:
        """Note the call, run what was to happen before it, and take the fault that it meets."""
        with self._lock:
            self.calls.append(call)
            due = next((pair for pair in self.actions if pair[0] == call.method), None)
            if due is not None:
                self.actions.remove(due)
            fault = next((fault for fault in self.faults if fault.fits(call)), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
        if due is not None:
            due[1]()
        return fault

    def _go_wrong(self, fault: Fault, context: grpc.ServicerContext) -> bool:
        """Do what ``fault`` says; True when the answer has to be garbage."""
        ended = self.closing.wait(fault.delay)
        while fault.hang and context.is_active() and not ended:
            ended = self.closing.wait(0.02)
        if fault.hang or ended:
            context.abort(grpc.StatusCode.CANCELLED, "the fake ended before it answered")
        if fault.code is not None:
            context.abort(fault.code, fault.message or f"the fake was told to answer {fault.code.name}")
        return fault.garbage
