"""Who may do what, how much, and for how long: on real servers."""

import asyncio
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, closing, suppress
from itertools import chain
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from scripted_decoders import Health, asked_to_go_on, serving
from servers import PATIENCE_S, servers, until
from streams import stream
from text_streams import text_stream

from cmvc.client import AsyncClient, Client
from cmvc.errors import DeadlineError, OverloadedError, QuotaError, ScopeError, UnauthenticatedError
from cmvc.server.health import MOST_WATCHES
from cmvc.server.probes import READ_SECONDS
from cmvc.server.run import MOST_CALLS, MOST_PROBES
from cmvc.server.scraping import MOST_CONNECTIONS
from cmvc.settings import decode_config
from cmvc.v1 import bitstream_pb2, decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub, add_VideoDecoderServicer_to_server
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.status import from_rpc_error
from cmvc.wire.transfer import make_chunk

OTHER = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own


def holder(folder, token):
    (folder / token).write_text(token)
    return ChannelSecurity(token_file=folder / token, insecure_token=True)


def error_of(call):
    with pytest.raises(grpc.RpcError) as failed:
        list(call)
    return from_rpc_error(failed.value, "there")


@pytest.fixture
def silent():
    """Yield what makes of a call's first messages requests that never end."""
    over = threading.Event()

    def requests(*first):
        yield from first
        over.wait(PATIENCE_S)

    yield requests
    over.set()


def test_a_token_opens_what_it_is_for(tmp_path):
    (tmp_path / "accepted").write_text("reader decode\nwriter encode\nboth\n")
    data = stream(segments=1)
    with servers() as start:
        server = start("decoder", "--token-file", str(tmp_path / "accepted"))
        for token in ("reader", "both"):
            with Client(server.address, holder(tmp_path, token)) as client:
                assert b"".join(client.decode_stream([data]))
        with Client(server.address, holder(tmp_path, "writer")) as client:
            with pytest.raises(ScopeError, match="the token may encode, not decode"):
                list(client.decode_stream([data]))
            assert client.health().decodes  # which needs no scope
        assert server.metric('cmvc_requests_total{code="PERMISSION_DENIED",method="Decode"}') == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes the certificates, is absent")
def test_a_certificate_opens_what_its_name_is_for(tmp_path):
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    for name, by in (("ca", []), ("server", authority), ("gateway", authority), ("client", authority)):
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:localhost", "-days", "1"]
        command = [*make, *subject, *by, "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    def proof(name):
        return ChannelSecurity(tmp_path / "ca.pem", tmp_path / f"{name}.pem", tmp_path / f"{name}.key")

    tls = [
        f"--tls-cert={tmp_path}/server.pem",
        f"--tls-key={tmp_path}/server.key",
        f"--tls-client-ca={tmp_path}/ca.pem",
    ]
    data = stream(segments=1)
    with servers() as start:
        decoder = start("decoder", *tls, "--tls-client-name=gateway", listen="localhost:0")
        port = decoder.address.rpartition(":")[2]
        with Client(f"localhost:{port}", proof("gateway")) as client:
            assert b"".join(client.decode_stream([data]))
        with Client(f"localhost:{port}", proof("client")) as client, pytest.raises(ScopeError, match="no name"):
            list(client.decode_stream([data]))
        narrow = start("decoder", *tls, "--tls-client-name=client=encode", listen="localhost:0")
        port = narrow.address.rpartition(":")[2]
        with Client(f"localhost:{port}", proof("client")) as client, pytest.raises(ScopeError, match="not decode"):
            list(client.decode_stream([data]))


class Relay:
    """Passes one connection on to a server and counts what the client sends."""

    def __init__(self, stack, address):
        host, _, port = address.rpartition(":")
        self._listening = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        self._server = stack.enter_context(closing(socket.create_connection((host, int(port)))))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.sent = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with suppress(OSError):
            client, _ = self._listening.accept()
            threading.Thread(target=self._pass, args=(self._server, client, 0), daemon=True).start()
            self._pass(client, self._server, 1)

    def _pass(self, source, sink, counted):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.sent += counted * len(data)
                sink.sendall(data)


def test_strangers_are_refused_before_their_request_is_read(tmp_path):
    (tmp_path / "accepted").write_text("right\n")
    large = decoder_pb2.DecodeSegmentRequest(segment=bitstream_pb2.Segment(video=bytes(16 << 20)))
    with servers() as start, ExitStack() as stack:
        server = start("decoder", "--token-file", str(tmp_path / "accepted"))
        relay = Relay(stack, server.address)
        channel = stack.enter_context(grpc.insecure_channel(relay.address, [("grpc.max_send_message_length", -1)]))
        assert isinstance(error_of(VideoDecoderStub(channel).DecodeSegment(large)), UnauthenticatedError)
        assert relay.sent < 8 << 20  # what fits into windows and buffers on the way


def test_half_a_request_ends_like_a_silent_call(silent):
    with servers() as start:
        server = start("decoder", "--idle", "1")
        with grpc.insecure_channel(server.address) as channel:
            call = channel.stream_stream("/cmvc.v1.VideoDecoder/DecodeSegment", bytes)(silent())
            with pytest.raises(grpc.RpcError) as failed:
                next(call)
        assert "lost its place" in failed.value.details()


def test_a_quota_ends_and_is_told_apart_by_caller(tmp_path):
    (tmp_path / "accepted").write_text("greedy\ncalm\n")
    data = stream(segments=2)
    with servers() as start:
        decoder = start("decoder")
        server = start(
            "gateway", "--decoder", decoder.address, "--token-file", str(tmp_path / "accepted"),
            "--tenant-seconds", "0.0001", "--log-level", "info",
        )  # fmt: skip
        for token in ("greedy", "calm"):  # each has an account of its own
            with Client(server.address, holder(tmp_path, token)) as client:
                assert b"".join(client.decode_stream([data]))  # what has begun is let finish
                with pytest.raises(QuotaError, match="seconds") as refused:
                    list(client.decode_stream([data]))
                assert refused.value.retry_after_s > 1
        series = [line for line in server.metrics().splitlines() if line.startswith("cmvc_tenant_bytes_total")]
        assert len(series) == 4  # two callers, in and out
        assert not any("greedy" in line or "calm" in line for line in (*series, *server.lines))
        tenants = {line.split('tenant="')[1].split('"')[0] for line in series}
        assert all(any(f"Decode for {each} ended" in line for line in server.lines) for each in tenants)


def test_bytes_are_bounded_within_a_call_too(tmp_path):
    (tmp_path / "accepted").write_text("greedy\n")
    with servers() as start:
        server = start("decoder", "--token-file", str(tmp_path / "accepted"), "--tenant-mib", "1")
        with Client(server.address, holder(tmp_path, "greedy")) as client, pytest.raises(QuotaError, match="bytes"):
            list(client.decode_stream([stream(segments=60)], decode_config(output="y4m")))


async def test_what_models_make_is_bounded_by_caller(tmp_path):
    (tmp_path / "accepted").write_text("greedy\ncalm\n")
    (made_by_a_model,) = asked_to_go_on(None)
    data, per_segment = text_stream(2), 9 * 64 * 64 * 2  # frames, pixels, steps

    def add(server):
        add_VideoDecoderServicer_to_server(made_by_a_model, server)
        health_pb2_grpc.add_HealthServicer_to_server(Health(made_by_a_model), server)

    async with serving(add) as decoder:
        with servers() as start:
            server = await asyncio.to_thread(
                start, "gateway", "--decoder", decoder, "--token-file", str(tmp_path / "accepted"),
                "--tenant-gigapixel-steps", str(1.5 * per_segment / 1e9),
            )  # fmt: skip
            for token in ("greedy", "calm"):
                async with AsyncClient(server.address, holder(tmp_path, token)) as client:
                    assert b"".join([part async for part in client.decode_stream([data])])
                    with pytest.raises(QuotaError, match="pixels times steps"):
                        assert not [part async for part in client.decode_stream([data])]
            told = await asyncio.to_thread(server.metrics)
    series = [line for line in told.splitlines() if line.startswith("cmvc_tenant_pixel_steps_total")]
    assert [float(line.split()[-1]) for line in series] == [2 * per_segment] * 2


def test_calls_without_a_deadline_end_at_the_servers(silent):
    config = decoder_pb2.DecodeRequest(config=decoder_pb2.DecodeConfig())
    chunk = decoder_pb2.DecodeRequest(chunk=make_chunk(stream(segments=1)[:-200]))
    with servers() as start:
        server = start("decoder", "--deadline", "1")
        with grpc.insecure_channel(server.address) as channel:
            for timeout in (None, 600):
                error = error_of(VideoDecoderStub(channel).Decode(silent(config, chunk), timeout=timeout))
                assert isinstance(error, DeadlineError)
        assert server.metric('cmvc_requests_total{code="DEADLINE_EXCEEDED",method="Decode"}') == 2


def test_the_port_for_probes_says_how_it_is_and_nothing_else(tmp_path):
    with servers() as start:
        server = start("decoder", "--health-listen", "127.0.0.1:0")
        probed = next(line.split()[-1] for line in server.lines if line.startswith("health on "))
        with grpc.insecure_channel(probed) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(service="cmvc.v1.VideoDecoder"), timeout=PATIENCE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.RpcError) as refused:
                VideoDecoderStub(channel).GetCapabilities(decoder_pb2.VideoDecoderGetCapabilitiesRequest())
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_whoever_watches_is_told_of_changes_and_there_are_not_too_many():
    with servers() as start:
        decoder = start("decoder")
        gateway = start("gateway", "--decoder", decoder.address)
        with grpc.insecure_channel(gateway.address) as channel, Client(gateway.address) as client:
            watch = health_pb2_grpc.HealthStub(channel).Watch
            request = health_pb2.HealthCheckRequest(service="cmvc.v1.VideoDecoder")
            watching = [watch(request) for _ in range(MOST_WATCHES)]
            assert {next(each).status for each in watching} == {health_pb2.HealthCheckResponse.SERVING}
            assert isinstance(error_of(watch(request)), OverloadedError)
            assert b"".join(client.decode_stream([stream(segments=1)]))  # nobody else is kept out
            watching.pop().cancel()
            again = []
            until(lambda: again.append(watch(request)) or not _refused(again[-1]), "a watch is let in again")
            decoder.stop()
            assert {next(each).status for each in watching} == {health_pb2.HealthCheckResponse.NOT_SERVING}


async def test_calls_that_ask_nothing_keep_nobody_out(tmp_path):
    (tmp_path / "accepted").write_text("right\n")
    arguments = ("--health-listen=127.0.0.1:0", "--reflection", "--token-file", str(tmp_path / "accepted"))
    with servers() as start:
        server = await asyncio.to_thread(start, "decoder", *arguments)
        probed = next(line.split()[-1] for line in server.lines if line.startswith("health on "))
        async with AsyncClient(server.address, holder(tmp_path, "right")) as client:
            ended = await asyncio.gather(
                _kept_out(probed, MOST_PROBES), _kept_out(server.address, MOST_CALLS), _asks_nothing(server.address)
            )
            assert [part async for part in client.decode_stream([stream(segments=1)])]
    assert set(chain(*ended)) == {grpc.StatusCode.DEADLINE_EXCEEDED}  # not one goes on


async def _kept_out(address, count):
    """Check health beside as many calls that never send their request, and return how those ended."""
    async with grpc.aio.insecure_channel(address) as silent, grpc.aio.insecure_channel(address, OTHER) as channel:
        calls = [silent.stream_stream("/grpc.health.v1.Health/Check")() for _ in range(count)]
        ended = [asyncio.ensure_future(call.code()) for call in calls]
        await asyncio.wait(ended, timeout=2 * READ_SECONDS, return_when=asyncio.FIRST_COMPLETED)  # they have come
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        return await asyncio.gather(*ended)


async def _asks_nothing(address):
    """Ask reflection once, then nothing; return how that ends."""
    async with grpc.aio.insecure_channel(address) as channel:
        proof = (("authorization", "Bearer right"),)
        asked = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(metadata=proof)
        await asked.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert "cmvc.v1.VideoDecoder" in {each.name for each in (await asked.read()).list_services_response.service}
        return [await asked.code()]


def _refused(watch):
    try:
        next(watch)
    except grpc.RpcError:
        return True
    return False


def test_scrapes_that_dawdle_keep_nobody_from_the_metrics():
    with servers() as start, ExitStack() as stack:
        server = start("decoder")
        where = urlsplit(server.metrics_url)
        connections = [
            stack.enter_context(socket.create_connection((where.hostname, where.port), PATIENCE_S))
            for _ in range(3 * MOST_CONNECTIONS)
        ]
        for each in connections:
            with suppress(OSError):  # closed unread already
                each.sendall(b"GET /metrics HTTP/1.1\r\nHos")

        def scraped():
            with suppress(OSError):
                return "cmvc_build_info" in server.metrics()
            return False

        until(scraped, "a scrape that is whole is answered")
        assert all(_ended(each) for each in connections)


def _ended(connection):
    with suppress(OSError):
        return connection.recv(1) == b""
    return True
