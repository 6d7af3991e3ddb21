"""Every kind of call through every server, ended in every way: cancel, deadline, refusal, shutdown."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from media_files import moving_frames, write_video
from servers import servers, until
from streams import stream

from cmvc.client import AsyncClient, Client
from cmvc.control import Control
from cmvc.errors import BackendUnavailableError, CancelledError, DeadlineError, OverloadedError, UnauthenticatedError
from cmvc.settings import decode_config
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.transfer import make_chunk

WAYS = ["Encode at encoder", "Encode at gateway", "Decode at decoder", "Decode at gateway"]
INFLIGHT = 'cmvc_inflight_segments{service="%s"}'


@pytest.fixture(scope="module")
def start():
    with servers() as starter:
        yield starter


@pytest.fixture(scope="module")
def fleet(start):
    encoder, decoder = start("encoder"), start("decoder")
    gateway = start("gateway", "--encoder", encoder.address, "--decoder", decoder.address)
    return {"encoder": encoder, "decoder": decoder, "gateway": gateway}


def begin(client, way, **options):
    """Start a call whose source never ends."""
    if way.startswith("Encode"):
        return client.encode_stream(endless(write_video(moving_frames(24))), **options)
    return client.decode_stream(endless(stream(segments=400)), decode_config(output="y4m"), **options)


def endless(data):
    yield data
    while True:
        time.sleep(0.05)
        yield b"\0"


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def server(fleet, way):
    return fleet[way.rpartition(" ")[2]]


def idle(fleet):
    return all(fleet[each].metric(INFLIGHT % name) == 0 for each in fleet for name in ("encoder", "decoder", "gateway"))


def test_cancel_reaches_the_pipeline(fleet, server, way):
    control = Control()
    with Client(server.address) as client:
        threading.Timer(0.5, control.cancel).start()
        with pytest.raises(CancelledError):
            list(begin(client, way, control=control))
    until(lambda: idle(fleet), "the cancelled work has ended everywhere")


def test_deadline_reaches_the_pipeline(fleet, server, way):
    with Client(server.address) as client, pytest.raises(DeadlineError):
        list(begin(client, way, deadline_s=0.5))
    until(lambda: idle(fleet), "the work past its deadline has ended everywhere")


def test_client_that_goes_away_frees_the_pipeline(fleet):
    with Client(fleet["gateway"].address) as client:
        transfer = begin(client, "Decode at gateway")
        next(iter(transfer))
    until(lambda: idle(fleet), "the work of a client that went away has ended everywhere")


async def drain(items):
    async for _ in items:
        pass


async def test_async_cancel(fleet):
    control = Control()
    async with AsyncClient(fleet["gateway"].address) as client:
        data = stream(segments=400)
        received = aiter(client.decode_stream([data], decode_config(output="y4m"), control=control))
        await anext(received)
        control.cancel()
        with pytest.raises(CancelledError):
            await drain(received)
    until(lambda: idle(fleet), "the cancelled work has ended everywhere")


def test_slow_client_holds_the_decoder_back(fleet):
    data = stream(segments=200)
    done = 'cmvc_requests_total{code="OK",method="DecodeSegment"}'
    before = fleet["decoder"].metric(done)
    with (
        Client(fleet["gateway"].address) as client,
        client.decode_stream([data], decode_config(output="y4m")) as transfer,
    ):
        next(iter(transfer))
        time.sleep(2)
        # Two segments ahead per decoder, and what the connection itself holds: far from all 200.
        assert fleet["decoder"].metric(done) - before < 40
    until(lambda: idle(fleet), "the abandoned work has ended everywhere")


def details_of(error):
    status = status_pb2.Status()
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    return info, retry


def hold(address):
    """Take a place with a call that waits for more of its bytes; return the channel to close."""
    channel = grpc.insecure_channel(address)
    taken = threading.Event()

    def requests():
        yield decoder_pb2.DecodeRequest(config=decode_config())
        yield decoder_pb2.DecodeRequest(chunk=make_chunk(stream(segments=1)[:100]))
        taken.set()
        time.sleep(3600)

    call = VideoDecoderStub(channel).Decode(requests())
    taken.wait()
    return channel, call


@pytest.mark.parametrize("kind", ["gateway", "decoder"])
def test_over_limit_is_refused_with_a_hint(start, fleet, kind):
    if kind == "gateway":
        server = start("gateway", "--decoder", fleet["decoder"].address, "--max-requests", "1", "--waiting", "0")
    else:
        server = start("decoder", "--running", "1", "--waiting", "0")
    channel, call = hold(server.address)
    refusals = []

    def refused():
        try:
            list(VideoDecoderStub(channel).Decode(iter([decoder_pb2.DecodeRequest(config=decode_config())])))
        except grpc.RpcError as error:
            refusals.append(error)
        return refusals[-1].code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    with channel:
        until(refused, "the call that holds the place has arrived")
        info, retry = details_of(refusals[-1])
        assert (info.reason, info.domain) == ("OVERLOADED", "cmvc")
        assert retry.retry_delay.ToSeconds() >= 1
        with Client(server.address) as client, pytest.raises(OverloadedError) as raised:
            list(client.decode_stream([stream(segments=1)]))
        assert raised.value.retry_after_s >= 1
        call.cancel()
    data = stream(segments=1)

    def accepted():
        try:
            with Client(server.address) as client:
                return bool(list(client.decode_stream([data])))
        except OverloadedError:
            return False

    until(accepted, "the place is free again")


def test_tenant_is_bounded_on_its_own(start, fleet, tmp_path):
    (tmp_path / "tokens").write_text("alpha\nbeta\n")
    (tmp_path / "alpha").write_text("alpha\n")
    (tmp_path / "beta").write_text("beta\n")
    server = start(
        "gateway", "--decoder", fleet["decoder"].address,
        "--token-file", str(tmp_path / "tokens"), "--max-requests-per-tenant", "1",
    )  # fmt: skip
    data = stream(segments=2)
    with Client(server.address) as client, pytest.raises(UnauthenticatedError):
        list(client.decode_stream([data]))
    with (
        Client(server.address, ChannelSecurity(token_file=tmp_path / "alpha", insecure_token=True)) as alpha,
        Client(server.address, ChannelSecurity(token_file=tmp_path / "beta", insecure_token=True)) as beta,
        begin(alpha, "Decode at gateway") as transfer,
    ):
        next(iter(transfer))
        with pytest.raises(OverloadedError):
            list(alpha.decode_stream([data]))
        assert list(beta.decode_stream([data]))


def test_nobody_there():
    with Client("127.0.0.1:9") as client, pytest.raises(BackendUnavailableError, match="cmvc serve"):
        list(client.decode_stream([stream(segments=1)]))


@pytest.mark.parametrize("backend", ["encoder", "decoder"])
def test_a_gateway_that_is_killed_ends_its_calls(start, fleet, backend):
    gateway = start("gateway", "--encoder", fleet["encoder"].address, "--decoder", fleet["decoder"].address)

    def kill():
        until(lambda: fleet[backend].metric(INFLIGHT % backend) > 0, f"the {backend} has the gateway's work")
        gateway.send(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with Client(gateway.address) as client:
        killer.start()
        with pytest.raises(BackendUnavailableError):
            list(begin(client, "Encode at gateway" if backend == "encoder" else "Decode at gateway"))
    killer.join()
    until(lambda: idle(fleet), "the work of the gateway that was killed has ended")


@pytest.mark.parametrize("kind", ["decoder", "gateway"])
def test_shutdown_lets_work_end(start, kind):
    decoder = start("decoder")
    server = decoder if kind == "decoder" else start("gateway", "--decoder", decoder.address)
    data = stream(segments=40)
    config = decode_config(output="y4m")
    with Client(server.address) as client, client.decode_stream([data], config) as transfer:
        parts = iter(transfer)
        received = [next(parts)]
        server.send(signal.SIGTERM)
        received += parts
    assert b"".join(received) == b"".join(Client().decode_stream([data], config))
    assert server.process.wait(60) == 0
    assert not [line for line in server.lines if "Traceback" in line or " ERROR " in line], server.lines


def test_shutdown_ends_what_does_not_end(start, capfd):
    decoder = start("decoder", "--grace", "0.5")
    with Client(decoder.address) as client:
        transfer = begin(client, "Decode at decoder")
        iterator = iter(transfer)
        next(iterator)
        decoder.send(signal.SIGTERM)
        with pytest.raises((CancelledError, BackendUnavailableError)):
            list(iterator)
    assert decoder.process.wait(60) == 0
    assert capfd.readouterr() == ("", "")  # gRPC says nothing of it; its core was told not to


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_encoder_that_ends_under_a_gateway_is_unavailable(start, how):
    encoder = start("encoder", "--grace", "0.2")
    gateway = start("gateway", "--encoder", encoder.address, "--wait", "1")  # for another, which there is not
    working = INFLIGHT % "encoder"
    errors = []

    def encode():
        with Client(gateway.address) as client:
            try:
                list(begin(client, "Encode at gateway"))
            except BackendUnavailableError as error:
                errors.append(error)

    caller = threading.Thread(target=encode)
    caller.start()
    until(lambda: encoder.metric(working) == 1, "the encoder has the video")
    encoder.send(how)
    caller.join(60)
    assert len(errors) == 1


def test_decoder_that_hangs_up_mid_call_is_unavailable(start):
    decoder = start("decoder")
    with Client(decoder.address) as client:
        iterator = iter(begin(client, "Decode at decoder"))
        next(iterator)
        decoder.process.kill()
        with pytest.raises(BackendUnavailableError):
            list(iterator)


def test_many_at_once_through_one_gateway(fleet):
    data = stream(segments=3)
    expected = b"".join(Client().decode_stream([data]))

    def once(_):
        with Client(fleet["gateway"].address) as client:
            return b"".join(client.decode_stream([data]))

    with ThreadPoolExecutor(8) as pool:
        assert all(result == expected for result in pool.map(once, range(8)))
