"""A decoder that dies in the middle of a stream costs time, never frames."""

import signal
import threading

from servers import servers, until
from streams import stream

from cmvc.client import Client
from cmvc.settings import decode_config

REDRIVEN = 'cmvc_segments_redriven_total{reason="%s"}'


def test_client_gets_the_whole_video_when_one_of_two_decoders_is_killed():
    data = stream(segments=16)
    config = decode_config(output="y4m")
    undisturbed = b"".join(Client().decode_stream([data], config))
    with servers() as start:
        doomed, other = start("decoder"), start("decoder")
        gateway = start("gateway", "--decoder", doomed.address, "--decoder", other.address)
        up = f'cmvc_backend_up{{backend="{doomed.address}"}}'
        with Client(gateway.address) as client, client.decode_stream([data], config) as transfer:
            parts = iter(transfer)
            received = [next(parts)]
            # Frozen first, so that it surely holds segments when it dies; nothing it has can then be finished.
            doomed.send(signal.SIGSTOP)
            killer = threading.Timer(0.5, doomed.process.kill)
            killer.start()
            received += parts
        assert transfer.summary.frames == 16 * 24
        assert transfer.summary.segments == 16
        assert b"".join(received) == undisturbed
        assert gateway.metric(REDRIVEN % "unavailable") >= 1

        # The decoder is used again once it is back.
        assert gateway.metric(up) == 0
        start("decoder", listen=doomed.address)
        until(lambda: gateway.metric(up) == 1, "the decoder that came back is taken for up")
        with Client(gateway.address) as client:
            assert b"".join(client.decode_stream([data], config)) == undisturbed


def test_client_gets_each_byte_once_when_a_decoder_dies_in_a_segment_of_which_a_part_has_left():
    data = stream(segments=1, frames=240, width=640, height=384)
    undisturbed = b"".join(Client().decode_stream([data]))
    with servers() as start:
        doomed = start("decoder")
        gateway = start("gateway", "--decoder", doomed.address)
        with Client(gateway.address) as client, client.decode_stream([data]) as transfer:
            parts = iter(transfer)
            received = [next(parts), next(parts)]  # what stands before the first segment, and the first of it
            doomed.process.kill()
            doomed.process.wait()
            start("decoder", listen=doomed.address)
            received += parts
        assert b"".join(received) == undisturbed
        assert gateway.metric(REDRIVEN % "unavailable") >= 1


def test_client_gets_the_whole_video_when_one_of_two_decoders_hangs():
    data = stream(segments=16)
    config = decode_config(output="y4m")
    undisturbed = b"".join(Client().decode_stream([data], config))
    with servers() as start:
        doomed, other = start("decoder"), start("decoder")
        gateway = start(*("gateway", "--decoder", doomed.address, "--decoder", other.address, "--stall-timeout", "1"))
        with Client(gateway.address) as client, client.decode_stream([data], config) as transfer:
            parts = iter(transfer)
            received = [next(parts)]
            doomed.send(signal.SIGSTOP)
            received += parts
        assert b"".join(received) == undisturbed
        assert gateway.metric(REDRIVEN % "stalled") >= 1
