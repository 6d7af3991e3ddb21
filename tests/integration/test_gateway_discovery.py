"""A gateway that finds its decoders by name: they come, go, die and come back while streams run."""

import asyncio
import shutil
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY
from servers import PATIENCE_S, servers
from streams import stream

from cmvc.client import AsyncClient, Client
from cmvc.errors import BackendUnavailableError, InvalidSettingError
from cmvc.settings import decode_config
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer, add_VideoDecoderServicer_to_server
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.options import GatewayOptions
from cmvc_gateway.service import SERVICE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is all of 127.0.0.0/8 on loopback")

NAME = "decoders.test"
DECODER = "cmvc.v1.VideoDecoder"
Response = decoder_pb2.DecodeSegmentResponse


def whole(segments):
    return b"P;" + b"".join(b"%d;" % n for n in range(segments))


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))  # free on all of loopback
        return probe.getsockname()[1]


async def until(condition, what):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


class Healthy(health_pb2_grpc.HealthServicer):
    async def Check(self, request, context):  # noqa: N802
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


class Decoder(VideoDecoderServicer):
    """Answers segment n with "n;", once its door is open."""

    def __init__(self):
        self.asked, self.done = [], []
        self.at_once = self.most_at_once = 0
        self.door = asyncio.Event()
        self.door.set()

    async def DecodeSegment(self, request, context):  # noqa: N802
        self.asked.append(request.index)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.door.wait()
            data = b"%d;" % request.index
            await context.write(Response(prologue=b"P;"))
            await context.write(Response(data=make_chunk(data)))
            await context.write(Response(summary=decoder_pb2.DecodeSegmentSummary(frames=24, bytes=len(data))))
            self.done.append(request.index)
        finally:
            self.at_once -= 1

    async def GetCapabilities(self, request, context):  # noqa: N802
        profile = decoder_pb2.ProfileCapability(id="embedded", modes=[1, 2, 3, 4])
        return decoder_pb2.VideoDecoderGetCapabilitiesResponse(profiles=[profile], formats=[1, 2])


class World:
    """Decoders at 127.0.0.1, 127.0.0.2, … on one port, and a name server that tests rewrite."""

    def __init__(self, stack):
        self._stack = stack
        self.port = free_port()
        self.hosts = []
        self.broken = False
        self.looks = 0

    async def resolve(self, name):
        assert name == NAME
        self.looks += 1
        if self.broken:
            raise OSError(-3, "Temporary failure in name resolution")
        return list(self.hosts)

    async def looked(self):
        """Wait until what the name server says now has surely been heard."""
        seen = self.looks
        await until(lambda: self.looks >= seen + 2, "the gateway asks again")

    def up(self, host):
        """Return the gateway's metric of one decoder, None where there is no such series."""
        return REGISTRY.get_sample_value("cmvc_backend_up", {"backend": f"{host}:{self.port}"})

    async def serve(self, decoder, host):
        """Serve without a name; return the server."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_VideoDecoderServicer_to_server(decoder, server)
        health_pb2_grpc.add_HealthServicer_to_server(Healthy(), server)
        server.add_insecure_port(f"{host}:{self.port}")
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        return server

    async def gateway(self, *targets, authority=None, wait_s=30.0):
        """Start a gateway; return it and a client of it."""
        options = GatewayOptions(
            encoders=[],
            decoders=targets or [f"dns:{NAME}:{self.port}"],
            max_requests=4,
            wait_s=wait_s,
            stall_s=30.0,
            backend_ca=authority,
            resolver=self.resolve,
        )
        server = grpc.aio.server()
        attached = SERVICE.attach(server, options)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        await attached.start()
        self._stack.push_async_callback(attached.close)
        return attached, await self._stack.enter_async_context(AsyncClient(f"127.0.0.1:{port}"))


@asynccontextmanager
async def world():
    async with AsyncExitStack() as stack:
        yield World(stack)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name in ("backends.RESOLVE_SECONDS", "backends.PROBE_SECONDS", "spread.WINDOW_SECONDS"):
        monkeypatch.setattr(f"cmvc_gateway.{name}", 0.05)


def decoding(client, segments=12):
    async def decode():
        return b"".join([part async for part in client.decode_stream([stream(segments)])])

    return asyncio.create_task(decode())


def redriven():
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(each.value for each in samples if each.name == "cmvc_segments_redriven_total")


async def test_a_gateway_may_start_before_its_decoders_and_work_waits_for_them():
    async with world() as here:
        attached, client = await here.gateway()
        assert attached.health() == {"cmvc.v1.VideoEncoder": False, DECODER: False, "": False}
        result = decoding(client)
        await here.looked()
        assert not result.done()
        await here.serve(Decoder(), "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        assert await result == whole(12)
        assert attached.health() == {
            "cmvc.v1.VideoEncoder": False, DECODER: True, f"{DECODER}/embedded": True, "": True,
        }  # fmt: skip


async def test_a_name_without_addresses_is_said_once_waiting_is_over():
    async with world() as here:
        _, client = await here.gateway(wait_s=0.1)
        with pytest.raises(BackendUnavailableError, match=rf"configured: dns:{NAME}:\d+; addresses now: 0"):
            await decoding(client)


async def test_a_running_stream_takes_up_decoders_that_join():
    async with world() as here:
        first, second, third = Decoder(), Decoder(), Decoder()
        for decoder in (first, second, third):
            decoder.door.clear()
        await here.serve(first, "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        _, client = await here.gateway()
        result = decoding(client)
        await until(lambda: first.at_once == 2, "the only decoder has all it is given")
        # Nothing ends from here on, so what the others get was read ahead on their account.
        await here.serve(second, "127.0.0.2")
        await here.serve(third, "127.0.0.3")
        here.hosts += ["127.0.0.2", "127.0.0.3"]
        await until(lambda: second.at_once == third.at_once == 2, "the decoders that joined get work of the stream")
        assert first.at_once == 2
        for decoder in (first, second, third):
            decoder.door.set()
        assert await result == whole(12)
        assert sorted(first.asked + second.asked + third.asked) == list(range(12))


async def test_an_address_that_vanishes_ends_what_it_has_and_gets_no_more():
    async with world() as here:
        leaving, staying = Decoder(), Decoder()
        leaving.door.clear()
        staying.door.clear()  # else it may take the second segment of the other as well, being quicker
        await here.serve(leaving, "127.0.0.1")
        await here.serve(staying, "127.0.0.2")
        here.hosts = ["127.0.0.1", "127.0.0.2"]
        before = redriven()
        _, client = await here.gateway()
        result = decoding(client)
        await until(lambda: leaving.at_once == 2, "the decoder has all it is given")
        staying.door.set()
        assert here.up("127.0.0.1") == 1
        here.hosts.remove("127.0.0.1")
        await until(lambda: here.up("127.0.0.1") is None, "its series is gone")
        leaving.door.set()
        assert await result == whole(12)
        assert len(leaving.done) == 2
        assert await decoding(client) == whole(12)
        assert len(leaving.asked) == 2
        assert redriven() == before
        assert here.up("127.0.0.2") == 1


async def test_the_window_shrinks_with_the_decoders():
    async with world() as here:
        leaving, staying = Decoder(), Decoder()
        await here.serve(leaving, "127.0.0.1")
        await here.serve(staying, "127.0.0.2")
        here.hosts = ["127.0.0.1", "127.0.0.2"]
        _, client = await here.gateway()
        here.hosts.remove("127.0.0.1")
        await until(lambda: here.up("127.0.0.1") is None, "it has left")
        staying.door.clear()
        streams = [decoding(client), decoding(client)]
        await until(lambda: staying.at_once == 2, "the decoder has all it is given")
        await here.looked()
        staying.door.set()
        assert [await each for each in streams] == [whole(12), whole(12)]
        assert staying.most_at_once == 2
        assert not leaving.asked


async def test_an_address_that_comes_back_before_it_was_idle_is_the_same_decoder():
    async with world() as here:
        decoder = Decoder()
        decoder.door.clear()
        await here.serve(decoder, "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        _, client = await here.gateway()
        streams = [decoding(client), decoding(client)]
        await until(lambda: decoder.at_once == 2, "the decoder has all it is given")
        here.hosts = []
        await until(lambda: here.up("127.0.0.1") is None, "it is leaving")
        here.hosts = ["127.0.0.1"]
        await until(lambda: here.up("127.0.0.1") == 1, "it is back")
        await here.looked()
        decoder.door.set()
        assert [await each for each in streams] == [whole(12), whole(12)]
        assert decoder.most_at_once == 2
        assert sorted(decoder.asked) == sorted(2 * list(range(12)))


async def test_an_address_that_comes_back_later_is_used_again():
    async with world() as here:
        decoder = Decoder()
        await here.serve(decoder, "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        attached, client = await here.gateway()
        assert await decoding(client) == whole(12)
        here.hosts = []
        await until(lambda: not attached.health()[""], "the last decoder has left")
        await here.looked()
        here.hosts = ["127.0.0.1"]
        assert await decoding(client) == whole(12)


async def test_a_decoder_that_is_killed_and_loses_its_name_loses_nothing():
    async with world() as here:
        doomed, other = Decoder(), Decoder()
        doomed.door.clear()
        other.door.clear()
        server = await here.serve(doomed, "127.0.0.1")
        await here.serve(other, "127.0.0.2")
        here.hosts = ["127.0.0.1", "127.0.0.2"]
        before = redriven()
        _, client = await here.gateway()
        result = decoding(client)
        await until(lambda: doomed.at_once == 2, "the decoder has all it is given")
        other.door.set()
        here.hosts.remove("127.0.0.1")
        await here.looked()
        await server.stop(None)
        assert await result == whole(12)
        assert sorted(other.done) == list(range(12))
        assert redriven() == before + 2
        assert here.up("127.0.0.1") is None


async def test_a_resolver_that_fails_leaves_the_decoders_as_they_were(caplog):
    async with world() as here:
        await here.serve(Decoder(), "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        _, client = await here.gateway()
        here.broken = True
        await here.looked()
        assert await decoding(client) == whole(12)
        assert here.up("127.0.0.1") == 1
    assert sum("cannot resolve" in record.getMessage() for record in caplog.records) == 1


async def test_a_decoder_with_an_address_and_a_name_is_one_decoder():
    async with world() as here:
        decoder = Decoder()
        await here.serve(decoder, "127.0.0.1")
        here.hosts = ["127.0.0.1"]
        _, client = await here.gateway(f"127.0.0.1:{here.port}", f"dns:{NAME}:{here.port}")
        decoder.door.clear()
        streams = [decoding(client), decoding(client)]
        await until(lambda: decoder.at_once == 2, "it has as much work as one decoder is given")
        decoder.door.set()
        assert [await each for each in streams] == [whole(12), whole(12)]
        assert decoder.most_at_once == 2
        here.hosts = []
        await here.looked()
        assert here.up("127.0.0.1") == 1  # the fixed address does not follow the name


async def test_a_malformed_name_is_refused_at_once():
    async with world() as here:
        with pytest.raises(InvalidSettingError, match="'dns:decoders' is not dns:NAME:PORT"):
            await here.gateway("dns:decoders")


async def test_real_decoders_that_join_leave_and_die_in_the_middle_change_no_byte():
    segments, config = 36, decode_config(output="y4m")
    data = stream(segments)
    undisturbed = b"".join(await asyncio.to_thread(list, Client().decode_stream([data], config)))
    async with world() as here:
        with servers() as start:
            started = {}

            async def decoder(host):
                started[host] = await asyncio.to_thread(start, "decoder", listen=f"{host}:{here.port}")
                here.hosts.append(host)

            await decoder("127.0.0.1")
            _, client = await here.gateway()
            received = bytearray()
            async with client.decode_stream([data], config) as transfer:
                parts = aiter(transfer)

                async def some(size):
                    while len(received) < size * len(undisturbed):
                        received.extend(await anext(parts))

                await some(0.1)
                await decoder("127.0.0.2")
                await until(lambda: here.up("127.0.0.2") == 1, "the second one is in")
                await some(0.3)
                await decoder("127.0.0.3")
                here.hosts.remove("127.0.0.1")
                await until(lambda: here.up("127.0.0.3") == 1 and here.up("127.0.0.1") is None, "one in, one out")
                await asyncio.to_thread(started["127.0.0.1"].stop)
                await some(0.6)
                started["127.0.0.2"].process.kill()
                async for part in parts:
                    received.extend(part)
            assert (transfer.summary.frames, transfer.summary.segments) == (segments * 24, segments)
            assert bytes(received) == undisturbed


def test_the_command_line_takes_a_real_name():
    data = stream(segments=4)
    with servers() as start:
        decoder = start("decoder")
        port = decoder.address.rpartition(":")[2]
        gateway = start("gateway", "--decoder", f"dns:localhost:{port}")
        assert gateway.metric(f'cmvc_backend_up{{backend="{decoder.address}"}}') == 1
        with Client(gateway.address) as client:
            assert b"".join(client.decode_stream([data])) == b"".join(Client().decode_stream([data]))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes the certificates, is absent")
async def test_the_certificate_of_a_decoder_has_to_be_for_the_name(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=decoder", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    async with world() as here:
        with servers() as start:
            await asyncio.to_thread(start, "decoder", *tls, listen=f"127.0.0.1:{here.port}")
            here.hosts = ["127.0.0.1"]
            by_name, _ = await here.gateway(authority=tmp_path / "cert.pem")
            assert by_name.health()[DECODER]
            by_address, _ = await here.gateway(f"127.0.0.1:{here.port}", authority=tmp_path / "cert.pem")
            assert not by_address.health()[DECODER]
