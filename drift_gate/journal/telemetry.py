"""A span for each check and metrics for each verdict, through the API of OpenTelemetry alone.

Where they go is the business of the process: it sets the SDK and its exporters, we set none. Nothing here
changes a verdict, or what a check raises.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, wraps
from typing import TYPE_CHECKING, ParamSpec

from drift_gate.policy.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.metrics import _Gauge as Gauge  # the API has no other name for it
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    Attributes = Mapping[str, AttributeValue]

P = ParamSpec("P")

#: The name of the instrumentation scope: whose spans and metrics these are.
SCOPE = "driftgate"
_API = ("opentelemetry.trace", "opentelemetry.metrics")
_DURATION = ("driftgate.check.duration", "how long a check took")


def listened() -> bool:
    """Whether anybody may listen: whoever sets an SDK has loaded the API, and nobody else pays for it.

    That there is a package ``opentelemetry`` says nothing: Google's clients look for what may be in it.
    """
    return any(name in sys.modules for name in _API)


def load() -> None:
    """Load what a check needs of the API, where somebody may listen; never raises.

    Early, since a fork in the middle of an import leaves the child without an end of it: whoever imports
    there waits for a thread that is not there.
    """
    if listened():
        with suppress(Exception):
            import opentelemetry.metrics
            import opentelemetry.trace  # noqa: F401 (loaded, as said above)


def observed(check: Callable[P, Outcome]) -> Callable[P, Outcome]:
    """``check`` inside a span ``driftgate.check``, its seconds in ``driftgate.check.duration``."""

    @wraps(check)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Outcome:
        if not listened():
            return check(*args, **kwargs)
        started = time.monotonic()
        with span("driftgate.check") as current:
            outcome = check(*args, **kwargs)
            with suppress(Exception):  # whatever the SDK's parts raise, the verdict stands
                _describe(current, outcome)
                _histogram(*_DURATION).record(
                    time.monotonic() - started, {"driftgate.decision": outcome.decision}
                )
        return outcome

    return inside


class MetricsSink:
    """A ``gate.Sink``: counts verdicts in ``driftgate.checks`` and bypasses in ``driftgate.bypasses``."""

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """One more each; nobody's name and no reason, which would make a time series each."""
        if listened():
            for verdict in verdicts:
                _count(verdict)


def _count(verdict: Verdict) -> None:
    about: dict[str, AttributeValue] = {
        "driftgate.service": verdict.service,
        "driftgate.decision": verdict.decision,
        "driftgate.enforced": verdict.enforced,
    }
    _counter("driftgate.checks", "verdicts that were written down").add(1, about)
    if verdict.break_glass:
        via = {"driftgate.service": verdict.service, "driftgate.via": verdict.break_glass.via}
        _counter("driftgate.bypasses", "starts that went past the gate").add(1, via)


def count(name: str, description: str, about: Attributes, amount: int = 1) -> None:
    """Add ``amount`` to the counter ``name``; never raises."""
    if listened():
        with suppress(Exception):
            _counter(name, description).add(amount, about)


def measure(name: str, description: str, seconds: float, about: Attributes) -> None:
    """Record ``seconds`` in the histogram ``name``; never raises."""
    if listened():
        with suppress(Exception):
            _histogram(name, description).record(seconds, about)


def note(name: str, description: str, seconds: float, about: Attributes) -> None:
    """Set the gauge ``name`` to ``seconds``; never raises."""
    if listened():
        with suppress(Exception):
            _gauge(name, description).set(seconds, about)


@contextmanager
def span(name: str, about: Attributes | None = None) -> Iterator[Span | None]:
    """A span around the block; None where nobody listens or the SDK fails.

    An error of the block is noted, and goes on its way.
    """
    if not listened():
        yield None
        return
    opened, current = ExitStack(), None
    with suppress(Exception):
        from opentelemetry import trace

        tracer = trace.get_tracer(SCOPE)
        current = opened.enter_context(tracer.start_as_current_span(name, attributes=about))
    try:
        yield current
    except BaseException as error:
        with suppress(Exception):
            opened.__exit__(type(error), error, error.__traceback__)
        raise
    with suppress(Exception):
        opened.close()


def _describe(current: Span | None, outcome: Outcome) -> None:
    if current is None or not current.is_recording():
        return
    current.set_attribute("driftgate.decision", outcome.decision)
    current.set_attribute("driftgate.services", [verdict.service for verdict in outcome.services])
    if len(outcome.services) == 1:
        (verdict,) = outcome.services
        current.set_attributes({name: value for name, value in _about(verdict).items() if value is not None})
        if unknown := verdict.report.unknown:
            from opentelemetry.trace import StatusCode

            current.set_attribute("error.type", unknown.cause)
            current.set_status(StatusCode.ERROR, unknown.message)


def _about(verdict: Verdict) -> dict[str, AttributeValue | None]:
    """One verdict; None: not known. The ref is the target's, since what is live is no ref."""
    report = verdict.report
    return {
        "driftgate.status": report.status,
        "driftgate.enforced": verdict.enforced,
        "driftgate.reasons": list(dict.fromkeys(reason.code for reason in verdict.reasons)),
        "driftgate.commits_behind": report.commits_behind,
        "driftgate.drift_age": report.drift_age_s,
        "driftgate.live.revisions": [live.revision for live in report.live],
        "driftgate.live.commits": [live.commit for live in report.live if live.commit],
        "vcs.ref.head.name": report.target.ref if report.target else None,
        "vcs.ref.head.revision": report.target.commit if report.target else None,
    }


@cache
def _counter(name: str, description: str) -> Counter:
    from opentelemetry import metrics

    return metrics.get_meter(SCOPE).create_counter(name, unit="1", description=description)


@cache
def _histogram(name: str, description: str) -> Histogram:
    from opentelemetry import metrics

    return metrics.get_meter(SCOPE).create_histogram(name, unit="s", description=description)


@cache
def _gauge(name: str, description: str) -> Gauge:
    from opentelemetry import metrics

    return metrics.get_meter(SCOPE).create_gauge(name, unit="s", description=description)
