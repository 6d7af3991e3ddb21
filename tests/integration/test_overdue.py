"""Work that goes on after its call has ended, and that nothing can end but the end of its process."""

import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from servers import PATIENCE_S, servers, until
from streams import stream

from cmvc.client import Client
from cmvc.errors import DeadlineError

STUCK = (sys.executable, str(Path(__file__).parents[1] / "stuck_decoder.py"))
WORKING = 'cmvc_inflight_segments{service="decoder"}'


@pytest.fixture
def start():
    with servers() as starter:
        yield starter


def ended_call(server):
    """Make a call that ends at its deadline, while its work does not."""
    with Client(server.address) as client, pytest.raises(DeadlineError):
        list(client.decode_stream([stream(1)], deadline_s=1))


def serving(server):
    try:
        with grpc.insecure_channel(server.address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    except grpc.RpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_place_that_will_not_come_back_ends_its_process(start):
    server = start("decoder", "--overdue=1", "--grace=1", program=STUCK)
    assert serving(server)
    ended_call(server)
    assert server.process.wait(60) == 1
    assert not serving(server)
    assert any("after its call ended" in line for line in server.lines)


def test_a_server_told_to_stop_ends_whatever_goes_on(start):
    server = start("decoder", "--grace=0.5", program=STUCK)
    ended_call(server)
    assert server.metric(WORKING) == 1
    assert serving(server)  # it may yet end
    server.send(signal.SIGTERM)
    assert server.process.wait(60) == 0


def test_what_a_decoder_hangs_on_goes_elsewhere_and_the_decoder_ends(start):
    stuck, other = start("decoder", "--overdue=1", "--grace=1", program=STUCK), start("decoder")
    gateway = start("gateway", f"--decoder={stuck.address}", f"--decoder={other.address}", "--stall-timeout=2")
    data = stream(6)
    with Client(gateway.address) as client:
        assert b"".join(client.decode_stream([data])) == b"".join(Client().decode_stream([data]))
    assert gateway.metric('cmvc_segments_redriven_total{reason="stalled"}') >= 1
    assert stuck.process.wait(60) == 1
    until(lambda: gateway.metric(f'cmvc_backend_up{{backend="{stuck.address}"}}') == 0, "the gateway knows")


def test_a_server_told_to_stop_while_it_loads_ends(monkeypatch):
    monkeypatch.setenv("STUCK", "start")
    command = [*STUCK, "serve", "decoder", "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            probed = next(line.split()[-1] for line in process.stderr if "health on " in line)
            with grpc.insecure_channel(probed) as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
