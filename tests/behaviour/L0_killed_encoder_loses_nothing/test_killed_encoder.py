"""An encoder that dies in the middle of a video costs time, never a byte: another goes on with what was sent."""

import signal

import pytest
from media_files import moving_frames, write_video
from servers import servers

from cmvc.client import Client
from cmvc.settings import encode_config

SETTINGS = encode_config(mode="coded", bitrate="40k", latency_ms=1000)


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(5 * 24, 128, 96))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_client_gets_the_same_stream_when_its_encoder_ends(video, how):
    undisturbed = b"".join(Client().encode_stream(video, SETTINGS))
    with servers() as start:
        encoders = [start("encoder", "--grace", "0.1", "--jobs", "1") for _ in range(2)]
        gateway = start("gateway", *(f"--encoder={each.address}" for each in encoders))
        with Client(gateway.address) as client, client.encode_stream(video, SETTINGS) as transfer:
            parts = iter(transfer)
            received = [next(parts)]
            working = [each for each in encoders if each.metric('cmvc_inflight_segments{service="encoder"}')]
            for each in working:  # one, or none where it was quick: then there is nothing to be seen
                each.send(signal.SIGSTOP)
                if how is signal.SIGTERM:
                    each.send(signal.SIGCONT)
                each.send(how)
            received += parts
        assert b"".join(received) == undisturbed
        assert working
        assert gateway.metric('cmvc_segments_redriven_total{reason="encoder"}') == 1
