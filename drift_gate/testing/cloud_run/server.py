"""The loopback Cloud Run as a server: what is asked, what goes wrong with it, what is answered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc

from drift_gate.testing.cloud_run.behaviour import Behaviour, Call, Fault
from drift_gate.testing.cloud_run.control import control
from drift_gate.testing.cloud_run.deployed import Deployed, short
from drift_gate.testing.cloud_run.instances import Programs
from drift_gate.testing.cloud_run.methods import METHODS, Method, handlers, within
from drift_gate.testing.cloud_run.updates import Updates, etag

#: No answer of the API parses from these bytes: field 1 announces more bytes than follow.
_GARBAGE = b"\x0a\xff\xff\xff\x07garbage"


class FakeCloudRun(Deployed):
    """One project and region of Cloud Run, served while the ``with`` block lasts.

    ``services``, ``worker_pools`` and ``jobs`` hold the messages by name, ``revisions`` by short revision
    name: reach into them, while no request is under way, for states that the methods here cannot make.
    ``page_size`` bounds each List answer (None: all in one). ``calls`` are the requests so far. ``port`` is
    where it listens (0: a free one). ``programs`` is what the images run, None: all are messages alone.
    """

    def __init__(
        self,
        project: str = "test-project",
        region: str = "us-west2",
        port: int = 0,
        programs: Programs | None = None,
    ) -> None:
        super().__init__(project, region, programs)
        self.page_size: int | None = None
        self.updates = Updates(self)
        self._behaviour = Behaviour()
        self.calls = self._behaviour.calls
        # Hung calls hold a thread each, so there have to be enough of them for the others to be served.
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="fake-cloud-run")
        # A port that a test reserved for itself can be shared; a free one must be ours alone.
        shared = [("grpc.so_reuseport", int(port != 0))]
        self._server = grpc.server(self._threads, options=shared)
        self._server.add_generic_rpc_handlers((*handlers(self._handler), control(self)))
        self._port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def host(self) -> str:
        """``127.0.0.1:port``: the value for ``CLOUD_RUN_EMULATOR_HOST``."""
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> FakeCloudRun:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering at once, also what hangs; the port is dead afterwards."""
        self._behaviour.closing.set()
        self.updates.stop()
        self._server.stop(0.05).wait()  # told nothing, gRPC prints its surprise on the clients' stderr
        self._threads.shutdown(wait=True)
        self.end()

    # What goes wrong

    def fault(
        self,
        method: str,
        *,
        code: grpc.StatusCode | str | None = None,
        message: str = "",
        times: int | None = None,
        delay: float = 0.0,
        hang: bool = False,
        garbage: bool = False,
        resource: str | None = None,
    ) -> None:
        """Make calls of ``method`` (``"GetService"``, …, or ``"*"``) go wrong.

        First it waits ``delay`` seconds. Then it never answers (``hang``), answers bytes that are no
        message (``garbage``), or the status ``code`` (``"UNAVAILABLE"``) with ``message``; with none
        of these the true answer. ``times`` is for how many calls (None: for ever), ``resource`` the
        short or full name that it is limited to. Of several faults that fit, the oldest counts.
        """
        if method != "*" and method not in METHODS:
            raise ValueError(f"no method {method!r} here; there are {', '.join(METHODS)}")
        status = grpc.StatusCode[code] if isinstance(code, str) else code
        self._behaviour.faults.append(Fault(method, resource, times, delay, status, message, hang, garbage))

    def heal(self) -> None:
        """Forget all faults; calls that hang already go on hanging."""
        self._behaviour.faults.clear()

    def before(self, method: str, action: Callable[[], object]) -> None:
        """Run ``action`` once, just before the next call of ``method`` is answered.

        For what happens between two reads: a deploy, a deleted revision, a moved split.
        """
        self._behaviour.actions.append((method, action))

    # How it is served

    def _handler(self, name: str) -> grpc.RpcMethodHandler[Any, bytes]:
        method = METHODS[name]

        def answer(request: Any, context: grpc.ServicerContext) -> bytes:
            resource = method.resource(request)
            if self._behaviour.of(Call.of(name, resource, context), context):
                return _GARBAGE
            within(self.parent, resource, context)
            return method.write(self._answer(method, request, resource, context))

        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=method.read)

    def _answer(self, method: Method, request: Any, resource: str, context: grpc.ServicerContext) -> Any:
        if method.folder == "operations":
            timeout = getattr(request, "timeout", None)
            seconds = timeout.ToMilliseconds() / 1000 if timeout else 0
            return self.updates.operation(resource, context, seconds)
        if method.kind is not None:
            return self.updates.begin(method.kind, request, context)
        with self.lock:
            if method.items:
                return self._list(method, request)
            return _marked(self._get(method.folder, resource, context))

    def _get(self, folder: str, name: str, context: grpc.ServicerContext) -> Any:
        """The message kept under ``name``.

        The kept key is compared, and for a revision its workload, not the message's own ``name``: a
        test may have put anything into that.
        """
        parts = name.split("/")
        found = self.held(folder).get(parts[-1])
        below = parts[4:-1] == [folder]
        if folder == "revisions" and found is not None:
            below = len(parts) == 8 and parts[6] == folder and parts[4:6] == self._owner(parts[-1])
        if found is None or not below:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{short(name)}' was not found.")
        return found

    def _owner(self, revision: str) -> list[str]:
        service = self.revisions[revision].service
        return ["workerPools" if service in self.worker_pools else "services", service]

    def _list(self, method: Method, request: Any) -> Any:
        """One page; the token is the index of the first item of the next."""
        found = [
            message
            for key, message in sorted(self.held(method.folder).items())
            if method.folder != "revisions" or short(request.parent) in ("-", self.revisions[key].service)
        ]
        first = int(request.page_token or 0)
        size = min(request.page_size or len(found), self.page_size or len(found))
        token = str(first + size) if first + size < len(found) else ""
        page = [_marked(each) for each in found[first : first + size]]
        return method.answer(**{method.items: page, "next_page_token": token})


def _marked(message: Any) -> Any:
    """``message`` with its etag."""
    marked = type(message)(message)
    marked.etag = etag(message)
    return marked
