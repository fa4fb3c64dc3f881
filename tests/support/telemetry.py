"""The SDK of OpenTelemetry as an application sets it, keeping what it receives in memory."""

from __future__ import annotations

from functools import cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SPANS, METRICS = InMemorySpanExporter(), InMemoryMetricReader()


class Broken(SpanProcessor):
    """A processor of somebody else's that fails at the start or the end of a span, where told to."""

    fails_at: str | None = None

    def on_start(self, span: object, parent_context: object = None) -> None:
        self._fail("start")

    def on_end(self, span: ReadableSpan) -> None:
        self._fail("end")

    def _fail(self, at: str) -> None:
        if self.fails_at == at:
            raise RuntimeError("a processor of somebody else's")


BROKEN = Broken()


@cache
def listen() -> None:
    """Set the SDK; OpenTelemetry allows that once in a process."""
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(SPANS))
    tracers.add_span_processor(BROKEN)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([METRICS]))


def spans(name: str) -> list[ReadableSpan]:
    """What ended under this name since ``SPANS.clear()``."""
    return [span for span in SPANS.get_finished_spans() if span.name == name]


def counted(name: str) -> dict[tuple[Any, ...], Any]:
    """The points of a metric by the values of their attributes: a sum, or how often it was measured."""
    data = METRICS.get_metrics_data()
    found = (
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name and scope.scope.name == "driftgate"
        for point in metric.data.data_points
    )
    return {
        tuple((point.attributes or {}).values()): getattr(point, "value", None) or getattr(point, "count", 0)
        for point in found
    }


def more(name: str, before: dict[tuple[Any, ...], Any]) -> dict[tuple[Any, ...], Any]:
    """What came to a metric since ``before``."""
    grown = {key: value - before.get(key, 0) for key, value in counted(name).items()}
    return {key: value for key, value in grown.items() if value}
