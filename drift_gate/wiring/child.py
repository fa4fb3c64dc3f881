"""The other side of ``child_process``: answers calls until nobody can ask any more.

It ends with the process that started it, however that ends: the pipe says so. In the middle of a call
that holds the interpreter nothing can be read; a timer of the system ends it then.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import select
import signal
import threading
import traceback
import warnings
from typing import Any, BinaryIO

from drift_gate.errors import DriftGateError, SourceError
from drift_gate.runtime import forked
from drift_gate.runtime.child_process import LENGTH
from drift_gate.sources.git import process

#: Seconds after a call's deadline at which the system ends a process that nobody has ended.
GRACE_S = 1.0
#: New objects after which garbage is looked for: a syntax tree has that many, and no circle among them.
GARBAGE_AT = 20_000


def main(asked: BinaryIO, answers: int) -> None:
    """Serve the calls that come by ``asked``; the answers go to the descriptor ``answers``."""
    gc.set_threshold(GARBAGE_AT)
    _settle()
    _forward_logs(answers)
    busy = threading.Event()
    threading.Thread(target=_end_with_parent, args=(asked.fileno(), busy), daemon=True).start()
    import drift_gate.comparison.counts
    import drift_gate.evidence.proof
    import drift_gate.gate
    import drift_gate.runtime.disk_cache
    import drift_gate.sources.git.checkout  # noqa: F401 - as the others, for the time that it takes
    from drift_gate.relevance.written import code_version

    code_version()
    _send(answers, ("ready", None))
    gc.freeze()  # what is loaded stays: no use to look for garbage in it again and again
    with forked.allowed(threads=2):  # the other one waits for the end of the parent and holds nothing
        while (call := _next(asked)) is not None:
            busy.set()
            _send(answers, _answer(*call))
            busy.clear()
    process.end_all()  # one that was forked runs nothing else at its end


def _settle() -> None:
    """The signals that it needs as they are by default, whatever its parent ignores; no talk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    warnings.simplefilter("ignore")  # strangers' sources warn when they are parsed


def _next(asked: BinaryIO) -> Any:
    """The next call, read by the thread that answers it; None: nobody can ask any more."""
    try:
        return pickle.load(asked)  # noqa: S301 - from the process that started this one
    except Exception:  # the end, or half a call
        return None


def _end_with_parent(asked: int, busy: threading.Event) -> None:
    """The end of the parent is the end of this process, in the middle of a call too."""
    closed = select.poll()
    closed.register(asked, 0)  # nothing but its other end being closed
    closed.poll()
    busy.wait()  # else the reader sees the end
    process.end_all()
    os._exit(1)


def _answer(seconds: float, function: Any, args: Any) -> tuple[str, Any]:
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_S)
    try:
        return "done", function(*args)
    except DriftGateError as error:
        return "failed", error
    except MemoryError:
        return "failed", SourceError("reading the repository took more memory than there is", "gate-error")
    except BaseException as error:  # a bug of ours, or a library that means to end a process
        error.add_note("".join(traceback.format_exception(error)))
        return "failed", error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_sending = threading.Lock()


def _send(answers: int, message: tuple[str, Any]) -> None:
    told = _pickled(*message)
    rest = memoryview(len(told).to_bytes(LENGTH, "big") + told)
    with _sending:
        while rest:
            rest = rest[os.write(answers, rest) :]


def _pickled(kind: str, said: Any) -> bytes:
    try:
        told = pickle.dumps((kind, said))
        if kind == "failed":
            pickle.loads(told)  # noqa: S301 - an error may be written and not read again
        return told
    except Exception as error:
        lost = RuntimeError(f"{type(said).__name__}: {said}" if kind == "failed" else repr(error))
        lost.add_note("\n".join(getattr(said, "__notes__", ())))
        return pickle.dumps(("failed", lost))


class _Forwarded(logging.Handler):
    """What is logged here is logged by the process that asks."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._answers, ("log", (record.name, record.levelno, record.getMessage())))


def _forward_logs(answers: int) -> None:
    log = logging.getLogger("drift_gate")
    log.handlers[:] = [_Forwarded(answers)]
    log.setLevel(logging.WARNING)  # who asks says what it waits for
    log.propagate = False
