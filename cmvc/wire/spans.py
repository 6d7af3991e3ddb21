"""Spans by OpenTelemetry. The only module that imports it; ``cmvc.wire.tracing`` does so where traces are on."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from cmvc import __version__
from cmvc.bitstream.modes import MODE_NAMES, Mode
from cmvc.errors import CancelledError, CmvcError
from cmvc.observer import Observer, Piece
from cmvc.wire.passed_on import Attribute, Metadata, NullSpan

T = TypeVar("T")
log = logging.getLogger(__name__)
_RPC_SERVICES = {
    "Encode": "cmvc.v1.VideoEncoder",
    "Decode": "cmvc.v1.VideoDecoder",
    "DecodeSegment": "cmvc.v1.VideoDecoder",
}
PREFIX = "cmvc."  # of the names of attributes
EXPORTERS = "opentelemetry_traces_exporter"  # entry points by which packages offer exporters
_STOPPED = (GeneratorExit, asyncio.CancelledError, CancelledError)  # nobody wants the work any more: no failure


class Span:
    """A span that has begun; a context manager that ends it, with its error where there is one."""

    def __init__(self, span: trace.Span, context: Context, *, current: bool) -> None:
        """Hold ``span``.

        Args:
            span: of OpenTelemetry.
            context: that it began in.
            current: whether it is current within the block.
        """
        self._span = span
        self._context = trace.set_span_in_context(span, context)
        self._current = current
        self._token: Any = None
        self._failed = False

    @property
    def trace_id(self) -> str:
        """In hexadecimal."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def context(self) -> Context:
        """What its children begin in."""
        return self._context

    def set(self, **attributes: Attribute) -> None:
        """Give it attributes."""
        self._span.set_attributes(_named(attributes))

    def rpc(self, method: str, status: int | None = None) -> None:
        """Say, as OpenTelemetry's conventions have it, that it is a gRPC call, and with which status that ended.

        https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
        """
        self._span.set_attributes({"rpc.system": "grpc", "rpc.service": _RPC_SERVICES[method], "rpc.method": method})
        if status is not None:
            self._span.set_attribute("rpc.grpc.status_code", status)

    def event(self, name: str, **attributes: Attribute) -> None:
        """Note that something happened now."""
        self._span.add_event(name, _named(attributes))

    def fail(self, error: BaseException) -> None:
        """Note how the work failed; an error that comes after it is its consequence."""
        if self._failed:
            return
        self._failed = True
        if isinstance(error, _STOPPED):
            self.set(cancelled=True)
        else:
            kind = error.reason if isinstance(error, CmvcError) else type(error).__name__
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR, f"{kind}: {error}"))
        if isinstance(error, CmvcError):
            error.trace_id = error.trace_id or self.trace_id

    def metadata(self) -> Metadata:
        """Return what to send along with a call that is part of it."""
        return _injected(self._context)

    def carry(self, items: Iterator[T]) -> Iterator[T]:
        """Yield ``items``, worked out with this span as the current one; that of whoever takes them stays."""
        run = copy_context().run
        token = run(otel_context.attach, self._context)
        try:
            while True:
                try:
                    item = run(next, items)
                except StopIteration:
                    return
                yield item
        finally:
            close = getattr(items, "close", None)
            if close:
                run(close)
            run(otel_context.detach, token)

    def __enter__(self) -> Self:
        if self._current:
            self._token = otel_context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._current:
            otel_context.detach(self._token)
        if error is not None:
            self.fail(error)
        self._span.end()


class Spans:
    """Makes the spans of this process."""

    def __init__(self, provider: trace.TracerProvider, role: str) -> None:
        """Make them with ``provider``; ``role`` is the first part of the names of a server's calls."""
        self._provider = provider
        self._role = role
        self._tracer = provider.get_tracer("cmvc", __version__)

    def request(self, name: str, attributes: Mapping[str, Attribute]) -> Span:
        """Return a span for a call that a client makes."""
        return self._begin(name, attributes, otel_context.get_current(), SpanKind.CLIENT, current=False)

    def call(self, method: str, metadata: Sequence[tuple[str, str]]) -> Span:
        """Return a span for a call that this server got."""
        context = propagate.extract(dict(metadata))
        return self._begin(f"{self._role}.{method}", {}, context, SpanKind.SERVER, current=True)

    def child(self, name: str, attributes: Mapping[str, Attribute], within: Context | None = None) -> Span | NullSpan:
        """Return a span within the current one or that of ``within``."""
        context = otel_context.get_current() if within is None else within
        if not _traced(context):
            return NullSpan()
        return self._begin(name, attributes, context, SpanKind.INTERNAL, current=True)

    def ended(
        self, name: str, seconds: float, attributes: Mapping[str, Attribute], within: Context | None = None
    ) -> None:
        """Note work that has just ended, as a child of the current span or that of ``within``."""
        now = time.time_ns()
        context = otel_context.get_current() if within is None else within
        if _traced(context):
            start = now - int(seconds * 1e9)
            span = self._tracer.start_span(name, context, attributes=_named(attributes), start_time=start)
            span.end(now)

    def current(self) -> Span | NullSpan:
        """Return the current span."""
        context = otel_context.get_current()
        if not _traced(context):
            return NullSpan()
        return Span(trace.get_current_span(context), context, current=False)

    def observer(self, inner: Observer) -> Observer:
        """Return an observer that makes spans, as children of the current one, and tells ``inner``."""
        return SpanObserver(self, inner, otel_context.get_current())

    def ids(self) -> tuple[str, str]:
        """Return the ids of the current trace and span, "" where there is none."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return "", ""
        return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)

    def close(self) -> None:
        """Send what is still to be sent."""
        if isinstance(self._provider, TracerProvider):
            self._provider.shutdown()

    def _begin(
        self, name: str, attributes: Mapping[str, Attribute], context: Context, kind: SpanKind, *, current: bool
    ) -> Span:
        span = self._tracer.start_span(name, context, kind, attributes=_named(attributes))
        return Span(span, context, current=current)


class _ObservedPiece:
    """A piece of an observer's work: its span is the parent of what the observer is told within it."""

    def __init__(self, observer: "SpanObserver", span: Span | NullSpan, around: Context) -> None:
        self._observer, self._span, self._around = observer, span, around

    def event(self, name: str, **attributes: Attribute) -> None:
        self._span.event(name, **attributes)

    def __enter__(self) -> Self:
        self._span.__enter__()
        if isinstance(self._span, Span):
            self._observer.within = self._span.context
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observer.within = self._around
        self._span.__exit__(kind, error, trace)


class SpanObserver:
    """Makes spans of what a pipeline tells, and passes it on.

    Attributes:
        within: what the next spans begin in; stages may be told from threads that know nothing of it.
    """

    def __init__(self, spans: Spans, inner: Observer, within: Context) -> None:
        self._spans = spans
        self._inner = inner
        self.within = within
        self._live: set[str] = set()

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """Note a stage that has just ended, unless it was a piece."""
        self._inner.stage(stage, mode, seconds)
        if stage not in self._live:
            attributes = {"mode": MODE_NAMES[mode]} if mode in MODE_NAMES else {}
            self._spans.ended(stage, seconds, attributes, self.within)

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """Pass it on."""
        self._inner.payload(mode, part, size)

    def video(self, mode: Mode.ValueType, seconds: float) -> None:
        """Pass it on."""
        self._inner.video(mode, seconds)

    def stream(self, mode: Mode.ValueType, bits_per_second: float, bits_per_pixel: float) -> None:
        """Pass it on."""
        self._inner.stream(mode, bits_per_second, bits_per_pixel)

    def over_target(self, mode: Mode.ValueType) -> None:
        """Pass it on."""
        self._inner.over_target(mode)

    def stored_plain(self, mode: Mode.ValueType) -> None:
        """Pass it on."""
        self._inner.stored_plain(mode)

    def fallback(self, extractor: str) -> None:
        """Note it at the piece in work, and pass it on."""
        self._inner.fallback(extractor)
        trace.get_current_span(self.within).add_event("fallback", _named({"semantics": extractor}))

    def generation(self, pixel_steps: int) -> None:
        """Pass it on."""
        self._inner.generation(pixel_steps)

    def piece(self, name: str, **attributes: Attribute) -> Piece:
        """Return a piece of the work, with a span of its own."""
        self._live.add(name)
        return _ObservedPiece(self, self._spans.child(name, attributes, self.within), self.within)


def make_provider(role: str) -> TracerProvider | None:
    """Return what the environment describes, None where nothing of it can be had.

    Besides what ``make_exporters`` reads, OpenTelemetry itself reads samplers, limits, batching and the resource.
    """
    exporters = make_exporters()
    if not exporters:
        return None
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: f"cmvc-{role}"}))
    provider = TracerProvider(resource=resource.merge(Resource({"service.version": __version__})))
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def make_exporters() -> list[SpanExporter]:
    """Return the exporters that ``OTEL_TRACES_EXPORTER`` names, ``otlp`` without it.

    ``OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`` and ``OTEL_EXPORTER_OTLP_PROTOCOL`` choose ``grpc`` (the default) or
    ``http/protobuf``. One that is not installed is left out with a warning, so that the work goes on untraced.
    """
    names = (name.strip().lower() for name in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","))
    return [exporter for name in names if name not in ("", "none") and (exporter := _exporter(name))]


def _exporter(name: str) -> SpanExporter | None:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stderr)  # standard output may be a video
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL"))
        name = "otlp_proto_http" if protocol == "http/protobuf" else "otlp_proto_grpc"
    for entry_point in entry_points(group=EXPORTERS, name=name):
        exporter: SpanExporter = entry_point.load()()
        return exporter
    log.warning("no traces to '%s': no such exporter is installed; OTEL_TRACES_EXPORTER may be otlp or console", name)
    return None


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {PREFIX + name: value for name, value in attributes.items()}


def _traced(context: Context) -> bool:
    return trace.get_current_span(context).get_span_context().is_valid


def _injected(context: Context) -> Metadata:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    return tuple((key.lower(), value) for key, value in carrier.items())  # gRPC takes no capitals
