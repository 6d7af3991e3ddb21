"""Traces through Triton: the request is a span within ``generate``, and Triton is told of it."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import grpc
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("tritonclient", reason="the Triton client is not installed")

import profile_streams
import tiny_models
from grpc_health.v1 import health_pb2, health_pb2_grpc
from servers import servers, until
from triton_server import triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from benchmarks.trace import Receiver
from cmvc.client import Client
from cmvc.control import Control
from cmvc.wire import tracing
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import ask

pytestmark = pytest.mark.xdist_group("triton")  # see tests/conftest.py
PROFILE = "wan-vace-1.3b"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver(monkeypatch):
    """Receive the traces of this process and of those that it starts."""
    with Receiver() as receiver:
        for name, value in receiver.environment().items():
            monkeypatch.setenv(name, value)
        yield receiver
        tracing.stop()


def test_the_request_and_its_steps_are_within_generate(receiver, tmp_path):
    tiny_models.store(tmp_path, PROFILE)
    with triton(tmp_path, PROFILE) as server, servers() as start:
        decoder = start("decoder", f"--profile={PROFILE}", f"--triton={server.address}")
        until(lambda: _serves(decoder.address), "the decoder finds the model alive")
        with Client(decoder.address) as client:
            client.decode([profile_streams.stream(PROFILE, "tt2v", steps=3)], tmp_path / "out.mp4")
        root = receiver.last()
        assert {node.name for node in receiver.roots()} == {"cmvc.decode"}, "canaries begin no traces"
    generates = [node for node in root.walk() if node.name == "generate"]
    assert generates
    for generate in generates:
        assert generate.events == ["step"] * 3
        (request,) = generate.children
        assert (request.name, request.attributes) == ("triton", {"model": PROFILE, "target": server.address})


def _serves(address):
    request = health_pb2.HealthCheckRequest(service="cmvc.v1.VideoDecoder")
    with grpc.insecure_channel(address) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(request).status == health_pb2.HealthCheckResponse.SERVING


class Model(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers nothing, and keeps what it is told."""

    def __init__(self):
        self.told = []

    def ModelStreamInfer(self, request_iterator, context):  # noqa: N802
        self.told.append(dict(context.invocation_metadata()))
        response = service_pb2.ModelStreamInferResponse()
        response.infer_response.parameters["triton_final_response"].bool_param = True
        yield response


def test_triton_is_told_the_trace(receiver):
    tracing.start("decoder")
    model, server = Model(), grpc.server(ThreadPoolExecutor(1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(model, server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def called():
        with tracing.call("DecodeSegment", (("traceparent", f"00-{TRACE}-{CALLER}-01"),)):
            return list(ask(Address(target), PROFILE, b"", Control()))

    assert copy_context().run(called) == []
    assert list(ask(Address(target), PROFILE, b"", Control())) == []  # as a canary
    server.stop(None)
    tracing.stop()
    (span,) = [node for node in receiver.nodes() if node.name == "triton"]
    assert model.told[0]["traceparent"] == f"00-{TRACE}-{span.span_id}-01"
    assert "traceparent" not in model.told[1]
