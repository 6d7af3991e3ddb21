"""Faults that take minutes to be noticed, or several processes to be made; by ``make test-faults``."""

import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest
from media_files import moving_frames, write_video
from servers import CMVC, servers
from streams import stream

from cmvc.client import Client
from cmvc.errors import BackendUnavailableError, ServerError
from cmvc.settings import decode_config, encode_config

pytestmark = pytest.mark.faults
SETTINGS = encode_config(mode="coded", bitrate="40k", latency_ms=1000)

RAW = decode_config(output="y4m")


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(10 * 24, 192, 108), container="mp4", codec="libx264")


def test_an_encoder_that_hangs_is_given_up_and_another_goes_on(video):
    undisturbed = b"".join(Client().encode_stream(video, SETTINGS))
    with servers() as start:
        encoders = [start("encoder", "--jobs", "1") for _ in range(2)]
        gateway = start("gateway", *(f"--encoder={each.address}" for each in encoders), "--idle", "120")
        with Client(gateway.address) as client, client.encode_stream(video, SETTINGS) as transfer:
            parts = iter(transfer)
            received = [next(parts)]
            (working,) = [each for each in encoders if each.metric('cmvc_inflight_segments{service="encoder"}')]
            working.send(signal.SIGSTOP)
            received += parts
        assert b"".join(received) == undisturbed
        assert gateway.metric('cmvc_segments_redriven_total{reason="encoder"}') == 1


def test_several_gateways_on_few_decoders_lose_nothing():
    data = stream(segments=12)
    wanted = b"".join(Client().decode_stream([data]))
    with servers() as start:
        decoders = [start("decoder", "--running", "1", "--waiting", "0") for _ in range(2)]
        behind = [f"--decoder={each.address}" for each in decoders]
        gateways = [start("gateway", *behind) for _ in range(3)]

        def decode(number):
            with Client(gateways[number % len(gateways)].address) as client:
                return b"".join(client.decode_stream([data]))

        with ThreadPoolExecutor(9) as threads:
            assert all(each == wanted for each in threads.map(decode, range(9)))
        refused = 'cmvc_requests_total{code="RESOURCE_EXHAUSTED",method="DecodeSegment"}'
        assert sum(each.metric(refused) for each in decoders)  # they did get into each other's way


class Relay:
    """Passes connections on to a server, until ``silent`` is set: then it swallows everything and closes nothing."""

    def __init__(self, stack, address):
        self._server = address.rpartition(":")[::2]
        self._listening = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((self._server[0], int(self._server[1])))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, sink):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not self.silent.is_set():
                    sink.sendall(data)


def test_a_network_that_goes_silent_costs_time_and_no_byte():
    data = stream(segments=24)
    wanted = b"".join(Client().decode_stream([data]))
    with servers() as start, ExitStack() as stack:
        relay = Relay(stack, start("decoder").address)
        gateway = start("gateway", f"--decoder={relay.address}", f"--decoder={start('decoder').address}")
        with Client(gateway.address) as client, client.decode_stream([data]) as transfer:
            parts = iter(transfer)
            received = [next(parts)]
            relay.silent.set()
            received += parts
        assert b"".join(received) == wanted
        assert gateway.metric(f'cmvc_backend_up{{backend="{relay.address}"}}') == 0


def test_a_gateway_that_is_frozen_is_given_up_without_a_deadline():
    with servers() as start:
        gateway = start("gateway", f"--decoder={start('decoder').address}")
        with Client(gateway.address) as client, client.decode_stream([stream(segments=400)], RAW) as transfer:
            parts = iter(transfer)
            next(parts)
            gateway.send(signal.SIGSTOP)
            with pytest.raises(BackendUnavailableError):
                list(parts)


def test_a_full_disk_under_an_encoders_spool_is_said_without_details(tmp_path, video):
    first = int.from_bytes(video[:4], "big")
    hole = 3 << 20  # so that the index comes last and all of it has to be kept
    large = video[:first] + hole.to_bytes(4, "big") + b"mdat" + bytes(hole - 8) + video[first:]
    command = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "-", *CMVC, "serve", "encoder", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            address = next(line for line in server.stderr if line.startswith("listening on ")).split()[-1]
            with Client(address) as client, pytest.raises(ServerError, match="cannot go on") as failed:
                list(client.encode_stream([large], SETTINGS))
            assert str(tmp_path) not in str(failed.value)
        finally:
            server.terminate()
            server.stderr.read()
