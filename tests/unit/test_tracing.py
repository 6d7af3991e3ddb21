"""Traces: when they are on, what spans hold, and that they cost nothing when off."""

import asyncio
import subprocess
import sys
from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from cmvc.ahead import ahead
from cmvc.errors import CancelledError, CorruptStreamError
from cmvc.observer import NullObserver
from cmvc.v1 import common_pb2
from cmvc.wire import spans as spans_module
from cmvc.wire import tracing
from cmvc.wire.spans import Spans, make_exporters, make_provider
from cmvc.wire.status import from_rpc_error, to_status

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = (("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", "a=1"))
VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def on(monkeypatch):
    """Turn traces on within a context of its own; return what reads the spans that have ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_spans", Spans(provider, "decoder"))
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


def parent_of(span):
    return trace.format_span_id(span.parent.span_id)


def id_of(span):
    return trace.format_span_id(span.context.span_id)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_the_standard_variables_say_whether(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracing.wanted() is expected


@pytest.mark.parametrize(
    ("variables", "kinds"),
    [
        ({}, ["grpc"]),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ["http"]),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, ["grpc"]),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, ["grpc", "export"]),
        ({"OTEL_TRACES_EXPORTER": "abacus"}, []),
    ],
)
def test_the_standard_variables_say_where_to(monkeypatch, variables, kinds):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exporters = make_exporters()
    modules = [type(exporter).__module__.removesuffix(".trace_exporter") for exporter in exporters]
    assert [module.rpartition(".")[2] for module in modules] == kinds
    for exporter in exporters:
        exporter.shutdown()


def test_the_console_leaves_standard_output_alone(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    (exporter,) = make_exporters()
    assert isinstance(exporter, ConsoleSpanExporter)
    assert exporter.out is sys.stderr


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "cmvc-gateway"),
        ({"OTEL_SERVICE_NAME": "edge"}, "edge"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=edge,zone=b"}, "edge"),
    ],
)
def test_the_service_has_the_name_it_is_given(monkeypatch, variables, name):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    provider = make_provider("gateway")
    assert provider.resource.attributes["service.name"] == name
    provider.shutdown()


def test_off_opentelemetry_is_not_even_imported():
    code = (
        "import sys, cmvc.client, cmvc.cli.serve, cmvc_gateway.service, cmvc_encoder.service, cmvc_decoder.service;"
        "cmvc.client.Client('127.0.0.1:1').close(); from cmvc.wire import tracing; tracing.start('gateway');"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]


def test_off_every_span_is_the_same_one():
    observer = NullObserver()
    made = [tracing.request("a"), tracing.call("Decode", ()), tracing.span("b", index=1), tracing.current()]
    assert all(span is made[0] for span in made)
    assert made[0].metadata() == ()
    assert made[0].trace_id == ""
    assert tracing.observed(observer) is observer
    items = iter("ab")
    assert made[0].carry(items) is items


def test_where_it_is_not_installed_it_says_so_and_the_work_goes_on(monkeypatch):
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        "from cmvc.client import Client; client = Client('127.0.0.1:1');"
        "from cmvc.wire import tracing; print(tracing.span('a').metadata())"
    )
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "()\n"
    assert "pip install '.[tracing]'" in done.stderr


def test_a_program_that_has_set_it_up_itself_needs_no_variables():
    code = (
        "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider;"
        "trace.set_tracer_provider(TracerProvider());"
        "from cmvc.client import Client; client = Client('127.0.0.1:1');"
        "from cmvc.wire import tracing; print(*dict(tracing.request('a').metadata()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "traceparent\n"


def in_a_call(work, metadata=CALLER):
    """Return what ``work`` returns within a call of a traced client."""

    def call():
        with tracing.call("DecodeSegment", metadata):
            return work()

    return copy_context().run(call)


def test_off_the_callers_trace_is_passed_on_as_it_came():
    assert in_a_call(lambda: tracing.current().metadata()) == CALLER
    assert in_a_call(lambda: tracing.span("x").trace_id) == TRACE
    assert in_a_call(tracing.ids) == (TRACE, "")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        f"00-{TRACE}-{PARENT}",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
    ],
)
def test_off_what_is_no_trace_is_not_passed_on(value):
    assert in_a_call(lambda: tracing.current().metadata(), (("traceparent", value), ("tracestate", "a=1"))) == ()


def test_a_call_goes_on_with_its_callers_trace(on):
    metadata = in_a_call(lambda: tracing.current().metadata())
    span = on()["decoder.DecodeSegment"]
    assert parent_of(span) == PARENT
    assert dict(metadata) == {"traceparent": f"00-{TRACE}-{id_of(span)}-01", "tracestate": "a=1"}


def test_a_call_that_is_not_sampled_says_so_to_the_next(on):
    caller = (("traceparent", f"00-{TRACE}-{PARENT}-00"),)
    (pair,) = in_a_call(lambda: tracing.current().metadata(), caller)
    assert pair[1].startswith(f"00-{TRACE}-")
    assert pair[1].endswith("-00")
    assert on() == {}


def test_work_outside_of_any_trace_begins_none(on):
    with tracing.span("canary") as span:
        tracing.ended("queue", 0.1)
        assert span.metadata() == ()
    assert on() == {}


def test_threads_of_a_pipeline_belong_to_its_call(on):
    def items():
        with tracing.span("generate"):
            yield tracing.ids()

    def work():
        return list(ahead(items(), 1)), tracing.ids()

    found, around = in_a_call(work)
    assert found[0][0] == around[0] == TRACE
    assert parent_of(on()["generate"]) == around[1] == id_of(on()["decoder.DecodeSegment"])


def test_stages_lie_where_they_were(on):
    def work():
        observer = tracing.observed(NullObserver())
        with observer.piece("window", index=3):
            observer.stage("semantics", common_pb2.MODE_IT2V, 2.0)
        observer.stage("mux", common_pb2.MODE_UNSPECIFIED, 1.0)

    in_a_call(work)
    semantics, window, mux = on()["semantics"], on()["window"], on()["mux"]
    assert semantics.end_time - semantics.start_time == 2_000_000_000
    assert window.start_time < semantics.end_time < window.end_time
    assert parent_of(semantics) == id_of(window)
    assert parent_of(window) == parent_of(mux) == id_of(on()["decoder.DecodeSegment"])
    assert dict(semantics.attributes) == {"cmvc.mode": "it2v"}
    assert dict(window.attributes) == {"cmvc.index": 3}


def test_a_stage_that_was_a_piece_is_not_there_twice(on):
    def work():
        observer = tracing.observed(NullObserver())
        with observer.piece("generate", frames=8) as piece:
            piece.event("step", done=1, total=4)
        observer.stage("generate", common_pb2.MODE_IT2V, 1.0)

    in_a_call(work)
    assert sorted(on()) == ["decoder.DecodeSegment", "generate"]
    (event,) = on()["generate"].events
    assert (event.name, dict(event.attributes)) == ("step", {"cmvc.done": 1, "cmvc.total": 4})


def test_every_observer_is_told_all_of_it(on):
    told = []

    class Told(NullObserver):
        def __getattribute__(self, name):
            told.append(name)
            return super().__getattribute__(name)

    observer = tracing.observed(Told())
    names = [name for name in dir(NullObserver) if not name.startswith("_") and name != "piece"]
    arguments = {"stage": ("mux", common_pb2.MODE_IT2V, 1.0), "fallback": ("openai",)}
    for name in names:
        getattr(observer, name)(*arguments.get(name, (common_pb2.MODE_IT2V, "text", 1)[: _count(name)]))
    assert set(names) <= set(told)


def _count(name):
    return getattr(NullObserver, name).__code__.co_argcount - 1


def test_a_failure_is_told_with_its_reason_and_learns_its_trace(on):
    error = CorruptStreamError("the packet does not hold", 7)
    with pytest.raises(CorruptStreamError):
        in_a_call(lambda: (_ for _ in ()).throw(error))
    span = on()["decoder.DecodeSegment"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "CORRUPT: the packet does not hold (at byte 7)"
    assert span.attributes["error.type"] == "CORRUPT"
    assert error.trace_id == TRACE


@pytest.mark.parametrize("error", [CancelledError("by the caller"), asyncio.CancelledError(), GeneratorExit()])
def test_work_that_nobody_wants_any_more_has_not_failed(on, error):
    with pytest.raises(type(error)):
        in_a_call(lambda: (_ for _ in ()).throw(error))
    span = on()["decoder.DecodeSegment"]
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["cmvc.cancelled"] is True


def test_items_are_carried_within_a_span_and_their_taker_is_not(on):
    def items():
        with tracing.span("segment"):
            yield tracing.ids()[1]
            yield tracing.ids()[1]

    with tracing.request("cmvc.decode") as root:
        carried = root.carry(items())
        inner = next(carried)
        assert tracing.ids() == ("", "")
        assert next(carried) == inner
        carried.close()
    assert parent_of(on()["segment"]) == id_of(on()["cmvc.decode"])
    assert inner == id_of(on()["segment"])


def test_the_trace_of_an_error_comes_back_over_the_wire(on):
    class Failed:
        def __init__(self, error):
            self.error = error

        def code(self):
            return spans_module.StatusCode.ERROR

        def details(self):
            return str(self.error)

        def trailing_metadata(self):
            return (("grpc-status-details-bin", to_status(self.error).SerializeToString()),)

    error = CorruptStreamError("x")
    assert from_rpc_error(Failed(error), "there:1").trace_id == ""
    error.trace_id = TRACE
    assert from_rpc_error(Failed(error), "there:1").trace_id == TRACE
